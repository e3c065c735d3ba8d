"""A study that runs: its cluster, its phases on Ray Tune, its signals and its metrics."""
