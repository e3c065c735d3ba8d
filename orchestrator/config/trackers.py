"""The experiment trackers that a study can be sent to, as the user names them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator import extras
from trainables.secrets import redacted

TRACKERS: Final = ("mlflow", "tensorboard", "wandb", "trackio", "optuna")
"""Each is the name of an extra and of the module it brings; Optuna is always there."""
SQLITE: Final = "sqlite:///"
OF_PATHS: Final = ("tensorboard", "optuna")
"""Trackers whose place is a path."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A tracker, and where it keeps what it gets; empty: as its environment says."""

    tracker: str
    place: str = ""

    @property
    def path(self) -> Path | None:
        """Where it keeps its files, from the root; None where it is reached otherwise."""
        is_database = self.tracker == "mlflow" and self.place.startswith(SQLITE)
        place = self.place.removeprefix(SQLITE)
        if not place or not (is_database or self.tracker in OF_PATHS):
            return None
        return Path(place).expanduser().absolute()

    @property
    def absolute(self) -> str:
        """As the user names it, a path from the root, so that a study goes on from anywhere."""
        database = SQLITE if self.tracker == "mlflow" and self.path else ""
        place = f"{database}{self.path or self.place}"
        return f"{self.tracker}={place}" if place else self.tracker

    def __str__(self) -> str:
        """As the user names it, without the passwords in it."""
        return redacted(f"{self.tracker}={self.place}") if self.place else self.tracker


def parse_targets(text: str | None) -> list[Target]:
    """The trackers that a text names: `NAME` or `NAME=WHERE`, separated by commas; None: none.

    Raises:
        ValueError: A name is unknown, or stands there twice; said as the rule of a setting.
    """
    targets = []
    for part in [] if text is None else text.split(","):
        name, equals, place = part.strip().partition("=")
        if name not in TRACKERS:
            choices = ", ".join(TRACKERS)
            raise ValueError(f"unknown tracker {redacted(name)!r}; choose from {choices}")
        if not place and (equals or name == "optuna"):
            raise ValueError(f"say where as {name}=WHERE, but got {part.strip()!r}")
        if name in OF_PATHS and "://" in place:
            raise ValueError(f"have {name}=PATH, on this machine, but got {redacted(place)!r}")
        targets.append(Target(tracker=name, place=place))
    names = [target.tracker for target in targets]
    if len(set(names)) < len(names):
        raise ValueError(f"name each tracker once, but got {', '.join(names)}")
    return targets


def check_installed(targets: Iterable[Target]) -> None:
    """Checks that the packages of trackers are there; none is imported, all missing ones named.

    Raises:
        ValueError: Some are not.
    """
    names = ",".join(each.tracker for each in targets if not extras.is_installed(each.tracker))
    if names:
        raise ValueError(
            f"track {names} must have its package installed, but it is not: {extras.install(names)}"
        )


def check_journals(targets: Iterable[Target]) -> None:
    """Checks that what Optuna's would be appended to is new, empty, or a journal.

    Raises:
        ValueError: It is a file of another kind.
    """
    for target in targets:
        path = target.path
        if target.tracker != "optuna" or path is None or not path.is_file():
            continue
        if path.stat().st_size and not is_journal(path):
            raise ValueError(f"--track {target} must name a new file or a journal of Optuna's")


def is_journal(path: Path) -> bool:
    """Whether a file begins as Optuna's journals do: an object with an operation in a line."""
    with path.open("rb") as opened:
        start = opened.readline(1 << 16)
    return start.startswith(b"{") and b'"op_code"' in start
