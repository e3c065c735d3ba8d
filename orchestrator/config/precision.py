"""The precision a study computes with: as set, else by its device; one for all its trials."""

from trainables.hardware import PRECISIONS


def default_precision(device: str) -> str:
    """What trials compute with on `cuda` or `cpu` where nothing is set: what PyTorch does."""
    return PRECISIONS[device][0]
