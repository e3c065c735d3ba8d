"""How every command answers: one parser, one line for what is wrong, one set of exit codes."""

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TextIO

from orchestrator import extras
from orchestrator.called import CONSOLE_COMMAND
from trainables.secrets import redacted

DONE, INCOMPLETE, WRONG_INPUT, INFRASTRUCTURE, INTERRUPTED = 0, 1, 2, 3, 130
# What moves a cursor, sets a title, fills a clipboard, or turns the order of letters round.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_HOME: Final = re.compile(r"(?<![^=,])~(?=/)")
"""Where a path begins: an argument, or what stands in it behind `=` or a comma."""


class OneLineParser(argparse.ArgumentParser):
    """A parser of command lines that does not print the whole usage before an error.

    A `~/` is the home folder also where no shell makes it that: in `--output=~/x` and `NAME=~/x`.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses, as argparse does."""
        given = sys.argv[1:] if args is None else args
        home = os.path.expanduser("~")  # noqa: PTH111 (which raises where there is none)
        return super().parse_known_args([_HOME.sub(lambda _: home, a) for a in given], namespace)

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits."""
        self.exit(WRONG_INPUT, f"{self.prog}: {printable(message)}\n")


def printable(text: str) -> str:
    """Text, which may be somebody else's, that does nothing to a terminal and shows no password."""
    return without_control(redacted(text))


def counted(number: int | None, what: str) -> str:
    """A number of things, as `1 trial` or `2,000 families`; a dash where it is not known."""
    plural = {"y": f"{what[:-1]}ies", "s": f"{what}es"}.get(what[-1], f"{what}s")
    return f"{'—' if number is None else f'{number:,}'} {what if number == 1 else plural}"


def without_control(text: str) -> str:
    """Text in which each character that is none to be seen is a question mark."""
    return _CONTROL.sub("?", text)


def say(*lines: str) -> None:
    """Prints lines as they are."""
    for line in lines:
        sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


def say_json(content: Mapping[str, object]) -> None:
    """Prints one JSON object in a line; moments are ISO 8601 in UTC.

    Raises:
        ValueError: A number in it is none of JSON's.
        OSError: It could not be written whole, though somebody is there to read it.
    """
    sys.stdout.write(json.dumps(content, default=_moment, allow_nan=False) + "\n")
    sys.stdout.flush()
    lost = sys.stdout.lost if isinstance(sys.stdout, _Text) else None
    if lost is not None and not isinstance(lost, BrokenPipeError):
        raise lost


def _moment(value: Any) -> str:
    assert isinstance(value, datetime), value
    return value.astimezone(UTC).isoformat()


def answer(command: str, run: Callable[[], int]) -> int:
    """Runs a command whose every error is wrong input, or Ctrl-C; returns its exit code."""
    try:
        return run()
    except (ValueError, OSError) as error:
        return fail(command, error)
    except KeyboardInterrupt:
        return INTERRUPTED


def fail(command: str, error: BaseException, code: int = WRONG_INPUT) -> int:
    """Says what is wrong in one line, which Rich would wrap; returns the exit code."""
    sys.stderr.write(f"{command}: {printable(' '.join(str(error).split()))}\n")
    return code


def run_command(main: Callable[[], int]) -> NoReturn:
    """Runs a command to its exit code; printing may fail on the way, and shows no password."""
    sys.stdout, sys.stderr = _unfailing(sys.stdout), _unfailing(sys.stderr)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except MemoryError as error:
        short = f"there is not enough free memory here: {error}".removesuffix(": ")
        sys.exit(fail(CONSOLE_COMMAND, MemoryError(short), INCOMPLETE))
    except ModuleNotFoundError as error:
        missing = extras.explained(error)
        if missing is None:
            raise
        sys.exit(fail(CONSOLE_COMMAND, missing))


class _Sink(io.FileIO):
    """Bytes for whoever reads; once nobody does, or can, they go nowhere, and `lost` is why."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return os.write(self.fileno(), data)
        except OSError as error:  # a closed pipe, a terminal that is gone, a full disk
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


class _Text(io.TextIOWrapper):
    def __init__(self, sink: _Sink, encoding: str) -> None:
        super().__init__(
            io.BufferedWriter(sink), encoding=encoding, errors="replace", line_buffering=True
        )
        self._sink = sink

    @property
    def lost(self) -> OSError | None:
        """Why some of it was not written; None where it was."""
        return self._sink.lost

    def write(self, text: str) -> int:
        super().write(redacted(text))
        return len(text)


def _unfailing(stream: TextIO | None) -> TextIO:
    """A stream like this one that takes any letter, shows no password, and never fails."""
    if stream is None:  # it was closed before this process began
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (for good)
    stream.flush()
    return _Text(_Sink(stream.fileno(), "w", closefd=False), stream.encoding)
