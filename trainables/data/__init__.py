"""Images and labels: what a data set is, its files, its split, one copy a node."""
