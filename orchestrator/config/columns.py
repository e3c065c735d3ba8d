"""The columns of tables that a user may name, in the same words to every command."""

from collections.abc import Mapping
from typing import Final

COLUMNS: Final[Mapping[str, str]] = {
    "image": "column of images, or of paths to them, where your own stand in tables (found)",
    "label": "column of their labels (found)",
    "group": "column of what is never divided between training, validation and test (none)",
}
"""What `--NAME-column` names."""


def column_flags(settings: object) -> list[str]:
    """The flags that name the columns which settings, or flags that were parsed, name."""
    names = {what: getattr(settings, f"{what}_column") for what in COLUMNS}
    return [word for what, name in names.items() if name for word in (f"--{what}-column", name)]
