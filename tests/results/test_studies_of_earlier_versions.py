"""Studies that earlier versions wrote, as they wrote them (names of machines and folders apart)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from in_process import Driver

from orchestrator.compare.__main__ import main as compare
from orchestrator.export.__main__ import main as export
from orchestrator.report.__main__ import main as report
from orchestrator.results import load_study
from orchestrator.retrain.__main__ import main as retrain
from orchestrator.status.__main__ import main as status
from orchestrator.verify.__main__ import main as verify

STORED = sorted(
    path for path in (Path(__file__).parent / "stored").iterdir() if (path / "study.json").is_file()
)
pytestmark = pytest.mark.usefixtures("curve_family")
KEYS = ["train_fraction", "seed", "a_family", "a_role", "b_family", "b_role", "metric"]


@pytest.fixture(params=STORED, ids=lambda path: path.name)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one."""
    return Path(shutil.copytree(request.param, tmp_path / "mine"))


@pytest.mark.parametrize("command", [verify, compare, report, status])
def test_each_command_that_reads_a_study_reads_one_of_an_earlier_version(
    study: Path, command: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([str(study)]) == 0, capsys.readouterr()


def test_load_study_reads_it(study: Path) -> None:
    loaded = load_study(study)
    assert loaded.epochs.trial_id.isin(loaded.trials.trial_id).all()
    assert {each.trial_id for each in loaded.choice.values()} <= {*loaded.trials.trial_id}
    assert loaded.answer is None  # it has no comparison.md


def test_its_tables_and_winners_can_be_exported(study: Path, tmp_path: Path) -> None:
    given = ("--csv", str(tmp_path / "csv"), "--optuna", str(tmp_path / "journal"))
    assert export([str(study), "--output", str(tmp_path / "winners"), *given]) == 0
    assert len([*(tmp_path / "csv").glob("*.csv")]) == len([*study.glob("*.parquet")])


def test_differences_that_are_computed_again_are_those_it_stored(study: Path) -> None:
    before = pd.read_parquet(study / "comparison.parquet")
    assert compare([str(study)]) == 0
    after = pd.read_parquet(study / "comparison.parquet")
    assert len(after) == len(before)
    if len(before):
        both = before.merge(after, on=KEYS, suffixes=("", "_again"))
        assert len(both) == len(before)
        assert (both["difference"] - both["difference_again"]).abs().max() < 1e-9


def test_it_is_resumed_and_its_trials_are_kept(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pd.read_parquet(study / "trials.parquet")
    driver = Driver(tmp_path, monkeypatch)
    assert driver.resume(accept=True, trials=len(before) + 1)
    after = pd.read_parquet(study / "trials.parquet")
    assert len(after) == len(before) + 1
    columns = ["trial_id", "status", "validation_accuracy", "params_json"]
    pd.testing.assert_frame_equal(after[columns][: len(before)], before[columns])
    assert verify([str(study)]) == 0


def test_a_trial_of_it_is_trained_again_to_the_same_numbers(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = pd.read_parquet(study / "trials.parquet")
    whole = trials[trials["status"] == "completed"].iloc[0]
    assert retrain([str(study), "--trial", whole["trial_id"]]) == 0, capsys.readouterr()


def test_it_is_resumed_with_the_same_choice_under_the_same_settings(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study / "study.json"
    before = json.loads(path.read_text())
    assert Driver(tmp_path, monkeypatch).resume(accept=True)
    after = json.loads(path.read_text())
    new = after["settings"].keys() - before["settings"].keys()
    assert new == {"precision", "sampler"} - before["settings"].keys()  # that it ran with
    for name in ("choice", "choice_sha256", "test_openings"):
        assert after[name] == before[name]
