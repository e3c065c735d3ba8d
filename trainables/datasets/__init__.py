"""Data sets, one file each; every module here with a DATASET is listed by the registry."""
