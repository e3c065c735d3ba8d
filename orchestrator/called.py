"""How the commands of this project are called: as they are installed, and as this process was."""

import sys
from pathlib import Path
from typing import Final

CONSOLE_COMMAND: Final = "transfer-study"
NAMESPACE: Final = "transfer_study"
PACKAGES: Final = ("orchestrator", "trainables", "search_spaces")
IS_INSTALLED: Final = __name__.partition(".")[0] == NAMESPACE
"""Whether the packages are inside the namespace, as a wheel has them, and not in a checkout."""


def words_of(command: str) -> list[str]:
    """The words that call a command: those of a checkout where this one was called by them."""
    if IS_INSTALLED or Path(sys.argv[0]).stem == CONSOLE_COMMAND:
        return [CONSOLE_COMMAND, command]
    return ["python", "-m", f"{PACKAGES[0]}.{command}"]


def text_of(command: str) -> str:
    """The same as a text."""
    return " ".join(words_of(command))
