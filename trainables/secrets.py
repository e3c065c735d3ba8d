"""Passwords and tokens in addresses: taken out of whatever is printed or kept."""

import re
from typing import Final

HIDDEN: Final = "***"
# `scheme://user:password@host`; of http also `https://token@host`. A port is no password.
_PASSWORD: Final = re.compile(r"(?<=://)([^\s/:@'\"]*):(?!\d+(?:[/\s'\"]|$))([^\s'\"]*)@")
_TOKEN: Final = re.compile(r"(?<=http://)[^\s/:@'\"]+@|(?<=https://)[^\s/:@'\"]+@")
_QUERY: Final = re.compile(
    r"([?&;][\w.-]*(?:token|key|secret|sig|signature|passw(?:or)?d|pwd|credential|auth)[\w.-]*=)"
    r"[^\s&;'\"#]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Text whose addresses show no password and no token."""
    if "://" not in text and "=" not in text:
        return text
    text = _PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _TOKEN.sub(f"{HIDDEN}@", text))


def check_complete(address: str) -> None:
    """Checks that an address is not one of which a secret was taken out.

    Raises:
        ValueError: It is.
    """
    if HIDDEN in address and redacted(address) == address and "://" in address:
        message = (
            f"the password of {address} was not kept: give the whole address again, with --data-dir"
        )
        raise ValueError(message)
