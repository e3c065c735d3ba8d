"""Equal steps: finals on fewer images train for more epochs, and everything counts on as many."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from in_process import Driver, Moments
from made_up_inputs import FAMILIES
from made_up_record import record
from tampering import alter

from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.sources import resolve
from orchestrator.retrain import __main__ as retrain
from orchestrator.run import finals
from orchestrator.status.study_status import read_status
from orchestrator.study import main
from orchestrator.verify.runner import verify

EQUAL = {
    "trials": 3,
    "epochs": 2,
    "grace_period": 1,
    "seeds": 2,
    "train_fractions": (0.25, 1.0),
    "equal_steps": True,
}
CNN = {**EQUAL, "families": "cnn", "seeds": 1, "train_images": 128, "validation_images": 40}
# Several steps an epoch on a falling rate: what the schedule reaches to makes a difference.
COSINE = (
    *("space.cnn.schedule=cosine", "space.cnn.batch_size=32", "space.cnn.width=16"),
    *("baseline.cnn.schedule=cosine", "baseline.cnn.batch_size=32", "baseline.cnn.width=16"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A study whose driver was killed twice in the long finals, and what it was sound before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        whole = Driver(tmp_path_factory.mktemp("whole"), patch, EQUAL)
        moments = Moments()
        assert whole.start(moments)
        late = moments.seen.index("report curve-baseline-s0-f0.25 5")
        driver = Driver(tmp_path_factory.mktemp("equal"), patch, EQUAL)
        assert driver.start(Moments(kill_at=late)) is None
        assert driver.resume(Moments(kill_at=12)) is None
        assert driver.resume()
        yield driver


@pytest.fixture(scope="module")
def cnn_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished study of the real network, its learning rate a cosine."""
    with pytest.MonkeyPatch.context() as patch:
        driver = Driver(tmp_path_factory.mktemp("cnn"), patch, CNN, assignments=COSINE)
        assert driver.start()
        yield driver.folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def epochs_by_share(folder: Path) -> dict[float, list[int]]:
    final = read(folder, "final_epochs").groupby(["train_fraction", "trial_id"]).epoch
    assert (final.count() == final.max()).all()
    return {share: sorted(set(own)) for share, own in final.max().groupby("train_fraction")}


def test_a_share_has_the_epochs_that_make_up_for_its_images() -> None:
    settings = {"epochs": 50, "train_fractions": [0.01, 0.3, 0.5]}
    equal = record(**settings, equal_steps=True).settings
    assert [final_epochs(equal, share) for share in (0.5, 0.3, 0.01)] == [50, 83, 2500]
    assert final_epochs(record(**settings, equal_steps=False).settings, 0.01) == 50
    assert final_epochs(record(**settings).settings, 0.01) == 50


def test_a_study_killed_in_long_finals_goes_on_to_their_ends_and_is_sound(finished: Driver) -> None:
    assert epochs_by_share(finished.folder) == {0.25: [8], 1.0: [2]}
    assert set(read(finished.folder, "epochs").groupby("trial_id").epoch.max()) <= {1, 2}
    final = read(finished.folder, "final")
    assert dict(final.groupby("train_fraction").last_epoch.unique().map(list)) == {
        0.25: [8],
        1.0: [2],
    }
    assert verify(finished.folder, sources=False).problems == []


def test_a_long_final_that_lacks_its_last_epochs_is_not_sound(
    finished: Driver, tmp_path: Path
) -> None:
    assert "equal_steps" in json.loads((finished.folder / "study.json").read_text())["settings"]
    copy = tmp_path / finished.folder.name
    shutil.copytree(finished.folder, copy)
    alter("final", {"train_fraction": 0.25}, last_epoch=2)(copy, {})
    said = [problem.sentence for problem in verify(copy, sources=False).problems]
    assert any("last_epoch" in sentence and "8" in sentence for sentence in said)


def test_the_status_counts_on_the_epochs_of_each_share(finished: Driver) -> None:
    status = read_status(finished.folder, now=None).finals
    assert status is not None
    final = read(finished.folder, "final").drop_duplicates("trial_id")
    assert status.epochs == status.epochs_expected == final.last_epoch.sum()
    assert status.epochs_expected == 5 * (len(final) // 2) * 2


def test_the_comparison_says_so(finished: Driver) -> None:
    text = (finished.folder / "comparison.md").read_text()
    assert "for more epochs, so that every size had about the same steps" in text
    assert "fewer images are fewer steps" not in text


@pytest.mark.parametrize("share", ["0.25", "1"])
def test_a_learning_rate_falls_over_a_finals_own_epochs_also_when_it_is_trained_again(
    cnn_study: Path, share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = f"cnn-baseline-s0-f{share}"
    own = read(cnn_study, "final_epochs").query("trial_id == @trial").sort_values("epoch")
    assert len(own) == {"0.25": 8, "1": 2}[share]
    assert own.learning_rate.is_monotonic_decreasing
    assert own.learning_rate.iloc[-1] < own.learning_rate.iloc[0] / 2
    assert retrain.main([str(cnn_study), "--trial", trial]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "same curve, difference 0"
    assert sum(line.startswith("epoch ") for line in lines) == len(own)


def test_a_study_keeps_its_steps_when_it_is_resumed(finished: Driver) -> None:
    with pytest.raises(ValueError, match=r"equal_steps must stay .* was True and is False; start"):
        finished.resume(equal_steps=False)


def test_an_older_study_is_resumed_without_and_its_choice_keeps_its_hash(
    tmp_path: Path, curve_family: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del curve_family
    driver = Driver(tmp_path, monkeypatch, {**EQUAL, "equal_steps": False})
    assert driver.start()
    path = driver.folder / "study.json"
    study = json.loads(path.read_text())
    del study["settings"]["equal_steps"]
    path.write_text(json.dumps(study))
    assert finals.digest(study["choice"], study["settings"]) == study["choice_sha256"]
    assert driver.resume(seeds=3)
    assert epochs_by_share(driver.folder) == {0.25: [2], 1.0: [2]}
    with pytest.raises(ValueError, match=r"equal_steps must stay .* was False and is True"):
        driver.resume(equal_steps=True)


def test_equal_steps_belong_to_the_choice_and_none_of_them_do_not() -> None:
    choice: dict[str, Any] = {"cnn": {"trial_id": "cnn-001"}}
    older = finals.digest(choice, {"seed": 1})
    assert finals.digest(choice, {"seed": 1, "equal_steps": False}) == older
    assert finals.digest(choice, {"seed": 1, "equal_steps": True}) != older


@pytest.mark.parametrize("tuned", [(), ("--tune-per-fraction",)])
def test_the_plan_says_how_long_finals_train_and_counts_it(
    tuned: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--families", "cnn", "--dataset", "digits", "--trials", "10", "--epochs", "10"]
    shares = ["--train-fractions", "0.1,0.3,1.0", "--equal-steps", "--seeds", "1"]
    assert main([*flags, *shares, *tuned, "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    kept = "; the searches at these keep theirs" if tuned else ""
    assert f"train 10 epochs at train fraction 1, 33 at 0.3, 100 at 0.1{kept}." in said
    assert "Finals: up to 6 runs, 286 epochs." in said


def test_a_single_share_has_no_others_to_be_equal_to() -> None:
    with pytest.raises(ValueError, match="equal_steps must go with two train_fractions or more"):
        resolve({"equal_steps": True}, config=None, assignments=[])
