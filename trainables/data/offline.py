"""Downloads switched off, for whoever only looks: what is in no cache is an error then."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

_OFFLINE: Final = ContextVar("offline", default=False)


class SwitchedOffError(OSError):
    """Downloads are switched off, and something would have to be.

    Attributes:
        address: Of what would have been downloaded.
    """

    def __init__(self, address: str) -> None:
        """Takes the address."""
        super().__init__("downloads are switched off")
        self.address = address


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Inside, what is not in a cache already is an error and nothing is downloaded."""
    token = _OFFLINE.set(True)
    try:
        yield
    finally:
        _OFFLINE.reset(token)


def is_offline() -> bool:
    """Whether downloads are switched off: whoever looks only asks nobody, and writes nothing."""
    return _OFFLINE.get()


def check_online(address: str) -> None:
    """Checks that an address may be asked.

    Raises:
        SwitchedOffError: Downloads are switched off.
    """
    if _OFFLINE.get():
        raise SwitchedOffError(address)


def not_fetched(error: BaseException | None) -> str | None:
    """The address for which an error was raised since downloads are switched off, if it was."""
    while error is not None:
        if isinstance(error, SwitchedOffError):
            return error.address
        error = error.__cause__
    return None
