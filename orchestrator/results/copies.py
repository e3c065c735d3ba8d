"""Mark of a folder that is a copy of a published study."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COPY: Final = ".published.json"
ALIVE_SECONDS: Final = 120.0
"""A driver that has not published for so long counts as gone."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Published study of which a folder is a copy.

    Attributes:
        address: Where that is stored, without a password.
        host: Name of the machine of the driver that published it last, in a process `pid` there.
        published_at: When, in seconds since the epoch.
        files: What was published, as paths in the folder.
    """

    address: str
    host: str
    pid: int
    published_at: float
    files: Sequence[str]


def copy_of(folder: Path) -> Copy | None:
    """The published study of which a folder is a copy; None where it is a study's own."""
    path = folder / COPY
    return Copy(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def is_fresh(published_at: float) -> bool:
    """Whether it was published so recently that its driver may still run."""
    return time.time() - published_at < ALIVE_SECONDS
