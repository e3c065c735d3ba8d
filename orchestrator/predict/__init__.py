"""The command `predict`: a winner on new images, read and prepared as in its training."""
