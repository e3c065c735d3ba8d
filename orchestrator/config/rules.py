"""What the value of a setting must be: rules for pydantic, whose texts follow `NAME must`."""

import math
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from pydantic import AfterValidator

from orchestrator.config.trackers import parse_targets

MOST: Final = 1_000_000_000


def _rule(holds: Callable[[Any], bool], text: str) -> AfterValidator:
    """A rule of one value other than None, and how its refusal goes on after `NAME must`."""

    def check(value: Any) -> Any:
        if value is not None and not holds(value):
            raise ValueError(f"{text}, but got {value!r}")
        return value

    return AfterValidator(check)


def at_least(lowest: int) -> AfterValidator:
    """A number's lower bound; all numbers have the upper one."""

    def check(value: Any) -> Any:
        if value is not None and value < lowest:
            raise ValueError(f"be at least {lowest}, but got {value}")
        if value is not None and value > MOST:
            raise ValueError(f"be at most {MOST:,}, but got {str(value)[:20]}")
        return value

    return AfterValidator(check)


HOURS: Final = _rule(lambda hours: hours > 0 and math.isfinite(hours), "be hours above 0")
CHANCE: Final = _rule(lambda chance: 0 < chance < 1, "be a chance between 0 and 1")
FINITE: Final = _rule(math.isfinite, "be a finite number")
GIGABYTES: Final = _rule(lambda size: 0 < size < MOST, "be GB above 0")
WAIT: Final = _rule(
    lambda seconds: seconds <= threading.TIMEOUT_MAX,  # a NaN is not either
    f"be at most {threading.TIMEOUT_MAX:.0f} seconds",
)
SHARE_OF_A_GPU: Final = _rule(
    lambda share: share == 0 or bool(trials_on_a_gpu(share)),
    "be 0, 1, or a share 1/n such as 0.5, 0.33 or 0.25, since a trial trains on one GPU at most",
)
FRACTIONS: Final = _rule(
    lambda shares: bool(shares) and all(0 < share <= 1 for share in shares), "lie in (0, 1]"
)
ONCE_EACH: Final = _rule(  # as trial ids have them, so that each final run has an id of its own
    lambda shares: len({f"{share:g}" for share in shares}) == len(shares), "name each once"
)
FOLDER: Final = _rule(
    lambda name: Path(name).name == name != "..", "be the name of a folder, not a path"
)
ADDRESS: Final = _rule(
    lambda text: "://" in text, "be an address such as s3://bucket/prefix or file:///mnt/copies"
)


def one_of(name: str, choices: Collection[str]) -> AfterValidator:
    """One of some words."""

    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"unknown {name} {value!r}; choose from {', '.join(choices)}")
        return value

    return AfterValidator(check)


def _is_local(folder: str) -> str:
    """A path; a Ray cluster's nodes write into no address."""
    if "://" in folder:
        raise ValueError(
            f"be a path, where a shared folder is mounted, not an address, but got {folder!r}; "
            "--publish keeps a copy at one"
        )
    try:
        Path(folder).expanduser().resolve()
    except (OSError, RuntimeError) as error:  # no such user's home; links in a circle
        raise ValueError(f"be a path, but got {folder!r}: {error}") from error
    return folder


def _are_trackers(text: str) -> str:
    parse_targets(text)
    return text


LOCAL: Final = AfterValidator(_is_local)
TRACKERS: Final = AfterValidator(_are_trackers)


def trials_on_a_gpu(gpus_per_trial: float) -> int:
    """How many trials have a GPU between them: Ray places no shares but 1/n side by side; 0: none.

    A share is 1/n where it is so to as many decimals as it has, two at least.
    """
    trials = round(1 / gpus_per_trial) if 0 < gpus_per_trial <= 1 else 0
    decimals = max(2, len(repr(gpus_per_trial).partition(".")[2]))
    return trials if trials and round(1 / trials, decimals) == gpus_per_trial else 0
