"""What a tracker must do, and each by its name; its package is imported when it is opened."""

from importlib import import_module
from typing import Protocol

from orchestrator.config.trackers import Target
from orchestrator.track.tracked_study import TrackedStudy


class Tracker(Protocol):
    """Where a study is sent to; its errors are those of its package."""

    def update(self, study: TrackedStudy) -> None:
        """Sends what is not there yet; nothing twice, whoever sent it and was killed meanwhile."""

    def close(self) -> None:
        """Ends what is open of it, if anything is."""


def open_tracker(target: Target) -> Tracker:
    """The tracker with nothing sent yet by this object."""
    module = import_module(f"orchestrator.track.to_{target.tracker}")
    tracker: Tracker = getattr(module, f"{target.tracker.capitalize()}Tracker")(target.place)
    return tracker
