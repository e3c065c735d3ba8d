"""The former name of `search_spaces.spaces`, which works for one more release."""

import warnings
from typing import Any

from search_spaces import spaces


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what Python itself asks a module for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"{name} must be imported from search_spaces.spaces: search_spaces.dimensions goes with "
        "the next release",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(spaces, name)
