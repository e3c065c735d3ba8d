"""Where commands write what they are asked for: checked before anything is read or written."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

_ADDRESS: Final = re.compile(r"[A-Za-z][\w+.-]+:/")


def output_file(*endings: str) -> Callable[[str], Path]:
    """An argparse type: a file on this machine, new or a plain one, outside all studies' folders.

    Args:
        endings: What its name may end in; anything where none is given.
    """

    def parse(text: str) -> Path:
        path = output_folder(text)
        if endings and path.suffix.lower() not in endings:
            raise argparse.ArgumentTypeError(f"must end in {', '.join(endings)}, but got {text}")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise argparse.ArgumentTypeError(f"must be new or a plain file, but {text} is neither")
        for folder in path.expanduser().resolve().parents:
            if (folder / "study.json").is_file():
                raise argparse.ArgumentTypeError(
                    f"must lie outside studies' folders, but {text} is in {folder}"
                )
        return path

    return parse


def output_folder(text: str) -> Path:
    """An argparse type: a path on this machine."""
    if not text.strip() or _ADDRESS.match(text):
        raise argparse.ArgumentTypeError(f"must be a path on this machine, but got {text!r}")
    return Path(text)
