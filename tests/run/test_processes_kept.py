"""Processes that one Tuner leaves to the next."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from orchestrator.run.kept_processes import KeptProcesses

pytestmark = pytest.mark.cluster
ONE, BOTH = {"CPU": 1}, {"CPU": 2}


class Short(tune.Trainable):
    """One step long; says in which process, and with what it was made or referred to."""

    def setup(self, config: dict[str, Any], references: str) -> None:
        del config
        self._references = references

    def refer(self, references: str) -> None:
        self._references = references

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return bool(new_config)

    def step(self) -> dict[str, Any]:
        return {"done": True, "pid": os.getpid(), "references": self._references}

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([config["resources"]])


class Listed(Searcher):
    """Trials that reserve something each; like the study's, it ends once all of them have."""

    def __init__(self, sizes: Sequence[dict[str, float]]) -> None:
        super().__init__()
        self._sizes, self._running = list(sizes), set[str]()

    def suggest(self, trial_id: str) -> Any:
        if not self._sizes:
            return None if self._running else Searcher.FINISHED
        self._running.add(trial_id)
        return {"resources": self._sizes.pop(0)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        del result, error
        self._running.discard(trial_id)


class Ends(tune.Callback):
    """What trials said when they ended; an error once so many have."""

    def __init__(self, error_after: int | None) -> None:
        self.said, self._error_after = list[tuple[int, str]](), error_after

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        del iteration, trials, info
        self.said.append((trial.last_result["pid"], trial.last_result["references"]))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        del iteration, trials, info
        if len(self.said) == self._error_after:
            message = "met"
            raise RuntimeError(message)


Phase = Callable[..., list[tuple[int, str]]]


@pytest.fixture
def phase(shared_cluster: str, tmp_path: Path) -> Iterator[Phase]:
    """Runs trials that reserve something each, in a cluster of two CPUs."""
    paths = {"PYTHONPATH": str(Path(__file__).parent)}
    ray.init(shared_cluster, log_to_driver=False, runtime_env={"env_vars": paths})
    numbers = iter(range(10))

    def run(
        kept: KeptProcesses,
        sizes: Sequence[dict[str, float]],
        *,
        last: bool,
        error_after: int | None = None,
    ) -> list[tuple[int, str]]:
        name, ends = f"phase-{next(numbers)}", Ends(error_after)
        with kept.used_by(name, ONE, 2, wanted=lambda: not last, leaves=not last):
            tune.Tuner(
                tune.with_parameters(Short, references=name),
                tune_config=tune.TuneConfig(
                    search_alg=Listed(sizes), num_samples=-1, reuse_actors=True
                ),
                run_config=tune.RunConfig(
                    name=name,
                    storage_path=str(tmp_path),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    callbacks=[ends],
                    verbose=0,
                ),
            ).fit()
        return ends.said

    yield run
    ray.shutdown()


def test_the_next_phase_is_run_by_the_processes_of_the_one_before_with_its_own_data(
    phase: Phase,
) -> None:
    kept = KeptProcesses(keeps=True)
    first = phase(kept, [ONE, ONE], last=False)
    second = phase(kept, [ONE, ONE, ONE], last=True)
    pids = {pid for pid, _ in first}
    assert {references for _, references in first} == {"phase-0"}
    assert {references for _, references in second} == {"phase-1"}
    assert {pid for pid, _ in second} <= pids


def test_where_nodes_come_and_go_nothing_is_kept(phase: Phase) -> None:
    kept = KeptProcesses(keeps=False)
    first, second = (phase(kept, [ONE, ONE], last=last) for last in (False, True))
    assert not {pid for pid, _ in first} & {pid for pid, _ in second}


def test_idle_processes_make_room_for_a_trial_that_reserves_more(phase: Phase) -> None:
    assert len(phase(KeptProcesses(keeps=True), [ONE, ONE, BOTH], last=False)) == 3


def test_after_an_error_of_a_phase_nothing_is_kept_or_reserved(phase: Phase) -> None:
    kept = KeptProcesses(keeps=True)
    with pytest.raises(Exception, match="met"):
        phase(kept, [ONE, ONE], last=False, error_after=2)
    assert len(phase(kept, [BOTH], last=True)) == 1
