"""Processes that cannot end themselves, and phases that no node can run, by a clock of the test."""

from types import SimpleNamespace
from typing import Any, Final

import pytest

from orchestrator.run import ray_actors
from orchestrator.run.ray_actors import GRACE_SECONDS, Overdue

LIMIT = 60.0


class ATrial:
    """What the callback reads of one."""

    config: Final = {"trial_id": "cnn-001"}
    temporary_state = SimpleNamespace(ray_actor="its actor")


class Loop:
    """Tune's loop, as a callback sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.killed, self.overdue = 0.0, list[Any](), set[str]()
        self.waited = list[float]()
        monkeypatch.setattr(ray_actors.ray, "kill", self.killed.append)
        self.callback = Overdue(LIMIT, self.overdue, self.waited.append, lambda: self.now)
        self.trial = ATrial()

    def live(self, seconds: float, step: float = 1.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.callback.on_step_begin(0, [])


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_f7_a_process_that_outlives_its_limit_is_ended_from_outside_once(loop: Loop) -> None:
    loop.callback.on_trial_start(0, [], loop.trial)
    loop.live(LIMIT)
    loop.callback.on_trial_result(0, [], loop.trial, {})
    loop.live(LIMIT + GRACE_SECONDS)
    assert not loop.killed
    loop.live(30)
    assert loop.killed == ["its actor"]
    assert loop.overdue == {"cnn-001"}


def test_a_trial_that_has_ended_is_not_late(loop: Loop) -> None:
    loop.callback.on_trial_start(0, [], loop.trial)
    loop.callback.on_trial_complete(0, [], loop.trial)
    loop.live(3 * LIMIT)
    assert not loop.killed


def test_no_trial_is_late_because_the_machine_slept(loop: Loop) -> None:
    loop.callback.on_trial_start(0, [], loop.trial)
    loop.live(10)
    loop.live(3600, step=3600)
    loop.live(10)
    assert not loop.killed


def test_f17_it_is_said_how_long_no_trial_has_run(loop: Loop) -> None:
    loop.live(29)
    assert not loop.waited
    loop.live(10)
    assert loop.waited == [31.0, 36.0]
    loop.callback.on_trial_start(0, [], loop.trial)
    loop.live(40)
    assert len(loop.waited) == 2
