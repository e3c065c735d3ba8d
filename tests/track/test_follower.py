"""A follower sends what is new, says once where it cannot, and harms nobody but itself."""

import os
import shlex
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from in_trackers import expected_points, in_tensorboard
from made_up_study import MadeUpStudy

from orchestrator.config.trackers import Target
from orchestrator.results import files
from orchestrator.run import tracking
from orchestrator.run.tracking import following
from orchestrator.track import follower
from orchestrator.track.follower import Follower
from orchestrator.track.tracked_study import TrackedStudy, read_tracked


class Tracker:
    """Keeps what it is sent; the first updates fail."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.outcomes, self.opened, self.closed = failures, [], 0, False

    def open(self) -> "Tracker":
        self.opened += 1
        return self

    def update(self, study: TrackedStudy) -> None:
        if self.failures:
            self.failures -= 1
            message = "nobody\nthere"
            raise ConnectionError(message)
        self.outcomes.append(study.outcome)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sizes = {"families": ("cnn",), "trials": 2, "epochs": 2, "grace": 1}
    return MadeUpStudy(**sizes, finished=False).write(tmp_path / "été d'images" / "mine")


def test_a_study_is_sent_again_only_where_a_file_of_it_has_changed(folder: Path) -> None:
    tracker, said = Tracker(), []
    one = Follower(folder, tracker.open, said.append)
    one.update()
    one.update()
    assert tracker.outcomes == ["running"]
    files.write_text(folder / "study.json", (folder / "study.json").read_text())
    one.update()
    assert tracker.outcomes == ["running", "running"]
    assert (tracker.opened, said) == (1, [])


def test_a_failure_is_said_once_and_all_is_sent_by_a_new_one_once_it_works(folder: Path) -> None:
    tracker, said = Tracker(failures=3), []
    one = Follower(folder, tracker.open, said.append)
    for _ in range(5):
        one.update()
    assert said == ["nobody there", ""]
    assert (tracker.outcomes, tracker.opened) == (["running"], 4)


def test_the_last_is_sent_once_the_study_has_ended(folder: Path) -> None:
    tracker, ended = Tracker(), threading.Event()
    ended.set()
    assert Follower(folder, tracker.open, print).follow(ended)
    assert tracker.closed
    assert Follower(folder, Tracker(failures=1).open, lambda _: None).follow(ended)
    assert not Follower(folder, Tracker(failures=9).open, lambda _: None).follow(ended)


def test_a_study_that_another_process_sends_is_not_sent_twice(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    target = Target(tracker="tensorboard", place=str(tmp_path / "runs"))
    with (
        follower.lock_of(folder, target),
        pytest.raises(ValueError, match="tensorboard must be sent to by one process at a time"),
    ):
        follower.send(folder, target)
    follower.send(folder, target)
    assert in_tensorboard(tmp_path / "runs")


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_is_killed_is_followed_by_another_and_nothing_is_missing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(tracking, "RESTART_SECONDS", 0.0)
    runs, said = tmp_path / "runs", []
    target = Target(tracker="tensorboard", place=str(runs))
    with following(folder, [target], said.append) as (process,):
        wait_for(lambda: [*runs.rglob("events.*")])
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: len(said) > 1)
        sizes = {"families": ("cnn",), "trials": 2, "epochs": 2, "grace": 1}
        MadeUpStudy(**sizes, seeds=1, fractions=(1.0,)).write(folder)
    assert said[0].startswith(f"Sending to {target}; its log: ")
    assert said[1:] == [
        f"{target} fails, and is tried again: the process that sends ended with exit code -9",
        f"Sent to {target}",
    ]
    found, study = in_tensorboard(runs), read_tracked(folder)
    assert {run.name for run in study.runs} <= found.keys()
    for run in study.runs:
        points = found[run.name].points
        assert points.keys() == expected_points(run).keys()
        assert {len(values) for values in points.values()} == {1}


def test_a_process_that_hangs_is_not_waited_for_longer_than_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LAST_SECONDS", 0.1)
    said: list[str] = []
    target = Target(tracker="tensorboard", place=str(tmp_path / "runs"))
    with following(folder, [target], said.append) as (process,):
        wait_for(lambda: process.pid)
        os.kill(process.pid, signal.SIGSTOP)
    assert said[-1] == (
        f"Not all of it is in {target}: the last of it was not taken in time; to send it: "
        f"python -m orchestrator.export {shlex.quote(str(folder))} --track {target}"
    )
