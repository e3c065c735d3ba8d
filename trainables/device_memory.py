"""What a trial may take of a GPU's memory: its share of all, and images half of that."""

import sys
from typing import Final

SHARE_FOR_IMAGES: Final = 0.5
"""Of what a trial may use; the network, its activations and the optimizer need the rest."""
PART_BYTES: Final = 128_000_000
"""Of images that are fed, at most; two parts are on the device, one in pinned memory."""
MB: Final = 1e6
GB: Final = 1e9


def take_share(share: float) -> None:
    """Has the trial run out of memory that takes too much of a GPU, and no neighbour of it.

    Args:
        share: Of the GPU that this process sees, 1/n; 1 or 0 set no limit.
    """
    if 0 < share < 1 and "torch" in sys.modules:  # other libraries have limits of their own
        sys.modules["torch"].cuda.set_per_process_memory_fraction(share)


def limit_of_images(device: str, share: float = 1.0) -> int | None:
    """Bytes that the images of this process's trial may take on its device.

    Args:
        device: `cuda` or `cpu`, where they take none, since they are in its memory anyway.
        share: Of the GPU that this process sees.

    Returns:
        None: there is no limit, or the trial's library has its own.
    """
    if device != "cuda" or "torch" not in sys.modules:
        return None
    cuda = sys.modules["torch"].cuda
    free, total = cuda.mem_get_info()
    # What an earlier trial of this process took is not free, but can be had.
    return int(SHARE_FOR_IMAGES * min(share * total, free + cuda.memory_reserved()))


def part_bytes(limit: int) -> int:
    """What a part of images that are fed takes, where a batch does not take more."""
    return min(PART_BYTES, limit // 2)


def why_fed(images: int, limit: int, part: int) -> str:
    """Why and how images are fed, a sentence without its full stop.

    Args:
        images: Their bytes.
        limit: Bytes that they may take.
        part: Bytes of a part.
    """
    memory = limit / SHARE_FOR_IMAGES
    return (
        f"{images / GB:.3g} GB of images would take more than half of the {memory / GB:.3g} GB of "
        "a GPU's memory that a trial has: images stay on the host and are fed in parts of "
        f"{part / MB:.3g} MB"
    )
