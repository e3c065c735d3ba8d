"""A study on disk: schemas, files, manifest, lock, and how they are read back."""
