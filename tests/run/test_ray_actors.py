"""Processes that cannot end themselves, and phases that no node can run, by a clock of the test."""

import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.tune.experiment import Trial

from orchestrator.run import ray_actors
from orchestrator.run.ray_actors import GRACE_SECONDS, LOOK_SECONDS, Overdue

LIMIT = 60.0


class ATrial:
    """What the callback reads of one."""

    def __init__(self, actor: Any = "its actor") -> None:
        self.config = {"trial_id": "cnn-001", "attempt": 2}
        self.status = Trial.RUNNING
        self.temporary_state = SimpleNamespace(ray_actor=actor)


class Loop:
    """Tune's loop, as a callback sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.killed, self.overdue = 0.0, list[Any](), set[str]()
        self.waited = list[float]()
        monkeypatch.setattr(ray_actors.ray, "kill", self.killed.append)
        self.epoch = 1
        self.callback = Overdue(
            LIMIT, self.overdue, self.waited.append, lambda _: self.epoch, lambda: self.now
        )
        self.trial = ATrial()

    def live(self, seconds: float, step: float = 1.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.callback.on_step_begin(trials=[self.trial])


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_f7_a_process_that_outlives_its_limit_is_ended_from_outside_once(loop: Loop) -> None:
    loop.callback.on_trial_start(trial=loop.trial)
    loop.live(LIMIT)
    loop.callback.on_trial_result(trial=loop.trial)
    loop.live(LIMIT + GRACE_SECONDS)
    assert not loop.killed
    loop.live(30)
    assert loop.killed == ["its actor"]
    assert loop.overdue == {"cnn-001"}


def test_f7_epochs_that_are_not_reported_yet_count_each_for_itself(loop: Loop) -> None:
    loop.callback.on_trial_start(trial=loop.trial)
    for loop.epoch in range(2, 6):
        loop.live(LIMIT - LOOK_SECONDS)
    assert not loop.killed
    loop.live(LIMIT + GRACE_SECONDS + 2 * LOOK_SECONDS)
    assert loop.killed == ["its actor"]


def test_f7_a_process_that_hangs_while_it_takes_up_a_trial_is_ended_too(loop: Loop) -> None:
    loop.trial.status = Trial.PENDING
    loop.live(LIMIT)
    assert not loop.waited
    loop.live(GRACE_SECONDS + 2)
    assert loop.killed == ["its actor"]
    assert loop.overdue == {"cnn-001"}


def test_a_trial_that_waits_for_a_process_is_not_late(loop: Loop) -> None:
    loop.trial = ATrial(actor=None)
    loop.trial.status = Trial.PENDING
    loop.live(3 * LIMIT)
    assert not loop.killed
    assert loop.waited


def test_a_trial_that_has_ended_is_not_late(loop: Loop) -> None:
    loop.callback.on_trial_start(trial=loop.trial)
    loop.callback.on_trial_complete(trial=loop.trial)
    loop.live(3 * LIMIT)
    assert not loop.killed


def test_no_trial_is_late_because_the_machine_slept(loop: Loop) -> None:
    loop.callback.on_trial_start(trial=loop.trial)
    loop.live(10)
    loop.live(3600, step=3600)
    loop.live(10)
    assert not loop.killed


def test_f17_it_is_said_how_long_no_trial_has_run(loop: Loop) -> None:
    loop.live(29)
    assert not loop.waited
    loop.live(10)
    assert loop.waited == [31.0, 36.0]
    loop.callback.on_trial_start(trial=loop.trial)
    loop.live(40)
    assert len(loop.waited) == 2


class Title:
    """What Ray calls its process while it trains."""

    def train(self) -> str:
        return Path("/proc/self/cmdline").read_text().rstrip("\0")


@pytest.mark.cluster
def test_each_epoch_is_named_after_its_trial_and_attempt_also_in_a_process_that_had_another(
    shared_cluster: str,
) -> None:
    paths = {"PYTHONPATH": str(Path(__file__).parent)}
    ray.init(shared_cluster, log_to_driver=False, runtime_env={"env_vars": paths})
    try:
        trial = ATrial(ray.remote(Title).remote())
        for trial_id in ("cnn-001", "cnn-007"):
            trial.config["trial_id"] = trial_id
            ray_actors.name_epochs(trial)
            title = ray.get(trial.temporary_state.ray_actor.train.remote())
            assert title == f"ray::{trial_id}/attempt-2"
        handle = weakref.ref(trial.temporary_state.ray_actor)
        trial.temporary_state = None
        assert handle() is None  # or its process would live on
    finally:
        ray.shutdown()


@pytest.mark.parametrize("counted", [True, False])
def test_tune_imports_no_tracker_to_count_callbacks(counted: bool) -> None:
    code = (
        "import contextlib, sys\n"
        "from ray.tune import Callback\n"
        "from ray.tune.tune import air_usage\n"
        "from orchestrator.run.ray_actors import callbacks_uncounted\n"
        "air_usage.record_extra_usage_tag = lambda *_: None  # Ray's core would keep the count\n"
        f"with contextlib.nullcontext() if {counted} else callbacks_uncounted():\n"
        "    air_usage.tag_callbacks([Callback()])\n"
        "print('ray.air.integrations.mlflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(counted)
