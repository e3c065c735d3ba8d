"""A study survives the death of its driver at any moment, and its rows prove it."""

import io
import itertools
import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from in_process import Driver, Moments
from rich.console import Console
from tampering import alter

from orchestrator.config.samplers import INCUMBENT_TPE, MULTIVARIATE_TPE, RANDOM, TPE
from orchestrator.results.files import read_study
from orchestrator.run import finals
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")

SMALL = {"trials": 5, "epochs": 4, "grace_period": 1, "seeds": 2}
TIMES = ["started_at", "ended_at", "device_seconds", "attempts", "attempt", "reported_at", "at"]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("STUDY_CURVE_LEDGER", str(tmp_path / "ledger"))
    return Driver(tmp_path / "results", monkeypatch, SMALL)


def read(driver: Driver, name: str) -> pd.DataFrame:
    table = pd.read_parquet(driver.folder / f"{name}.parquet")
    return table.drop(columns=TIMES, errors="ignore")


def must_be_sound(driver: Driver) -> None:
    verdict = verify(driver.folder, sources=False)
    assert verdict.problems == []


def must_have_computed_again_at_most_one_epoch_per_death(driver: Driver, deaths: int) -> None:
    """Each line of a trial's ledger goes on where its last one was, or repeats that one."""
    lines = (driver.results_dir.parent / "ledger").read_text().splitlines()
    begun: dict[str, list[int]] = {}
    for trial, epoch in (line.split() for line in lines):
        begun.setdefault(trial, []).append(int(epoch))
    for trial, epochs in begun.items():
        assert epochs[0] == 1
        for last, following in itertools.pairwise(epochs):
            assert following in {last, last + 1}, (trial, epochs)
        assert len(epochs) - len(set(epochs)) <= deaths


def test_f5_a_study_goes_on_where_the_memory_of_a_device_did_not_do(driver: Driver) -> None:
    driver.assignments = ("space.curve.fault=memory",)
    driver.settings = {**SMALL, "grace_period": 2}
    assert driver.start()
    must_be_sound(driver)
    trials = pd.read_parquet(driver.folder / "trials.parquet").set_index("trial_id")
    events = pd.read_parquet(driver.folder / "events.parquet")
    short = events[events.kind == "out_of_memory"]
    assert "CUDA out of memory" in short.detail.iloc[0]
    for trial_id, trial in trials.iterrows():
        assert trial.status in {"completed", "stopped"}
        assert trial.attempts == (2 if trial.param_fault == "memory" else 1)
        assert (short.trial_id == trial_id).sum() == trial.attempts - 1


def test_a_study_without_a_fault_is_sound(driver: Driver) -> None:
    assert driver.start()
    must_be_sound(driver)
    must_have_computed_again_at_most_one_epoch_per_death(driver, 0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("slots", [1, 3])
def test_f1_a_driver_killed_again_and_again_loses_no_row_and_computes_none_twice(
    driver: Driver, seed: int, slots: int
) -> None:
    draw, driver.slots, deaths = random.Random(seed), slots, 0
    rows = dict.fromkeys(("trials", "epochs", "rungs", "final_epochs", "final"), 0)
    done = driver.start(Moments(kill_at=draw.randint(2, 60)), order=seed)
    while done is None:
        deaths += 1
        for name, before in rows.items():
            rows[name] = len(read(driver, name))
            assert rows[name] >= before, name
        done = driver.resume(Moments(kill_at=draw.randint(3, 60)), order=seed + deaths)
    assert deaths > 0
    assert done
    must_be_sound(driver)
    must_have_computed_again_at_most_one_epoch_per_death(driver, deaths)
    trials = read(driver, "trials")
    assert trials.trial_id.tolist() == [f"curve-{number:03d}" for number in range(5)]
    events = pd.read_parquet(driver.folder / "events.parquet")
    assert (events.kind == "test_opened").sum() == 1
    runs = json.loads((driver.folder / "study.json").read_text())["runs"]
    assert [run["outcome"] for run in runs] == [*["killed"] * deaths, "completed"]


@pytest.mark.parametrize(
    ("writes", "kill_before", "every"),
    [
        pytest.param(0.0, ("report", "end"), 2, id="with nothing on disk but checkpoints"),
        # The tables are written in turn, so that each seventh file is now one and now another.
        pytest.param(1.0, ("write",), 7, id="between two files"),
    ],
)
def test_f1_killed_at_any_one_moment_the_study_ends_as_if_nothing_had_happened(
    writes: float,
    kill_before: tuple[str, ...],
    every: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = {"trials": 3, "epochs": 2, "grace_period": 1, "seeds": 1}
    whole = Driver(tmp_path / "whole", monkeypatch, tiny, slots=1, writes=writes)
    moments = Moments()
    assert whole.start(moments, order=5)
    kills = [n for n, what in enumerate(moments.seen, 1) if n > 1 and what.startswith(kill_before)]
    for kill_at in kills[::every]:
        killed = Driver(
            tmp_path / "killed", monkeypatch, tiny, slots=1, name=f"at-{kill_at}", writes=writes
        )
        assert killed.start(Moments(kill_at=kill_at), order=5) is None
        assert killed.resume(order=6)
        must_be_sound(killed)
        for name in ("trials", "epochs", "rungs", "final", "final_epochs", "predictions"):
            expected, found = read(whole, name), read(killed, name)
            drop = ["study"]
            pd.testing.assert_frame_equal(expected.drop(columns=drop), found.drop(columns=drop))


def test_a_trial_that_no_table_had_yet_goes_on_as_it_was_proposed(driver: Driver) -> None:
    driver.slots, driver.writes = 3, 0.0
    moments = Moments()
    driver.start(moments)
    third_epoch = next(n for n, what in enumerate(moments.seen, 1) if what.endswith(" 3"))
    driver.name = "killed"
    assert driver.start(Moments(kill_at=third_epoch)) is None
    assert len(read(driver, "trials")) == 0
    claims = {
        path.name: json.loads((path / "attempt.json").read_text())
        for path in (driver.folder / "checkpoints").iterdir()
    }
    assert len(claims) > 1
    assert driver.resume(order=9)
    must_be_sound(driver)
    trials = pd.read_parquet(driver.folder / "trials.parquet").set_index("trial_id")
    for trial_id, claim in claims.items():
        assert json.loads(trials.params_json[trial_id]) == claim["trial"]["params"]
        assert trials.attempts[trial_id] == 2


def test_more_trials_extend_a_finished_study_and_its_new_choice_is_a_second_opening(
    driver: Driver,
) -> None:
    driver.settings = {**SMALL, "trials": 3}
    assert driver.start()
    before, first = read(driver, "epochs"), json.loads((driver.folder / "study.json").read_text())
    assert driver.resume(trials=12, seeds=3)
    must_be_sound(driver)
    after, second = read(driver, "epochs"), json.loads((driver.folder / "study.json").read_text())
    pd.testing.assert_frame_equal(before, after.head(len(before)))
    assert len(read(driver, "trials")) == 12
    assert first["choice"] != second["choice"], "the test needs a seed with another winner"
    assert second["test_openings"] == 2
    assert "opened 2 times" in (driver.folder / "comparison.md").read_text()
    events = pd.read_parquet(driver.folder / "events.parquet")
    assert events[events.kind == "settings_changed"].detail.tolist() == [
        "trials: 3 -> 12",
        "seeds: 2 -> 3",
    ]
    assert set(events[events.kind == "final_superseded"].detail) == {
        f"curve-tuned-s{seed}-f1 was of an earlier winner" for seed in (0, 1)
    }
    ledger = (driver.results_dir.parent / "ledger").read_text().splitlines()
    assert len(ledger) == len(set(ledger)), "what was there was computed again"


def test_f1_an_extension_killed_between_any_two_files_tests_its_new_winner_and_not_the_old_one(
    driver: Driver,
) -> None:
    driver.settings, driver.slots = {**SMALL, "trials": 3, "epochs": 2, "seeds": 1}, 1
    assert driver.start(order=5)
    finished, whole, moments = driver.folder, replace(driver, name="whole"), Moments()
    shutil.copytree(finished, whole.folder)
    assert whole.resume(moments, order=6, trials=8)
    expected = read(whole, "final")
    assert not expected.equals(read(driver, "final")), "the test needs a seed with another winner"
    chosen = moments.seen.index("write trials", moments.seen.index("end curve-007"))
    writes = [n for n, what in enumerate(moments.seen, 1) if n >= chosen and "write" in what]
    for kill_at in writes[::5]:
        killed = replace(driver, name=f"at-{kill_at}")
        shutil.copytree(finished, killed.folder)
        assert killed.resume(Moments(kill_at=kill_at), order=6, trials=8) is None
        assert killed.resume(order=7)
        must_be_sound(killed)
        pd.testing.assert_frame_equal(expected, read(killed, "final"))


def test_more_seeds_extend_a_finished_study_and_nothing_is_computed_again(driver: Driver) -> None:
    assert driver.start()
    before = read(driver, "final")
    assert driver.resume(seeds=4)
    must_be_sound(driver)
    after = read(driver, "final")
    assert sorted(after.seed) == [0, 0, 1, 1, 2, 2, 3, 3]
    kept = after[after.seed < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, kept)
    ledger = (driver.results_dir.parent / "ledger").read_text().splitlines()
    assert len(ledger) == len(set(ledger))


def test_a_study_that_is_older_than_a_setting_is_resumed_with_its_default(driver: Driver) -> None:
    assert driver.start()
    path = driver.folder / "study.json"
    study = json.loads(path.read_text())
    for name in ("tune_per_fraction", "budget_gpu_hours", "time_budget", "epoch_time_limit"):
        del study["settings"][name]
    del study["closed"]
    then = finals.digest(study["choice"], study["settings"])
    study["choice_sha256"] = then
    alter("events", {"kind": "test_opened"}, detail=then)(driver.folder, {})
    path.write_text(json.dumps(study))
    assert driver.resume()
    assert json.loads(path.read_text())["test_openings"] == 1
    with pytest.raises(ValueError, match="tune_per_fraction must stay"):
        driver.resume(tune_per_fraction=True, train_fractions=(0.5, 1.0))


def test_a_study_from_before_late_rungs_were_left_out_goes_on_with_the_rungs_it_had(
    driver: Driver,
) -> None:
    driver.settings = {**SMALL, "epochs": 3}
    assert driver.start(Moments(kill_at=12)) is None
    path = driver.folder / "study.json"
    study = json.loads(path.read_text())
    assert study.pop("rungs") == [1]
    path.write_text(json.dumps(study))
    assert driver.resume(Moments(kill_at=12)) is None
    assert driver.resume()
    must_be_sound(driver)
    assert json.loads(path.read_text())["rungs"] == [1, 3]
    assert set(read(driver, "rungs").rung) == {1, 3}
    ended = json.loads(path.read_text())
    del ended["rungs"]
    path.write_text(json.dumps(ended))
    must_be_sound(driver)


@pytest.mark.parametrize(
    ("sampler", "earlier"),
    [
        (INCUMBENT_TPE, None),
        (RANDOM, None),
        (TPE, {"sampler": {"name": "TPE", "multivariate": False}}),
        (MULTIVARIATE_TPE, {"sampler": {"name": "TPE", "multivariate": True}}),
        (MULTIVARIATE_TPE, {}),
    ],
)
def test_a_study_goes_on_with_the_sampler_it_began_with_also_one_older_than_the_setting(
    driver: Driver, sampler: str, earlier: Mapping[str, Any] | None
) -> None:
    driver.settings = {"trials": 16, "epochs": 1, "grace_period": 1, "seeds": 1}
    driver.settings["sampler"] = sampler
    driver.assignments = ("space.curve.fault=none,error_once",)  # in an epoch that does not come
    driver.slots = 1
    assert driver.start()
    expected = read(driver, "trials").param_skill
    driver.name, driver.settings["trials"] = "extended", 12
    assert driver.start()
    path = driver.folder / "study.json"
    study = json.loads(path.read_text())
    assert study["settings"]["sampler"] == sampler
    if earlier is not None:
        del study["settings"]["sampler"], study["sampler"]
        path.write_text(json.dumps(study | earlier))
    del driver.settings["sampler"]
    assert driver.resume(trials=16)
    must_be_sound(driver)
    assert read_study(driver.folder).sampler_name == sampler
    found = read(driver, "trials").param_skill
    assert (found == expected).all()


def test_samplers_differ_once_ten_trials_have_ended(driver: Driver) -> None:
    driver.settings = {"trials": 16, "epochs": 1, "grace_period": 1, "seeds": 1}
    driver.assignments = ("space.curve.fault=none,error_once",)  # in an epoch that does not come
    driver.slots = 1
    points = {}
    for sampler in (INCUMBENT_TPE, RANDOM):
        driver.name, driver.settings["sampler"] = sampler, sampler
        assert driver.start()
        points[sampler] = read(driver, "trials").param_skill
    found = points[INCUMBENT_TPE] != points[RANDOM]
    assert list(found) == [False] * 10 + [True] * 6


def test_resuming_says_what_had_been_done_and_that_the_plan_is_of_the_whole(
    driver: Driver,
) -> None:
    assert driver.start()
    driver.console = Console(file=io.StringIO(), width=300)
    assert driver.resume(trials=6)
    epochs = len(read(driver, "epochs")[read(driver, "epochs").trial_id != "curve-005"])
    assert (
        f"All of this is of the whole study. Of the search 5 trials had ended and {epochs} epochs "
        "were trained before, of the finals 4 runs were tested."
    ) in driver.console.file.getvalue()


def test_resuming_a_finished_study_as_it_is_changes_no_row(driver: Driver) -> None:
    assert driver.start()
    names = ("trials", "epochs", "rungs", "final", "final_epochs", "predictions", "comparison")
    before = {name: read(driver, name) for name in names}
    assert driver.resume()
    must_be_sound(driver)
    for name in names:
        pd.testing.assert_frame_equal(before[name], read(driver, name))


def test_a_family_given_up_stays_so_after_a_kill_and_is_tried_again_once_the_study_has_ended(
    driver: Driver,
) -> None:
    driver.assignments = ("space.curve.fault=error", "baseline.curve.fault=error")
    driver.settings = {**SMALL, "grace_period": 4}  # none is stopped before it meets the bug
    driver.slots, driver.writes = 1, 1.0
    moments = Moments()
    assert driver.start(moments) is False
    halted = next(
        n for n, what in enumerate(moments.seen, 1) if what == "write study.json" and n > 1
    )
    driver.name = "killed"
    assert driver.start(Moments(kill_at=halted)) is None
    failed = read(driver, "trials")
    assert driver.resume() is False
    pd.testing.assert_frame_equal(failed, read(driver, "trials"))
    assert driver.resume() is False  # the study had ended: the family gets another chance
    assert len(read(driver, "trials")) > len(failed)


def test_f1_a_real_network_killed_in_the_middle_learns_what_it_would_have_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cnn = {"families": "cnn", "trials": 2, "epochs": 2, "grace_period": 1, "seeds": 1}
    cnn |= {"train_images": 60, "validation_images": 30}
    narrow = ("space.cnn.width=16", "baseline.cnn.width=16")
    whole, killed = (
        Driver(tmp_path / name, monkeypatch, cnn, assignments=narrow, slots=1, writes=0.5)
        for name in ("whole", "killed")
    )
    moments = Moments()
    assert whole.start(moments)
    middle = moments.seen.index("report cnn-001 1") + 1
    assert killed.start(Moments(kill_at=middle)) is None
    assert killed.resume()
    must_be_sound(killed)
    measured = ["epoch_seconds", "images_per_second", "train_seconds"]
    for name in ("trials", "epochs", "rungs", "final", "final_epochs", "predictions"):
        expected, found = (
            read(study, name).drop(columns=measured, errors="ignore") for study in (whole, killed)
        )
        pd.testing.assert_frame_equal(expected, found, check_exact=True)
    choices = [
        json.loads((study.folder / "study.json").read_text())["choice"]["cnn"]["trial_id"]
        for study in (whole, killed)
    ]
    assert choices[0] == choices[1]
