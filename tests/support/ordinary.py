"""What a user who is not root meets."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Not root, whom no permission stops."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)
