"""The command `compare`: a study's models on its test set, or studies side by side."""
