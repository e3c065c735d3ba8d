"""What a node computes with, as its kernel tells it: no library is imported, no GPU touched."""

import contextlib
import importlib.metadata
import platform
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# What each kind of device computes with; the first is what PyTorch does by itself.
PRECISIONS: Final = {"cuda": ("tf32", "fp32", "bf16"), "cpu": ("fp32", "bf16")}
PROCESSORS: Final = Path("/proc/cpuinfo")
NVIDIA: Final = Path("/proc/driver/nvidia")
# Flags of a processor that multiplies bfloat16 itself: Intel's and AMD's, and Arm's.
BF16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
CUDNN: Final = ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12")


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A node.

    Attributes:
        host: Its name.
        processor: The model's name.
        bf16: Whether it multiplies bfloat16 itself; one that does not is slower with it.
        gpus: The models' names, one each.
        driver: Version of NVIDIA's; empty without.
        cudnn: Version of the installed package; empty where CUDA comes otherwise, or not at all.
    """

    host: str
    processor: str
    bf16: bool
    gpus: tuple[str, ...]
    driver: str
    cudnn: str

    def devices(self, device: str) -> set[str]:
        """The types of what trials run on there: of GPUs for `cuda`, of processors for `cpu`."""
        return set(self.gpus) if device == "cuda" else {self.processor} - {""}

    def __str__(self) -> str:
        """The node in a few words, without its name."""
        counted = [f"{self.gpus.count(name)} x {name}" for name in sorted(set(self.gpus))]
        words = [self.processor, *counted, self.driver and f"driver {self.driver}"]
        return ", ".join(filter(None, [*words, self.cudnn and f"cuDNN {self.cudnn}"]))


def here() -> Hardware:
    """This node."""
    processors = _read(PROCESSORS)
    names = re.findall(r"^model name\s*: (.*)$", processors, re.MULTILINE)
    flags = re.findall(r"^(?:flags|Features)\s*: (.*)$", processors, re.MULTILINE)
    versions = re.findall(r"\b\d{3,}\.\d+(?:\.\d+)?\b", _read(NVIDIA / "version"))
    cards = sorted(NVIDIA.glob("gpus/*/information"))
    models = [re.findall(r"^Model:\s*(.*)$", _read(card), re.MULTILINE) for card in cards]
    return Hardware(
        host=socket.gethostname(),
        processor=names[0].strip() if names else platform.processor(),
        bf16=any(BF16 & set(line.split()) for line in flags),
        gpus=tuple(found[0].strip() for found in models if found),
        driver=versions[0] if versions else "",
        cudnn=next(filter(None, map(_version, CUDNN)), ""),
    )


def precision_error(precision: str, device: str, node: Hardware) -> str:
    """Why trials cannot compute like this on a node, in one sentence; empty if they can.

    Args:
        precision: `tf32`, `fp32` or `bf16`.
        device: `cuda` or `cpu`, which they run on.
        node: The node.
    """
    choices = PRECISIONS[device]
    if precision not in choices:
        return (
            f"precision on a {'GPU' if device == 'cuda' else 'CPU'} must be one of "
            f"{', '.join(choices)}, but got {precision!r}"
        )
    if (precision, device) == ("bf16", "cpu") and not node.bf16:
        return (
            "precision bf16 on a CPU must go with a processor that has avx512_bf16 or amx_bf16, "
            f"but {node.host} has neither ({node.processor}); choose from fp32"
        )
    return ""


def _read(path: Path) -> str:
    """A file of the kernel's; empty where there is none."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""
