"""The training loop and its parts: batches in, metrics out, no Ray."""
