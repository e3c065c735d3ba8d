"""Variables of the environment with which Ray's own processes would end, or wait for each other."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TLS: Final = "RAY_USE_TLS"
WITHOUT_TEXTS: Final = 2
"""The level of optimization at which Python drops docstrings."""
CERTIFICATES: Final = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")

OF_RAY: Final = ("", "Warning", "DeprecationWarning")
"""Categories of warnings that Ray 2.60's dashboard gives while it is imported, by their names."""


def check_variables() -> None:
    """Checks what Ray would not say itself.

    Raises:
        ValueError: Warnings are errors, docstrings are dropped, or TLS has no certificates.
    """
    if wrong := [*_wrong_options(), *_wrong_certificates()]:
        raise ValueError("; ".join(wrong))


def _wrong_options() -> Iterator[str]:
    if sys.flags.optimize >= WITHOUT_TEXTS:
        yield "PYTHONOPTIMIZE=2 and -OO must be left out, by which Ray loses texts that it reads"
    errors = [each for each in sys.warnoptions if _makes_errors(*each.split(":"))]
    if errors:
        yield (
            f"PYTHONWARNINGS and -W must not make warnings errors ({', '.join(errors)}), by which "
            "Ray's own processes end; leave that out"
        )


def _makes_errors(action: str, _message: str = "", category: str = "", *where: str) -> bool:
    """Whether an option, whose action may be cut short, is of warnings that Ray's imports give."""
    is_error = action != "" and "error".startswith(action)
    return is_error and category in OF_RAY and not any(where)


def _wrong_certificates() -> Iterator[str]:
    if os.environ.get(TLS, "0").lower() not in {"1", "true"}:
        return
    given = {name: os.environ.get(name, "") for name in CERTIFICATES}
    missing = [f"{name}={file}" for name, file in given.items() if not Path(file).is_file()]
    if missing:
        yield (
            f"{TLS}={os.environ[TLS]} must come with {', '.join(CERTIFICATES)}, a file each, but "
            f"there is none at {', '.join(missing)}"
        )
