"""The states of a trial and of a study, as the tables and `study.json` have them."""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """State of a trial, or of a final."""

    RUNNING = "running"
    COMPLETED = "completed"
    """It reached its last epoch."""
    STOPPED = "stopped"
    """ASHA stopped it."""
    DIVERGED = "diverged"
    """It reported what cannot be."""
    FAILED = "failed"
    """It failed for good."""


MAY_WIN: Final = frozenset({State.COMPLETED, State.STOPPED})
CANNOT_WIN: Final = frozenset({State.DIVERGED, State.FAILED})


class Outcome(StrEnum):
    """Outcome of a study, or of a run of one."""

    RUNNING = "running"
    """Or its driver was killed."""
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    """It ended without all that was asked for."""
    INTERRUPTED = "interrupted"
    FAILED = "failed"


ENDED: Final = frozenset({Outcome.COMPLETED, Outcome.INCOMPLETE})
"""There is nothing to go on with."""
