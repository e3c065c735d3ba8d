"""How every command answers wrong usage: with one line and exit code 2."""

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """A parser of command lines that does not print the whole usage before an error."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits."""
        self.exit(2, f"{self.prog}: {message}\n")
