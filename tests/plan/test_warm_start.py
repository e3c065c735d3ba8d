"""A warm start: Optuna and the rungs know another study's trials first, and need it no more."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from in_process import CURVE, Driver, Moments
from made_up_inputs import FAMILIES
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from tampering import alter, drop

from orchestrator.config.samplers import TPE
from orchestrator.config.searches import list_searches
from orchestrator.config.sources import resolve
from orchestrator.plan import preflight as checking
from orchestrator.plan.families import plan_families
from orchestrator.plan.warm_start import WarmStart
from orchestrator.results import files
from orchestrator.run.replay import replay_warm_start
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.samplers import MAKE
from orchestrator.stats.asha import FamilyRungs
from orchestrator.trials.recorder import Recorder
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")

SETTINGS = {"trials": 12, "epochs": 4, "grace_period": 1, "seeds": 1, "seed": 6}
FEWER = {**SETTINGS, "trials": 4}
STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with completed, stopped and diverged trials; its baseline had a cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        faults = ("space.curve.fault=none,nan",)
        driver = Driver(tmp_path_factory.mktemp("source"), patch, SETTINGS, faults, name="source")
        assert driver.start(order=6)
    assert {row["status"] for row in rows(driver.folder, "trials")} == set(STATES)
    return driver.folder


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    return shutil.copytree(source, tmp_path / "source")


def rows(folder: Path, table: str) -> list[Row]:
    found: list[Row] = files.read_table(folder, table).to_pylist()
    return found


def driver_from(source: Path | None, tmp_path: Path, patch: pytest.MonkeyPatch) -> Driver:
    warm = {} if source is None else {"warm_start": str(source)}
    name = "cold" if source is None else "warm"
    faults = ("space.curve.fault=none,nan",)
    return Driver(tmp_path / "results", patch, {**FEWER, **warm}, faults, slots=1, name=name)


def checked_from(source: Path, tmp_path: Path, *assignments: str, **given: Any) -> WarmStart:
    """What a new study would learn."""
    settings = {**CURVE, **FEWER, "warm_start": str(source), "results_dir": str(tmp_path), **given}
    resolved = resolve(settings, config=None, assignments=list(assignments))
    warm = checking.check_new(resolved, Console(quiet=True)).warm_start
    assert warm is not None
    return warm


def learned(folder: Path, recorder: Recorder) -> tuple[FamilyRungs, list[FrozenTrial]]:
    """The rungs and Optuna's trials of a study before its own first trial."""
    settings = files.read_study(folder).raw["settings"]
    plans = plan_families(resolve({}, config=None, assignments=[], stored=settings))
    rungs = FamilyRungs(["curve"], rungs=[1, 3], epochs=4, reduction_factor=3)
    search = FamilySearch(
        recorder,
        plans,
        list_searches(["curve"], [1.0], per_fraction=False),
        trials=4,
        seed=6,
        epochs=4,
        max_attempts=3,
        first_cut=lambda _: None,
        by_device_time=False,
        sampler=MAKE[TPE],
    )
    replay_warm_start(folder, rungs, search)
    return rungs, search.studies["curve"].get_trials()


def test_optuna_knows_the_other_trials_first_in_their_states(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    driver = driver_from(source, tmp_path, monkeypatch)
    assert driver.start()
    _, known = learned(driver.folder, recorder)
    theirs = rows(source, "trials")
    assert [trial.params for trial in known] == [json.loads(r["params_json"]) for r in theirs]
    for trial, row in zip(known[1:], theirs[1:], strict=True):
        assert trial.state == STATES[row["status"]], row["trial_id"]
        reported = 0 if row["status"] == "diverged" else row["epochs_run"]
        assert len(trial.intermediate_values) == reported
        if row["status"] == "completed":
            assert trial.value == row["validation_accuracy"]


def test_optuna_is_told_of_the_other_baseline_what_asha_would_have_done(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    driver = driver_from(source, tmp_path, monkeypatch)
    assert driver.start()
    _, known = learned(driver.folder, recorder)
    cuts = [row["epoch"] for row in rows(source, "rungs") if row["decision"] == "protected"]
    assert known[0].state == TrialState.PRUNED
    assert list(known[0].intermediate_values) == list(range(1, min(cuts) + 1))


def test_the_rungs_have_the_other_arrivals(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    cold, warm = (driver_from(some, tmp_path, monkeypatch) for some in (None, source))
    assert cold.start()
    assert warm.start()
    assert rows(cold.folder, "rungs")[0]["cutoff"] is None
    rungs, _ = learned(warm.folder, recorder)
    first = rows(warm.folder, "rungs")[0]
    row = next(r for r in rows(warm.folder, "epochs") if r["sequence"] == first["sequence"])
    arrival = rungs.arrive("curve", "curve-000", row, exempt=True)
    assert arrival is not None
    assert first["cutoff"] == arrival.cutoff is not None
    values = sorted(r["value"] for r in rows(source, "rungs") if r["rung"] == 1)
    assert values[0] < first["cutoff"] < values[-1]


def test_what_is_proposed_differs_from_the_first_trial_on_once_tpe_has_ten_trials(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold, warm = (driver_from(some, tmp_path, monkeypatch) for some in (None, source))
    assert cold.start()
    assert warm.start()
    proposed = [
        [row["params_json"] for row in rows(driver.folder, "trials")] for driver in (cold, warm)
    ]
    baselines, *others = zip(*proposed, strict=True)
    assert baselines[0] == baselines[1]
    assert all(one != other for one, other in others)


def test_with_fewer_trials_than_tpe_starts_with_none_of_them_is_proposed_again(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4, 12):
        drop("trials", trial_id=f"curve-{number:03d}")(copy, {})
    warm = driver_from(copy, tmp_path, monkeypatch)
    assert warm.start()
    known, new = (
        {row["params_json"] for row in rows(folder, "trials") if row["role"] == "search"}
        for folder in (copy, warm.folder)
    )
    assert known
    assert not known & new


@pytest.mark.parametrize(
    "damage",
    [
        alter("trials", {"trial_id": "curve-003"}, status="failed"),
        alter("trials", {"trial_id": "curve-003"}, status="running"),
        drop("epochs", trial_id="curve-003", epoch=1),
        alter("trials", {"trial_id": "curve-003"}, params_json='{"skill": 7.0, "fault": "none"}'),
        alter("trials", {"trial_id": "curve-003"}, params_json='{"skill": 0.5}'),
        alter("trials", {"trial_id": "curve-003"}, params_json='{"skill": 0.5, "fault": "x"}'),
    ],
    ids=["failed", "unfinished", "cut short", "too large", "of fewer dimensions", "of no choice"],
)
def test_a_trial_that_nothing_can_be_learned_from_is_left_out_and_counted(
    damage: Any, copy: Path, tmp_path: Path
) -> None:
    damage(copy, {})
    warm = checked_from(copy, tmp_path)
    assert warm.left_out == 1
    assert "curve-003" not in {*warm.trials["trial_id"].to_pylist()}
    assert "curve-003" not in {*warm.epochs["trial_id"].to_pylist()}
    assert warm.trials.num_rows == 11


def test_trials_outside_a_narrowed_space_are_left_out_of_optuna_and_rungs(
    source: Path, tmp_path: Path
) -> None:
    warm = checked_from(source, tmp_path, "space.curve.skill=0.6..1.0")
    skills = {row["trial_id"]: row["param_skill"] for row in rows(source, "trials")}
    inside = {trial_id for trial_id, skill in skills.items() if skill >= 0.6}
    assert "curve-000" not in inside
    assert set(warm.trials["trial_id"].to_pylist()) == inside
    assert set(warm.epochs["trial_id"].to_pylist()) == inside
    assert warm.left_out == 12 - len(inside)


def test_a_study_that_is_not_finished_can_be_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, moments = driver_from(None, tmp_path, monkeypatch), Moments()
    driver.slots, driver.writes = 2, 1.0
    assert driver.start(moments)
    last = next(n for n, what in enumerate(moments.seen, 1) if what.startswith("end curve-003"))
    killed = replace(driver, name="killed")
    assert killed.start(Moments(kill_at=last)) is None
    unfinished = [row for row in rows(killed.folder, "trials") if row["status"] == "running"]
    assert unfinished
    assert checked_from(killed.folder, tmp_path).left_out == len(unfinished)


def test_the_study_is_whole_without_the_other(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = (driver_from(copy, tmp_path, monkeypatch) for _ in range(2))
    killed = replace(killed, name="killed")
    assert whole.start(order=5)
    assert killed.start(Moments(kill_at=12), order=5) is None
    shutil.rmtree(copy)
    assert killed.resume(order=5)
    for name in ("trials", "rungs"):
        kept = ("trial_id", "params_json", "status", "cutoff", "value", "decision")
        assert [[row.get(k) for k in kept] for row in rows(whole.folder, name)] == [
            [row.get(k) for k in kept] for row in rows(killed.folder, name)
        ]
    assert verify(killed.folder, sources=False).problems == []
    assert killed.resume(trials=6)
    assert verify(killed.folder, sources=False).problems == []


def test_a_study_that_has_lost_what_it_learned_from_is_not_resumed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = driver_from(source, tmp_path, monkeypatch)
    assert driver.start()
    shutil.rmtree(driver.folder / "warm_start")
    with pytest.raises(ValueError, match=r"warm_start must keep the trials of .*, but is missing"):
        driver.resume()


def test_what_a_start_that_was_killed_had_learned_from_does_not_reach_the_next_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = driver_from(None, tmp_path, monkeypatch)
    (driver.folder / "warm_start").mkdir(parents=True)
    assert driver.start()
    assert verify(driver.folder, sources=False).problems == []
