"""Passwords, keys and tokens: taken out of whatever is printed or kept."""

import logging
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

HIDDEN: Final = "***"
# `scheme://user:password@host`, of which paths keep one slash, and `"user:password@host"`; of http
# also `https://token@host`. A port is no password.
_PASSWORD: Final = re.compile(r"(:/{1,2}[^\s/:@'\"]*):(?!\d+(?:[/\s'\"]|$))[^\s'\"]{0,2000}@")
_QUOTED: Final = re.compile(r"(['\"][^\s/:@'\"]+):[^\s/@'\"]+@(?=[\w.-])")
_TOKEN: Final = re.compile(r"(https?:/{1,2})[^\s/:@'\"]+@")
_QUERY: Final = re.compile(
    r"([?&;][\w.-]*(?:token|key|secret|sig|signature|passw(?:or)?d|pwd|credential|auth)[\w.-]*=)"
    r"[^\s&;'\"#]+",
    re.IGNORECASE,
)
_NAME: Final = (
    r"(?:token|secret|passw(?:or)?d|pwd|connection[_-]?string|"
    r"(?:api|access|account|private|storage|secret|encryption|signing)[_-]?key)"
)
# `password=...`, `"password": "..."`, and without quotes `aws_secret_access_key: ...`.
_NAMED: Final = re.compile(
    rf"((?<![\w.-])(?:[\w.-]*{_NAME}(?:\s*=|\\?['\"]\s*[:=])|[\w.-]+[_-]{_NAME}\s*:)\s*)"
    r"(?:(\\?(['\"]))(?:(?!\3)[^\n])+|[^\s&;,'\"#)}\]]+)",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(
    r"(\bauthorization\W{1,6}(?:\w+ )?|\bbearer )[\w.~+/=-]{8,}", re.IGNORECASE
)
_PRIVATE_KEY: Final = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:(?=-----END [A-Z ]*PRIVATE KEY-----)|$)", re.DOTALL
)
# Tokens that say themselves what they are: Hugging Face's, GitHub's, GitLab's.
_TELLING: Final = re.compile(r"\b(hf_|gh[opsu]_|github_pat_|glpat-)[\w-]{16,}")
# What environment variables are called whose values are nobody else's affair; a mode is a word.
_SECRET_VARIABLE: Final = re.compile(
    r"^(?!.*_mode$).*(?:secret|passw|token|credential|connection_?string"
    r"|(?:^|_)(?:\w*(?:api|access|account|private)_?)?(?:keys?|pass|pwd|sas|sig|signature|auth|dsn)"
    r"(?:_|$))",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(r"(?:path|file|dir|sock)$", re.IGNORECASE)
SHORTEST: Final = 8
"""A shorter value may be any word."""


def redacted(text: str) -> str:
    """Text without passwords, keys and tokens.

    Taken out is what stands in addresses, what stands beside a name that says so, and whatever the
    variables of this process have under such a name.
    """
    for value in _own_values():
        text = text.replace(value, HIDDEN)
    if "@" in text:
        text = _TOKEN.sub(rf"\1{HIDDEN}@", _PASSWORD.sub(rf"\1:{HIDDEN}@", text))
        text = _QUOTED.sub(rf"\1:{HIDDEN}@", text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", _QUERY.sub(rf"\g<1>{HIDDEN}", text))
    text = _TELLING.sub(rf"\1{HIDDEN}", _HEADER.sub(rf"\1{HIDDEN}", text))
    return _PRIVATE_KEY.sub(rf"\1{HIDDEN}", text)


class RedactingFormatter(logging.Formatter):
    """Formats a record, with its traceback, without what is secret."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        return redacted(super().format(record))


def check_complete(address: str, flag: str = "--data-dir") -> None:
    """Checks that an address is not one of which a secret was taken out.

    Args:
        address: To check.
        flag: What takes it.

    Raises:
        ValueError: It is.
    """
    if HIDDEN in address and redacted(address) == address and "://" in address:
        raise ValueError(
            f"the password of {address} was not kept: give the whole address again, with {flag}"
        )


def _own_values() -> tuple[str, ...]:
    """Secret values of this process's environment, as they are and as addresses have them."""
    return _secret_values(tuple(os.environ.items()))


@lru_cache(maxsize=1)
def _secret_values(variables: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found = {
        value
        for name, value in variables
        if len(value) >= SHORTEST and _SECRET_VARIABLE.search(name) and not _is_place(name, value)
    }
    written = found | {quote(value, safe="") for value in found}
    return tuple(sorted(written, key=len, reverse=True))  # one may be a part of another


def _is_place(name: str, value: str) -> bool:
    """Whether a value says where a secret is stored, and is none itself."""
    return value.startswith(("/", "~")) and (bool(_PLACE.search(name)) or Path(value).exists())
