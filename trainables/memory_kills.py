"""Whether the kernel of a node has killed a process for want of memory while a trial ran there."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VMSTAT: Final = Path("/proc/vmstat")


def count(vmstat: Path = VMSTAT) -> int:
    """How many processes the kernel of this machine has killed for memory, in cgroups or not."""
    with contextlib.suppress(OSError):  # no Linux
        for line in vmstat.read_text(encoding="ascii").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def file_of(folder: Path, trial_id: str) -> Path:
    """Where an attempt at a trial says on which node it is, and how many were killed there before.

    Args:
        folder: The study's.
        trial_id: The study's own id.
    """
    return folder / "logs" / f".{trial_id}.node"


@contextlib.contextmanager
def noted(file: Path, node_id: str) -> Iterator[None]:
    """Has the file inside; it stays only where the process dies."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"node_id": node_id, "kills": count()}), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def take(folder: Path, trial_id: str) -> dict[str, Any] | None:
    """What an attempt that died had noted, `node_id` and `kills`; None where there is nothing."""
    file = file_of(folder, trial_id)
    try:
        noted_before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    file.unlink(missing_ok=True)
    return noted_before
