"""How every command answers: one parser, one line for what is wrong, one set of exit codes."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

DONE, INCOMPLETE, WRONG_INPUT, INFRASTRUCTURE, INTERRUPTED = 0, 1, 2, 3, 130


class OneLineParser(argparse.ArgumentParser):
    """A parser of command lines that does not print the whole usage before an error."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits."""
        self.exit(WRONG_INPUT, f"{self.prog}: {message}\n")


def answer(command: str, run: Callable[[], int]) -> int:
    """Runs a command whose every error is wrong input, or Ctrl-C.

    Args:
        command: Its name, which the line begins with.
        run: Does it; returns the exit code.
    """
    try:
        return run()
    except (ValueError, OSError) as error:
        return fail(command, error)
    except KeyboardInterrupt:
        return INTERRUPTED


def fail(command: str, error: Exception, code: int = WRONG_INPUT) -> int:
    """Says what is wrong in one line, which Rich would wrap; returns the exit code."""
    sys.stderr.write(f"{command}: {' '.join(str(error).split())}\n")
    return code
