"""Keeps a trial that has a share of a GPU within that share of its memory."""

import importlib
import sys

from trainables.family import Family


def take_share(share: float, family: Family) -> None:
    """Has the trial run out of memory that takes too much of a GPU, and no neighbour of it.

    Args:
        share: Of the GPU that this process sees, 1/n; 1 or 0 set no limit.
        family: Whose trainer trains here; one that does not import PyTorch is left alone.
    """
    if not 0 < share < 1:
        return
    importlib.import_module(family.trainer.partition(":")[0])
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.set_per_process_memory_fraction(share)
