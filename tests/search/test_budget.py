"""A search ends in time for the finals, whatever its trials cost."""

import functools
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from family_search import make_search
from in_process import Driver, Moments
from made_up_record import record
from made_up_trials import row_of, spec_of

from orchestrator.config.searches import Search, list_searches
from orchestrator.config.settings import BUDGETS
from orchestrator.config.sources import resolve
from orchestrator.forecast.remaining import earlier_seconds, forecast_end
from orchestrator.forecast.workload import Images, Trained
from orchestrator.results import files
from orchestrator.search.budget import Budget
from orchestrator.status.__main__ import main as status
from orchestrator.study import main as study
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import BASELINE_ROLE, TrialRecord
from orchestrator.verify.runner import verify

CNN = Search(name="cnn", family="cnn", train_fraction=1.0)
EPOCHS = 10


@dataclass
class Clock:
    """Stands still until it is told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def add(
    recorder: Recorder,
    trial_id: str,
    *,
    epochs: int,
    seconds: float,
    status: str = "completed",
    accuracy: float = 0.5,
    fraction: float = 1.0,
    start: float = 0.0,
) -> TrialRecord:
    """A trial that took so many wall seconds, `start` of them beside its epochs."""
    role = BASELINE_ROLE if trial_id.endswith("-000") else "search"
    spec = spec_of(trial_id, role)
    record = TrialRecord(
        spec=replace(spec, family=spec.family.partition("-")[0], train_fraction=fraction)
    )
    recorder.restore(record)
    each = {"epoch_seconds": (seconds - start) / max(1, epochs)}
    record.rows = [{**row_of(epoch, accuracy), **each} for epoch in range(1, epochs + 1)]
    record.spent_seconds = seconds
    if status != "running":
        record.status = status
        recorder.totals(record.spec.family).end(record)
    return record


def budget(recorder: Recorder, clock: Clock | None = None, **given: Any) -> Budget:
    """For two families, 10 epochs and 1 seed: 20 epochs of finals each."""
    own = {"epochs": EPOCHS, "grace_period": 1, "seeds": 1, **given}
    slots = own.pop("at_a_time", 1)
    settings = resolve(own, config=None, assignments=[])
    return Budget(
        settings,
        recorder,
        list_searches(
            ["cnn", "resnet50_scratch"],
            settings.train_fractions,
            per_fraction=settings.tune_per_fraction,
        ),
        images=Images(train={1.0: 900, 0.1: 90}, validation=300),
        at_a_time=slots,
        clock=clock or Clock(),
    )


def hours(seconds_of_a_family: float) -> float:
    """The budget of two families that gives each so many device-seconds."""
    return 2 * seconds_of_a_family / 3600


def test_a_baseline_runs_whatever_it_costs(recorder: Recorder) -> None:
    clock = Clock(now=1e6)
    assert budget(recorder, clock, budget_gpu_hours=1e-9, time_budget=1e-9).blocked_by(CNN) is None


@pytest.mark.parametrize(("share", "refused"), [(40.0, None), (39.9, "budget_gpu_hours")])
def test_a_trial_is_proposed_while_it_and_the_finals_fit_into_the_familys_share(
    recorder: Recorder, share: float, refused: str | None
) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)  # 10 spent, 10 for a trial, 20 for the finals
    assert budget(recorder, budget_gpu_hours=hours(share)).blocked_by(CNN) == refused


def test_a_trial_that_runs_counts_to_its_last_epoch_and_gives_back_what_it_saves(
    recorder: Recorder,
) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)
    running = add(recorder, "cnn-001", epochs=2, seconds=2, status="running")
    limited = budget(recorder, budget_gpu_hours=hours(42))
    assert limited.blocked_by(CNN) == "budget_gpu_hours"  # 12 spent, 8 to come, 10, and 20
    running.status = "stopped"
    recorder.totals("cnn").end(running)
    assert limited.blocked_by(CNN) is None


def test_what_a_trial_takes_beside_its_epochs_counts_for_each_that_is_to_start(
    recorder: Recorder,
) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=14, start=4)
    add(recorder, "cnn-001", epochs=0, seconds=0, status="running")
    # 14 spent; starts count 4, the mean of the one that ended: to come are 14, 14, and 2 x 14.
    needed = 14 + 14 + 14 + 28
    assert budget(recorder, budget_gpu_hours=hours(needed + 0.01)).blocked_by(CNN) is None
    assert budget(recorder, budget_gpu_hours=hours(needed - 0.01)).blocked_by(CNN)


def test_a_family_without_an_epoch_waits_for_what_runs_and_then_tries_again(
    recorder: Recorder,
) -> None:
    limited = budget(recorder, budget_gpu_hours=hours(1e6), time_budget=1e6)
    failing = add(recorder, "cnn-000", epochs=0, seconds=5, status="running")
    assert limited.blocked_by(CNN) == "budget_gpu_hours"
    failing.status = "failed"
    recorder.totals("cnn").end(failing)
    assert limited.blocked_by(CNN) is None


def test_finals_count_at_the_pace_of_the_slower_of_baseline_and_winner(recorder: Recorder) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)
    add(recorder, "cnn-001", epochs=10, seconds=30, accuracy=0.9)  # the winner, three times slower
    add(recorder, "cnn-002", epochs=1, seconds=9, accuracy=0.1, status="failed")
    # 49 spent, 10 epochs at the mean time of (1 + 3 + 9) / 3, finals of 10 x 1 and 10 x 3 seconds.
    needed = 49 + 10 * 13 / 3 + 40
    assert budget(recorder, budget_gpu_hours=hours(needed + 0.01)).blocked_by(CNN) is None
    assert budget(recorder, budget_gpu_hours=hours(needed - 0.01)).blocked_by(CNN)


def test_smaller_shares_cost_what_their_images_do(recorder: Recorder) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)
    # (90 + 300 / 3) / (900 + 300 / 3) of an epoch at the largest share.
    needed = 10 + 10 + 20 + 20 * 0.19
    fractions = {"train_fractions": (0.1, 1.0)}
    assert (
        budget(recorder, budget_gpu_hours=hours(needed + 0.01), **fractions).blocked_by(CNN) is None
    )
    assert budget(recorder, budget_gpu_hours=hours(needed - 0.01), **fractions).blocked_by(CNN)
    small = Search(name="cnn-f0.1", family="cnn", train_fraction=0.1)
    add(recorder, "cnn-f0.1-000", epochs=10, seconds=1.9, fraction=0.1)
    saved = needed + 1.9 - 10 * 0.81
    tuned = {**fractions, "tune_per_fraction": True}
    assert budget(recorder, budget_gpu_hours=hours(saved + 0.01), **tuned).blocked_by(small) is None
    assert budget(recorder, budget_gpu_hours=hours(saved - 0.01), **tuned).blocked_by(small)


def test_finals_of_equal_steps_cost_the_epochs_that_they_train(recorder: Recorder) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)
    needed = 10 + 10 + 20 + 200 * 0.19  # 100 epochs in place of 10 on a tenth of the images
    equal = {"train_fractions": (0.1, 1.0), "equal_steps": True}
    assert budget(recorder, budget_gpu_hours=hours(needed + 0.01), **equal).blocked_by(CNN) is None
    assert budget(recorder, budget_gpu_hours=hours(needed - 0.01), **equal).blocked_by(CNN)


def test_the_time_budget_counts_what_has_passed_and_all_that_runs_side_by_side(
    recorder: Recorder,
) -> None:
    add(recorder, "cnn-000", epochs=10, seconds=10)
    add(recorder, "resnet50_scratch-000", epochs=5, seconds=15, status="running")
    clock = Clock(now=100.0)
    limited = budget(recorder, clock, time_budget=(15 + 10 + 20 + 60 + 50) / 3600)
    clock.now += 49.9
    assert limited.blocked_by(CNN) is None
    clock.now += 0.2
    assert limited.blocked_by(CNN) == "time_budget"
    two = budget(recorder, clock, time_budget=(15 + 40.1) / 3600, at_a_time=2)
    assert two.blocked_by(CNN) is None  # 25 and 80 seconds in two slots, but a run of 15 alone
    assert budget(recorder, clock, time_budget=(15 + 39.9) / 3600, at_a_time=2).blocked_by(CNN)


def test_earlier_runs_count_to_their_end_or_their_last_epoch() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)

    def at(minutes: float) -> str:
        return (start + timedelta(minutes=minutes)).isoformat()

    runs = [
        {"started_at": at(0), "ended_at": at(10)},
        {"started_at": at(60), "ended_at": None},  # killed, last heard of at 65
        {"started_at": at(90), "ended_at": None},  # killed before its first epoch
        {"started_at": at(120), "ended_at": None},  # the present one
    ]
    seen = [start + timedelta(minutes=minutes) for minutes in (5, 63, 65, 130)]
    assert earlier_seconds(record({"runs": runs}).runs, seen) == 60 * (10 + 5)


def test_a_search_that_is_refused_proposes_nothing_and_says_after_how_many(
    recorder: Recorder,
) -> None:
    refused: list[str] = []
    search = make_search(recorder, trials=4)
    search._blocked_by = lambda each: "time_budget" if each.name in refused else None
    first = [search.suggest(f"tune-{number}")["trial_id"] for number in range(2)]
    refused.append("cnn")
    assert search.suggest("a")["trial_id"] == "resnet50_scratch-001"
    assert search.ended_early() == {"cnn": {"trials": 1, "setting": "time_budget"}}
    refused.append("resnet50_scratch")
    assert search.suggest("b") is None  # what runs may give something back
    for number, trial_id in enumerate(first):
        recorder.trials[trial_id].stopping = True
        search.on_trial_complete(f"tune-{number}", {"epoch": 1})
    recorder.trials["resnet50_scratch-001"].stopping = True
    search.on_trial_complete("a", {"epoch": 1})
    assert search.suggest("c") == "FINISHED"
    assert not search.has_work()


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve_family: None) -> Driver:
    """A driver of studies with 40 trials of 4 epochs, each of a second on a clock of its own."""
    del curve_family
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setenv("STUDY_CURVE_EPOCH_SECONDS", "1")
    monkeypatch.setattr("time.sleep", sleep)
    for module in ("recorder", "trial"):
        named = f"orchestrator.trials.{module}.time"
        monkeypatch.setattr(named, SimpleNamespace(monotonic=clock))
    monkeypatch.setattr(
        "orchestrator.run.search_phase.Budget", functools.partial(Budget, clock=clock)
    )
    settings = {"trials": 40, "epochs": 4, "grace_period": 1, "seeds": 2}
    return Driver(tmp_path / "results", monkeypatch, settings, slots=1)


def spent(driver: Driver) -> float:
    """Device-seconds of search and finals."""
    final = pd.read_parquet(driver.folder / "final.parquet").drop_duplicates("trial_id")
    trials = pd.read_parquet(driver.folder / "trials.parquet")
    return trials.device_seconds.sum() + final.device_seconds.sum()


@pytest.mark.parametrize("setting", BUDGETS)
def test_a_study_ends_within_its_budget_and_says_what_that_cost_it(
    driver: Driver,
    setting: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    driver.settings[setting] = 60 / 3600
    assert driver.start()
    assert 60 - 2 * 4 <= spent(driver) <= 60
    content = files.read_study(driver.folder).raw
    trials = pd.read_parquet(driver.folder / "trials.parquet")
    assert 1 < len(trials) < 40
    assert content["closed"] == {"curve": {"trials": len(trials), "setting": setting}}
    assert verify(driver.folder, sources=False).problems == []
    events = pd.read_parquet(driver.folder / "events.parquet")
    (said,) = events.detail[events.kind == "budget_reached"]
    assert said.startswith(f"curve ended after {len(trials)} of 40 trials")
    text = (driver.folder / "comparison.md").read_text()
    assert f"which ended the search of curve after {len(trials)} trials; at most 40 trials" in text
    if setting == "time_budget":
        assert content["wall_seconds"] == pytest.approx(spent(driver), abs=1)
    assert status([str(driver.folder), "--json"]) == 0
    (family,) = json.loads(capsys.readouterr().out)["families"]
    assert family["trials"] == len(trials)


@pytest.mark.parametrize("setting", BUDGETS)
def test_resuming_a_finished_study_opens_nothing_again(driver: Driver, setting: str) -> None:
    driver.settings[setting] = 60 / 3600
    assert driver.start()
    before = files.read_study(driver.folder).raw
    assert driver.resume()
    again = files.read_study(driver.folder).raw
    names = ("closed", "choice_sha256", "test_openings")
    assert [again[name] for name in names] == [before[name] for name in names]


def test_a_larger_budget_extends_a_finished_study_and_a_smaller_one_is_refused(
    driver: Driver,
) -> None:
    driver.settings["budget_gpu_hours"] = 60 / 3600
    assert driver.start()
    trials = files.read_study(driver.folder).raw["closed"]["curve"]["trials"]
    with pytest.raises(ValueError, match="budget_gpu_hours must not shrink when a study is resume"):
        driver.resume(budget_gpu_hours=50 / 3600)
    assert driver.resume(budget_gpu_hours=80 / 3600)
    extended = files.read_study(driver.folder).raw
    assert extended["closed"]["curve"]["trials"] > trials
    assert extended["test_openings"] == 2
    assert verify(driver.folder, sources=False).problems == []
    assert driver.resume(budget_gpu_hours=None)
    assert files.read_study(driver.folder).raw["closed"] == {}
    assert verify(driver.folder, sources=False).problems == []


def test_a_killed_driver_goes_on_with_the_same_budget(
    driver: Driver,
) -> None:
    driver.settings["budget_gpu_hours"] = 60 / 3600
    assert driver.start(Moments(kill_at=60)) is None
    assert driver.resume()
    assert 60 - 2 * 4 <= spent(driver) <= 60 + 4  # what was computed again is spent twice
    assert verify(driver.folder, sources=False).problems == []


def test_verify_finds_a_search_that_was_ended_by_no_budget(
    driver: Driver,
) -> None:
    driver.settings["budget_gpu_hours"] = 60 / 3600
    assert driver.start()
    content = files.read_study(driver.folder).raw
    content["settings"]["budget_gpu_hours"] = None
    (driver.folder / "study.json").write_text(json.dumps(content))
    sentences = [problem.sentence for problem in verify(driver.folder, sources=False).problems]
    assert "curve must not be ended by budget_gpu_hours, which is not set" in sentences


def test_the_time_left_is_no_more_than_the_budget_lets_it_be() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    trials = [
        Trained(
            trial_id=f"cnn-{number:03d}",
            family="cnn",
            role="search" if number else BASELINE_ROLE,
            train_fraction=1.0,
            status="completed",
            epochs=10,
            epoch_seconds=10.0,
            wall_seconds=10.0,
            started_at=start + timedelta(seconds=10 * number),
            heard_at=start + timedelta(seconds=10 * number + 10),
            ended_at=start + timedelta(seconds=10 * number + 10),
            sequence=10 * number,
        )
        for number in range(2)
    ]
    settings = {"trials": 100, "epochs": 10, "seeds": 1, "train_fractions": [1.0]}
    study = {
        "started_at": start.isoformat(),
        "cluster": {"max_concurrent": 1, "gpus_per_trial": 0, "cpus_per_trial": 1},
        "settings": {**settings, "families": ["cnn"]},
    }

    def left(*, closed: Any = None, **more: Any) -> float:
        found = forecast_end(
            record({**study, "closed": closed or {}}, **more), trials, (), None, ()
        )
        assert found is not None
        assert found.at == start + timedelta(seconds=20)
        return found.seconds

    assert left() == 98 * 10 + 20
    assert left(budget_gpu_hours=100 / 3600) == 6 * 10 + 20
    assert left(time_budget=100 / 3600) == 80
    assert left(closed={"cnn": {"trials": 2}}) == 20


@pytest.mark.parametrize("flag", ["--budget-gpu-hours", "--time-budget"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much"])
def test_a_budget_that_is_none_is_one_line_and_exit_2(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study([f"{flag}={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert flag.removeprefix("--").replace("-", "_") in line


def test_the_plan_says_what_may_be_spent(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--preset", "demo", "--dry-run", "--budget-gpu-hours", "3", "--time-budget", "2"]
    assert study(arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Budget: 3 device-hours, 1 for each family, finals included." in shown
    assert "Time budget: 2 hours of wall time, finals included." in shown
