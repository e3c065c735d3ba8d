"""What a node must have to run trials: the driver's versions, and the folder of results."""

import importlib.metadata
import platform
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("ray", "torch", "torchvision", "numpy")


def software() -> dict[str, str]:
    """The versions of Python and libraries here that trials must agree on; nothing is imported."""
    versions = {library: importlib.metadata.version(library) for library in LIBRARIES}
    return {"python": platform.python_version(), **versions}


def node_error(expected: Mapping[str, str], file: Path) -> str:
    """What this node lacks, in one sentence with its name; empty if it can run trials.

    Args:
        expected: `software()` of the driver.
        file: Exists in the folder of results as the driver sees it, absolute.
    """
    found = software()
    wrong = [
        f"{name} {found.get(name, 'missing')} instead of {version}"
        for name, version in expected.items()
        if found.get(name) != version
    ]
    if wrong:
        return f"{socket.gethostname()} must have the driver's versions, but has {', '.join(wrong)}"
    if not file.exists():
        return (
            f"{socket.gethostname()} must see the same results folder as the driver, but finds no "
            f"{file}; all nodes must mount it at the same path"
        )
    return ""
