"""The experiment trackers that a study can be sent to, as the user names them."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from orchestrator import extras
from trainables.secrets import redacted

TRACKERS: Final = ("mlflow", "tensorboard", "wandb", "trackio", "optuna")
"""Each is the name of an extra and of the module it brings; Optuna is always there."""
SQLITE: Final = "sqlite:///"
MLFLOW_WORDS: Final = ("databricks", "uc:", "file:")
MLFLOW_SCHEMES: Final = (
    *("sqlite", "postgresql", "mysql", "mssql", "file", "databricks", "databricks-uc", "uc"),
)
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


def check_targets(targets: Iterable[Target]) -> None:
    """Checks that the packages of trackers are there, and that each can be where it is to be.

    None is imported and no server is asked: it may come later.

    Raises:
        ValueError: Some packages are missing, all of which are named, MLflow's address can be none,
            or what Optuna's journal would be appended to is a file of another kind.
    """
    targets = list(targets)
    names = ",".join(each.tracker for each in targets if not extras.is_installed(each.tracker))
    if names:
        raise ValueError(
            f"track {names} must have its package installed, but it is not: {extras.install(names)}"
        )
    for target in targets:
        named = target.place or os.environ.get("MLFLOW_TRACKING_URI", "")
        if target.tracker == "mlflow" and named and not _is_mlflow_uri(named):
            raise ValueError(
                "track mlflow must be at http://HOST:PORT, in a database (sqlite:///FILE, "
                "postgresql://...), at databricks, or in a folder that is there, but got "
                f"{redacted(named)!r}"
            )
        path = target.path if target.tracker == "optuna" else None
        if path and path.is_file() and path.stat().st_size and not is_journal(path):
            raise ValueError(f"--track {target} must name a new file or a journal of Optuna's")


def _is_mlflow_uri(place: str) -> bool:
    """Whether MLflow, or a plug-in of it, keeps studies at such a place."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return place.startswith(MLFLOW_WORDS) or Path(place).expanduser().is_dir()
    if scheme in {"http", "https"}:
        with contextlib.suppress(ValueError):  # of a port
            return bool(urlsplit(place).hostname) and urlsplit(place).port != 0
        return False
    plugins = (each.name for each in entry_points(group="mlflow.tracking_store"))
    return bool(rest) and scheme.partition("+")[0] in {*MLFLOW_SCHEMES, *plugins}


def is_journal(path: Path) -> bool:
    """Whether a file begins as Optuna's journals do: an object with an operation in a line."""
    with path.open("rb") as opened:
        start = opened.readline(1 << 16)
    return start.startswith(b"{") and b'"op_code"' in start
