"""Many trials, one table: the study, its search, its results and their comparison."""

import sys
from types import TracebackType


def _quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows what ended the process, unless it was Ctrl-C, of which Python makes exit code 130."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# Python is about to run a module in here as a command, and Ctrl-C may come while that imports.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _quietly
