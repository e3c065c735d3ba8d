"""How one trial is trained: model families, data sets, metrics, and the training loop."""
