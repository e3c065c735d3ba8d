"""What a trial may be called: its name becomes that of folders and files, so it is no path."""

import re
from typing import Final

FAMILY: Final = re.compile(r"[^\W\d]\w{0,99}(\.\w{1,99}){0,2}(@\w{1,20})?")
_SHARE = r"f[0-9.e+-]{1,20}"
TRIAL: Final = re.compile(
    rf"{FAMILY.pattern}(-{_SHARE})?-[0-9a-z]{{1,12}}|{FAMILY.pattern}-(baseline|tuned)-s\d{{1,9}}-{_SHARE}"
)


def full_name(name: str) -> str:
    """A family's name as it is stored: `timm/convnext_tiny` is `timm.convnext_tiny`.

    It becomes that of folders and files.
    """
    return name.strip().replace("/", ".")


def check_family(name: object) -> str:
    """A family's name: that of a Python file, or of a library's model, such as `timm.resnet18`.

    Raises:
        ValueError: It cannot be one.
    """
    return _check(FAMILY, "a family", "cnn", name)


def check_trial(name: object) -> str:
    """A trial's id.

    Raises:
        ValueError: It is none that a study gives; a path, for example.
    """
    return _check(TRIAL, "a trial", "cnn-003 or cnn-tuned-s0-f1", name)


def _check(pattern: re.Pattern[str], what: str, example: str, name: object) -> str:
    if not isinstance(name, str) or pattern.fullmatch(name) is None:
        raise ValueError(f"{what} must have a name like {example}, but got {str(name)[:200]!r}")
    return name
