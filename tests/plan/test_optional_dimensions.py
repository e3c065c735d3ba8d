"""Dimensions that no space has by itself, and that a study searches where it names them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from optuna.distributions import CategoricalDistribution, FloatDistribution

from orchestrator import study
from orchestrator.config.sources import resolve
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.verify.runner import verify
from search_spaces.spaces import ABSENT
from trainables.families import cnn

NAMED = ("space.cnn.class_weights=none,balanced", "space.cnn.mixup=0..0.5")
TINY = {
    "families": "cnn",
    "trials": 3,
    "epochs": 1,
    "grace_period": 1,
    "seeds": 1,
    "train_images": 64,
    "validation_images": 20,
}
SMALLEST = ("space.cnn.width=16", "baseline.cnn.width=16", "space.cnn.dense_units=128")


def planned(*assignments: str) -> FamilyPlan:
    return plan_families(resolve({"families": "cnn"}, config=None, assignments=assignments))[0]


def test_a_study_that_does_not_name_them_is_without_them() -> None:
    plan = planned()
    assert {"class_weights", "mixup"}.isdisjoint({*plan.space, *plan.baseline})


def test_a_study_that_names_them_searches_them_around_a_baseline_without() -> None:
    plan = planned(*NAMED)
    assert plan.space["class_weights"] == CategoricalDistribution(("none", "balanced"))
    assert plan.space["mixup"] == FloatDistribution(0.0, 0.5)
    assert (plan.baseline["class_weights"], plan.baseline["mixup"]) == ("none", 0.0)
    assert plan.deviations == {}
    assert plan.baseline_outside == []


def test_a_baseline_with_them_deviates_and_says_so() -> None:
    plan = planned("baseline.cnn.class_weights=balanced")
    assert plan.deviations == {"class_weights": ("balanced", "none")}


def test_the_dry_run_lists_them_with_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assignments = [word for each in NAMED for word in ("--set", each)]
    given = ["--families", "cnn", "--dataset", "digits", "--dry-run"]
    assert study.main([*given, *assignments]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "class_weights none, balanced none what an image of a class" in shown


def test_a_family_with_a_trainer_of_its_own_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    settings = resolve({"families": "curve"}, config=None, assignments=["space.curve.mixup=0..0.5"])
    message = r"unknown dimension space\.curve\.mixup; choose from skill, fault$"
    with pytest.raises(ValueError, match=message):
        plan_families(settings)


def test_a_study_with_them_runs_goes_on_and_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, TINY, assignments=(*NAMED, *SMALLEST))
    assert driver.start()
    trials = pd.read_parquet(driver.folder / "trials.parquet")
    first: dict[str, Any] = trials.iloc[0].to_dict()
    assert (first["param_class_weights"], first["param_mixup"]) == ("none", 0.0)
    assert trials["param_mixup"].iloc[1:].between(0, 0.5).all()
    assert driver.resume(trials=4)
    assert not verify(driver.folder, sources=False).problems


def test_a_study_of_before_a_dimension_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, baseline = (
        {name: each for name, each in entries.items() if name not in ABSENT}
        for entries in (cnn.FAMILY.search_space, cnn.FAMILY.baseline)
    )
    before = replace(cnn.FAMILY, search_space=space, baseline=baseline)
    driver = Driver(tmp_path, monkeypatch, TINY, assignments=SMALLEST)
    with monkeypatch.context() as patch:
        patch.setattr(cnn, "FAMILY", before)
        assert driver.start()
    first = json.loads((driver.folder / "study.json").read_text())
    assert driver.resume(trials=4)
    after = json.loads((driver.folder / "study.json").read_text())
    assert [after[name] for name in ("spaces", "baselines")] == [
        first[name] for name in ("spaces", "baselines")
    ]
    trials = pd.read_parquet(driver.folder / "trials.parquet")
    assert len(trials) == 4
    assert {*json.loads(trials["params_json"].iloc[-1])} == {*space}
    assert not verify(driver.folder, sources=False).problems


def test_it_does_not_go_on_with_a_newer_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, TINY, assignments=SMALLEST)
    assert driver.start()
    message = r"space\.cnn\.mixup must stay when a study is resumed, but was None and is 0\.\.0\.5"
    with pytest.raises(ValueError, match=message):
        driver.resume(space={"cnn": {"mixup": "0..0.5", "width": "16", "dense_units": "128"}})


@pytest.mark.parametrize(
    ("given", "unused", "used"),
    [
        ("space.cnn.optimizer=sgd space.cnn.learning_rate=1e-3", "learning_rate", "sgd"),
        ("space.cnn.optimizer=adamw space.cnn.weight_decay=0", "weight_decay", "adamw"),
        ("space.cnn.optimizer=adam,adamw space.cnn.sgd_learning_rate=0.1", "sgd_learning_rate", ""),
    ],
)
def test_what_is_said_of_a_dimension_that_no_trial_uses_is_refused(
    given: str, unused: str, used: str
) -> None:
    other = f"{used}_{unused}" if used else unused.removeprefix("sgd_")
    optimizers = used or "adam, adamw"
    message = (
        rf"^space\.cnn\.{unused} must be a dimension that a trial uses, but with optimizer "
        rf"{optimizers} it is {other}$"
    )
    with pytest.raises(ValueError, match=message):
        planned(*given.split())


def test_so_is_what_is_said_of_one_that_the_baseline_does_not_use() -> None:
    with pytest.raises(ValueError, match=r"^baseline\.cnn\.learning_rate must be .* optimizer sgd"):
        planned("baseline.cnn.optimizer=sgd", "baseline.cnn.learning_rate=1e-3")
    plan = planned("baseline.cnn.optimizer=sgd", "baseline.cnn.sgd_learning_rate=0.1")
    assert plan.baseline["sgd_learning_rate"] == 0.1
