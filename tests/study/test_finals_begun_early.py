"""Idle slots of a search begin finals; what a study finds is the same without them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from in_process import Driver, Moments

from orchestrator.status.study_status import read_status
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")

SMALL = {"trials": 5, "epochs": 6, "grace_period": 1, "seeds": 2}
FOUND = ["trial_id", "epoch", "train_loss", "validation_accuracy", "validation_loss"]


def driver_of(folder: Path, monkeypatch: pytest.MonkeyPatch, slots: int) -> Driver:
    return Driver(folder, monkeypatch, SMALL, slots=slots, writes=1.0)


def found(driver: Driver, role: str) -> pd.DataFrame:
    """What the finals of a role have found, whenever they ran."""
    table = pd.read_parquet(driver.folder / "final_epochs.parquet")
    rows = table[table.role == role].sort_values(["trial_id", "epoch"])
    return rows[FOUND].reset_index(drop=True)


def early(moments: Moments) -> list[str]:
    """The finals that were begun before the search was over."""
    last = max(i for i, seen in enumerate(moments.seen) if seen.startswith("end curve-0"))
    return [s for s in moments.seen[:last] if s.startswith("propose curve-") and "-s" in s]


def test_idle_slots_of_a_search_begin_baselines_finals_which_find_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, beside = (driver_of(tmp_path / str(n), monkeypatch, n) for n in (1, 3))
    none, some = Moments(), Moments()
    assert alone.start(none)
    assert beside.start(some)
    assert early(none) == []
    assert "propose curve-baseline-s0-f1" in early(some)
    assert all("-baseline-" in each for each in early(some))
    pd.testing.assert_frame_equal(found(alone, "baseline"), found(beside, "baseline"))
    assert verify(beside.folder, sources=False).problems == []


def test_killed_at_the_end_of_a_search_the_finals_it_has_begun_go_on_and_nothing_was_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Moments()
    assert driver_of(tmp_path / "whole", monkeypatch, 3).start(whole)
    last = max(i for i, seen in enumerate(whole.seen, 1) if seen.startswith("end curve-0"))
    driver = driver_of(tmp_path / "killed", monkeypatch, 3)
    assert driver.start(Moments(kill_at=last)) is None
    begun = pd.read_parquet(driver.folder / "final_epochs.parquet")
    study = json.loads((driver.folder / "study.json").read_text())
    assert len(begun) > 0
    assert "choice" not in study
    assert "test_openings" not in study
    assert len(pd.read_parquet(driver.folder / "final.parquet")) == 0
    problems = verify(driver.folder, sources=False).problems  # it has not ended
    assert [each for each in problems if "final" in each.sentence] == []
    assert read_status(driver.folder, now=None).finals_begun == begun.trial_id.nunique()
    assert driver.resume()
    after = pd.read_parquet(driver.folder / "final_epochs.parquet")
    kept = after.merge(begun, on=["trial_id", "epoch", "reported_at"])
    assert len(kept) == len(begun)
    assert verify(driver.folder, sources=False).problems == []


def test_the_device_seconds_of_a_final_that_a_kill_interrupted_have_all_of_its_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_CURVE_EPOCH_SECONDS", "30")  # so say its rows
    monkeypatch.setattr("time.sleep", lambda _: None)
    whole, driver = Moments(), driver_of(tmp_path / "killed", monkeypatch, 1)
    assert driver_of(tmp_path / "whole", monkeypatch, 1).start(whole)
    fourth = whole.seen.index("report curve-baseline-s0-f1 4") + 1
    assert driver.start(Moments(kill_at=fourth)) is None
    assert driver.resume()
    final = pd.read_parquet(driver.folder / "final.parquet").set_index("trial_id")
    assert (final.loc["curve-baseline-s0-f1"].device_seconds >= 3 * 30).all()
