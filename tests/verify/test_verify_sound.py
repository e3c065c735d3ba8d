"""Verify raises no false alarm, whatever a study had to go through."""

from pathlib import Path
from typing import Any

import pytest
from in_process import NO_FAULTS, Driver, Moments
from made_up_inputs import add_family, weights_file

from orchestrator.results import files
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")

SMALL = {"trials": 4, "epochs": 3, "grace_period": 1, "seeds": 2}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(tmp_path / "results", monkeypatch, SMALL)


def must_be_sound(driver: Driver) -> dict[str, Any]:
    assert verify(driver.folder, sources=True).problems == []
    return files.read_study(driver.folder).raw


def statuses(driver: Driver, family: str = "curve") -> list[str]:
    trials = files.read_table(driver.folder, "trials").to_pylist()
    return [row["status"] for row in trials if row["family"] == family]


@pytest.mark.parametrize(
    ("settings", "assignments"),
    [
        ({"trials": 1}, NO_FAULTS),
        ({"epochs": 1}, NO_FAULTS),
        ({"trials": 12, "epochs": 9, "reduction_factor": 2}, NO_FAULTS),
        ({"train_fractions": "0.1,1.0", "seeds": 3, "trials": 3}, NO_FAULTS),
        ({"train_images": 100, "validation_images": 50}, NO_FAULTS),
        ({}, (*NO_FAULTS, "space.curve.skill=0.6..0.9")),
        ({"trials": 8}, ("space.curve.fault=none,nan,error_once",)),
    ],
    ids=[
        "the baseline alone",
        "one epoch",
        "many rungs",
        "fractions and seeds",
        "limited data",
        "a space that the baseline lies outside of",
        "diverged and retried trials",
    ],
)
def test_a_study_is_sound(
    settings: dict[str, Any], assignments: tuple[str, ...], driver: Driver
) -> None:
    driver.settings, driver.assignments = {**SMALL, **settings}, assignments
    assert driver.start() is not None
    must_be_sound(driver)


def test_a_study_whose_winner_is_its_baseline_is_sound(driver: Driver) -> None:
    driver.assignments = (*NO_FAULTS, "baseline.curve.skill=1.0")
    assert driver.start()
    assert must_be_sound(driver)["choice"]["curve"]["baseline_won"]


def test_an_incomplete_study_with_a_family_that_was_given_up_is_sound(
    driver: Driver, tmp_path: Path
) -> None:
    add_family(tmp_path / "families", driver.monkeypatch, "second")
    driver.settings = {**SMALL, "families": "curve,second", "grace_period": 3}
    driver.assignments = (
        *("space.curve.fault=error", "baseline.curve.fault=error"),
        "space.second.fault=none",
    )
    assert driver.start() is False
    study = must_be_sound(driver)
    assert (study["outcome"], list(study["halted"])) == ("incomplete", ["curve"])
    assert list(study["choice"]) == ["second"]


@pytest.mark.parametrize("fault", ["nan", "error"])
def test_an_incomplete_study_in_which_no_trial_finished_is_sound(
    fault: str, driver: Driver
) -> None:
    driver.settings = {**SMALL, "grace_period": 3}  # no trial is stopped before its fault
    driver.assignments = (f"space.curve.fault={fault}", f"baseline.curve.fault={fault}")
    assert driver.start() is False
    study = must_be_sound(driver)
    assert (study["outcome"], study["choice"]) == ("incomplete", {})
    assert not {"completed", "stopped"} & set(statuses(driver))


@pytest.mark.parametrize("fault", ["nan", "error"])
def test_a_study_whose_baseline_cannot_be_trained_is_sound_also_once_it_was_resumed(
    fault: str, driver: Driver
) -> None:
    driver.assignments = (*NO_FAULTS, f"baseline.curve.fault={fault}")
    assert driver.start() is False
    assert must_be_sound(driver)["outcome"] == "incomplete"
    assert {row["role"] for row in files.read_table(driver.folder, "final").to_pylist()} == {
        "tuned"
    }
    assert driver.resume() is False
    must_be_sound(driver)
    events = files.read_table(driver.folder, "events").to_pylist()
    why = "curve-baseline-s0-f1 was not tested, and has no checkpoint to go on from"
    assert why in [row["detail"] for row in events]
    assert not [row for row in events if "no checkpoint is intact" in row["detail"]]


def test_a_study_that_was_killed_resumed_and_extended_is_sound(driver: Driver) -> None:
    assert driver.start(Moments(kill_at=20)) is None
    assert driver.resume(Moments(kill_at=20)) is None
    assert driver.resume()
    must_be_sound(driver)
    assert driver.resume(trials=9, seeds=3, train_fractions="0.5,1.0")
    assert must_be_sound(driver)["test_openings"] == 2
    notes = verify(driver.folder, sources=False).notes
    assert notes == ["the test part was opened 2 times, for different choices"]


def test_a_warm_started_study_is_sound_also_once_it_was_extended(driver: Driver) -> None:
    assert driver.start()
    driver.settings = {**SMALL, "warm_start": str(driver.folder)}
    driver.name = "second"
    assert driver.start()
    must_be_sound(driver)
    assert driver.resume(trials=8)
    must_be_sound(driver)


def test_a_study_with_pretrained_weights_is_sound(driver: Driver, tmp_path: Path) -> None:
    add_family(tmp_path / "families", driver.monkeypatch, "pretrained", pretrained=True)
    weights = weights_file(tmp_path / "weights.safetensors")
    driver.settings = {**SMALL, "families": "curve,pretrained", "weights": str(weights)}
    driver.assignments = (*NO_FAULTS, "space.pretrained.fault=none")
    assert driver.start()
    assert must_be_sound(driver)["weights"]["name"] == "weights.safetensors"
    assert verify(driver.folder, sources=True).notes == []
