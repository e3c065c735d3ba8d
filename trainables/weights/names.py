"""What `--weights` names: one file for all pre-trained families, or one for each."""

import re
from pathlib import Path
from typing import Final

from trainables.names import FAMILY, full_name

_NAMED: Final = re.compile(rf"\s*((?:\w+/)?{FAMILY.pattern})\s*=(.+)")


def by_family(text: str) -> dict[str, str] | None:
    """What `NAME=FILE,...` names for each family; None where a text is one file for all.

    Args:
        text: As `--weights` takes it. A file that is there by that name is one file.

    Raises:
        ValueError: Only some of its parts are `NAME=FILE`, or a family is named twice.
    """
    parts = text.split(",")
    found = [_NAMED.fullmatch(part) for part in parts]
    if found[0] is None or _is_file(text):
        return None
    named: dict[str, str] = {}
    for part, match in zip(parts, found, strict=True):
        if match is None:
            raise ValueError(
                f"weights must be one file, or NAME=FILE for each family, but got {part!r}"
            )
        family = full_name(match[1])
        if family in named:
            raise ValueError(f"weights must name each family once, but got {family} twice")
        named[family] = match.groups()[-1].strip()
    return named


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # the text is longer than a path may be
        return False
