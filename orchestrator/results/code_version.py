"""Which code a study runs: a hash of the three packages and of families outside, and the commit."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trainables import registry

PACKAGES: Final = ("orchestrator", "trainables", "search_spaces")


def code_sha256(families: Sequence[str]) -> str:
    """SHA-256 over the Python files of the three packages and of families outside, with names."""
    root = Path(__file__).resolve().parents[2]
    inside = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    own = sorted(registry.family_file(name) for name in families)
    named = [(str(path.relative_to(root)), path) for path in inside]
    named += [(path.name, path) for path in own if path not in set(inside)]
    digest = hashlib.sha256()
    for name, path in named:
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def git_commit() -> str | None:
    """The commit of the checkout, `-dirty` where files differ; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
