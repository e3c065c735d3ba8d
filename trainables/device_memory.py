"""Keeps a trial that has a share of a GPU within that share of its memory."""

import sys


def take_share(share: float) -> None:
    """Has the trial run out of memory that takes too much of a GPU, and no neighbour of it.

    Args:
        share: Of the GPU that this process sees, 1/n; 1 or 0 set no limit.
    """
    if 0 < share < 1 and "torch" in sys.modules:  # other libraries have limits of their own
        sys.modules["torch"].cuda.set_per_process_memory_fraction(share)
