"""Whether a search has rounds enough to learn in: of what runs at a time nothing is known yet."""

from collections.abc import Iterator
from typing import Final

STARTUP: Final = 10
"""Trials that must have ended before TPE proposes by what it has learned, Optuna's default."""


def learned(trials: int, at_a_time: int) -> int:
    """How many of a search's trials are proposed after ten have ended."""
    return max(0, trials - (at_a_time + STARTUP - 1))


def few_rounds(trials: int, families: int, slots: int) -> Iterator[str]:
    """A sentence where one trial at a time would let a search learn more than twice as much.

    The trials are those of each search; the searches of the families share the slots.
    """
    own = -(-slots // families)
    informed, most = learned(trials, own), learned(trials, 1)
    if 2 * informed >= most:
        return
    fewer = max(1, trials - STARTUP + 1 - -(-most // 2)) * families
    more = 2 * (own + STARTUP - 1) - STARTUP
    yield (
        f"Few rounds: of a family's {trials} trials {trials - informed} are random points, since "
        f"the search learns from trials that have ended, {STARTUP} or more, and {slots} run at a "
        f"time; one at a time would leave {trials - most}. --max-concurrent {fewer} or --trials "
        f"{more} would let it learn."
    )
