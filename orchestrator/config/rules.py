"""What the value of a setting must be: rules for pydantic, whose texts follow `NAME must`."""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from threading import TIMEOUT_MAX as LONGEST
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from orchestrator.config.samplers import SAMPLERS
from orchestrator.config.trackers import parse_targets
from trainables.epoch_rows import OBJECTIVES

MOST: Final = 1_000_000_000
MOST_COUNTED: Final = 1_000_000
"""Of what a study counts in `study.json`: trials, epochs, but no images."""
MOST_SEEDS: Final = 1000


def _rule(holds: Callable[[Any], bool], text: str) -> AfterValidator:
    """A rule of a value, and how its refusal goes on after `NAME must`."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"{text}, but got {value!r}")
        return value

    return AfterValidator(check)


def at_least(lowest: int, most: int = MOST) -> AfterValidator:
    """A number's bounds."""

    def check(value: Any) -> Any:
        if value < lowest:
            raise ValueError(f"be at least {lowest}, but got {value}")
        if value > most:
            raise ValueError(f"be at most {most:,}, but got {str(value)[:20]}")
        return value

    return AfterValidator(check)


def _one_of(kind: str, names: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown {kind} {name!r}; choose from {', '.join(names)}")
        return name

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


def trials_on_a_gpu(gpus_per_trial: float) -> int:
    """How many trials have a GPU between them: Ray places no shares but 1/n side by side; 0: none.

    A share is 1/n where it is so to as many decimals as it has, two at least.
    """
    trials = round(1 / gpus_per_trial) if 0 < gpus_per_trial <= 1 else 0
    decimals = max(2, len(repr(gpus_per_trial).partition(".")[2]))
    return trials if trials and round(1 / trials, decimals) == gpus_per_trial else 0


Positive = Annotated[int, at_least(1, MOST_COUNTED)]
Images = Annotated[int, at_least(1)]
FromZero = Annotated[float, _rule(math.isfinite, "be a finite number"), at_least(0)]
Hours = Annotated[float, _rule(lambda time: time > 0 and math.isfinite(time), "be hours above 0")]
Chance = Annotated[float, _rule(lambda chance: 0 < chance < 1, "be a chance between 0 and 1")]
Gigabytes = Annotated[float, _rule(lambda size: 0 < size < MOST, "be GB above 0")]
Wait = Annotated[
    float,
    # A NaN is none of these either.
    _rule(lambda seconds: seconds <= LONGEST, f"be at most {LONGEST:.0f} seconds"),
    at_least(1),
]
ShareOfAGpu = Annotated[
    float,
    _rule(
        lambda share: share == 0 or bool(trials_on_a_gpu(share)),
        "be 0, 1, or a share 1/n such as 0.5, 0.33 or 0.25, since a trial trains on one GPU at "
        "most",
    ),
]
Fractions = Annotated[
    tuple[float, ...],
    _rule(lambda shares: bool(shares) and all(0 < s <= 1 for s in shares), "lie in (0, 1]"),
    # As trial ids have them, so that each final run has an id of its own.
    _rule(lambda shares: len({f"{s:g}" for s in shares}) == len(shares), "name each once"),
]
FolderName = Annotated[
    str, _rule(lambda name: Path(name).name == name != "..", "be the name of a folder, not a path")
]
Address = Annotated[
    str,
    _rule(
        lambda text: "://" in text, "be an address such as s3://bucket/prefix or file:///mnt/copies"
    ),
]
Objective = Annotated[str, _one_of("objective", OBJECTIVES)]
Sampler = Annotated[str, _one_of("sampler", SAMPLERS)]
LocalPath = Annotated[str, AfterValidator(_is_local)]
Trackers = Annotated[str, AfterValidator(_are_trackers)]
