"""Where a process's trials run: its node, and the device that they have there."""

import functools
import socket
import sys
from dataclasses import dataclass

from trainables import hardware


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node and its device, as `trials.parquet` has them.

    Attributes:
        node: The node's name.
        device_name: Model of the GPU, or of the processor where there is none; None: not known.
        device_memory_bytes: All that the GPU has; None without one.
        driver: Version of the GPU's; None without one.
        cuda: Version of CUDA that PyTorch was built for; None without a GPU.
        cudnn: Version of cuDNN that PyTorch uses; None without a GPU.
        device_speed: Training images per second of a fixed work, measured where a study mixes
            devices; otherwise None.
    """

    node: str
    device_name: str | None = None
    device_memory_bytes: int | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    device_speed: float | None = None


@functools.cache
def here(device: str) -> Place:
    """This process's place.

    Args:
        device: `cuda` or `cpu`. Of `cuda`, the first that the process sees.
    """
    found, node = hardware.here(), socket.gethostname()
    if device == "cpu":
        return Place(node=node, device_name=found.processor or None)
    if "torch" not in sys.modules or not sys.modules["torch"].cuda.is_available():
        return Place(
            node=node,
            device_name=next(iter(found.gpus), None),
            driver=found.driver or None,
            cudnn=found.cudnn or None,
        )
    torch = sys.modules["torch"]
    card = torch.cuda.get_device_properties(0)
    return Place(
        node=node,
        device_name=card.name,
        device_memory_bytes=card.total_memory,
        driver=found.driver or None,
        cuda=torch.version.cuda,
        cudnn=str(torch.backends.cudnn.version()),
    )
