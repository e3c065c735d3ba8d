"""A trial trained again gives its curve again, and says so; nothing in the study changes."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from safetensors.numpy import save_file
from tampering import alter

from orchestrator.results import files
from orchestrator.retrain import __main__ as retrain
from orchestrator.retrain import reproduce

pytestmark = pytest.mark.usefixtures("curve_family")

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"trials": 2, "epochs": 2, "grace_period": 2, "seeds": 1}
CNN = {
    **SMALL,
    "families": "cnn",
    "train_images": 100,
    "validation_images": 40,
    "train_fractions": (0.5, 1.0),
}
# Several steps an epoch on a falling rate: what the schedule reaches to makes a difference.
SMALL_CNN = (
    *("space.cnn.schedule=cosine", "space.cnn.batch_size=32"),
    *("space.cnn.width=16", "baseline.cnn.width=16"),
)
PRETRAINED = '''
"""Is a family that needs weights given the right ones?"""
import dataclasses
from trainables.families import curve
FAMILY = dataclasses.replace(curve.FAMILY, name="pretrained_curve", pretrained=True)
'''


@pytest.fixture(scope="module")
def cnn_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished study of the real network on 100 digits, its learning rate a cosine."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        driver = Driver(
            tmp_path_factory.mktemp("results"),
            monkeypatch,
            CNN,
            assignments=SMALL_CNN,
        )
        assert driver.start()
        yield driver.folder


@pytest.fixture
def curve_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    driver = Driver(tmp_path / "results", monkeypatch, SMALL)
    assert driver.start()
    return driver.folder


def everything_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def change(folder: Path, name: str, column: str, value: Any, **where: Any) -> None:
    """Changes a value in a table of a study."""
    alter(name, where, **{column: value})(folder, {})


def change_study(folder: Path, **content: Any) -> None:
    study = {**files.read_study(folder).raw, **content}
    (folder / "study.json").write_text(json.dumps(study))


def test_a_trial_of_the_cnn_gives_the_same_curve_to_the_last_bit(
    cnn_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything_in(cnn_study)
    assert retrain.main([str(cnn_study), "--trial", "cnn-001"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "same curve, difference 0"
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert everything_in(cnn_study) == before


def test_a_stopped_trial_is_trained_as_long_as_it_ran_on_the_schedule_of_a_whole_one(
    cnn_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = shutil.copytree(cnn_study, tmp_path / "stopped")
    change(stopped, "epochs", "trial_id", "cnn-000", trial_id="cnn-001", epoch=2)
    change(stopped, "trials", "status", "stopped", trial_id="cnn-001")
    assert retrain.main([str(stopped), "--trial", "cnn-001"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "same curve, difference 0"
    assert sum(line.startswith("epoch ") for line in lines) == 1


@pytest.mark.parametrize("fraction", ["0.5", "1"])
def test_a_final_run_gives_the_same_curve_with_its_own_seed_and_share_of_the_images(
    cnn_study: Path, fraction: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retrain.main([str(cnn_study), "--trial", f"cnn-baseline-s0-f{fraction}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "same curve, difference 0"


def test_each_epoch_is_printed_as_it_was_and_as_it_is(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(curve_study, "epochs", "validation_loss", 0.25, trial_id="curve-000", epoch=2)
    assert retrain.main([str(curve_study), "--trial", "curve-000"]) == 0
    printed = capsys.readouterr().out
    rows = pd.read_parquet(curve_study / "epochs.parquet").query("trial_id == 'curve-000'")
    now = 1 - rows.validation_accuracy.to_list()[1]
    assert f"epoch 2: validation loss 0.250000 then, {now:.6f} now; " in printed
    difference = f"{now - 0.25:.3g}"
    assert f"largest difference to the stored curve: {difference} (validation_loss, epoch 2)" in (
        printed
    )
    assert "same curve" not in printed


def test_what_may_explain_a_difference_is_said(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(curve_study, "epochs", "validation_loss", 0.25, trial_id="curve-000", epoch=1)
    study = files.read_study(curve_study).raw
    change_study(
        curve_study, environment={**study["environment"], "torch": "1.0"}, code_sha256="another"
    )
    assert retrain.main([str(curve_study), "--trial", "curve-000"]) == 0
    printed = capsys.readouterr().out
    assert f"  torch: 1.0 then, {study['environment']['torch']} now\n" in printed
    assert "  code: SHA-256 another " in printed
    assert "numpy:" not in printed


def test_a_trial_that_ran_out_of_memory_may_differ_for_its_batches(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(curve_study, "epochs", "validation_loss", 0.25, trial_id="curve-000", epoch=1)
    change(curve_study, "events", "trial_id", "curve-000", kind="test_opened")
    change(curve_study, "events", "kind", "out_of_memory", trial_id="curve-000")
    assert retrain.main([str(curve_study), "--trial", "curve-000"]) == 0
    assert "its batches may have been cut into parts" in capsys.readouterr().out


def test_a_difference_that_nothing_known_explains_is_called_that(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(curve_study, "epochs", "validation_loss", 0.25, trial_id="curve-000", epoch=1)
    assert retrain.main([str(curve_study), "--trial", "curve-000"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "  nothing: device, versions and code are as study.json says"


def test_a_trial_that_diverged_is_trained_until_it_does_so_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults = ("space.curve.fault=nan", "baseline.curve.fault=nan")
    driver = Driver(tmp_path, monkeypatch, {**SMALL, "trials": 1}, assignments=faults)
    assert not driver.start()
    assert retrain.main([str(driver.folder), "--trial", "curve-000"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "epoch 2: diverged then, diverged now",
        "same curve, difference 0",
    ]
    healthy = {"skill": 0.5, "fault": "none"}
    change(driver.folder, "trials", "params_json", json.dumps(healthy))
    assert retrain.main([str(driver.folder), "--trial", "curve-000"]) == 0
    printed = capsys.readouterr().out
    assert "epoch 2: diverged then, did not now" in printed
    assert "the curves end otherwise: see epoch 2" in printed


def test_the_new_curve_is_written_with_the_columns_of_the_epochs(
    curve_study: Path, awkward_path: Path
) -> None:
    output = awkward_path / "new folder" / "curve.parquet"
    arguments = [str(curve_study), "--trial", "curve-001", "--output", str(output)]
    assert retrain.main(arguments) == 0
    stored, new = pd.read_parquet(curve_study / "epochs.parquet"), pd.read_parquet(output)
    assert list(new.columns) == list(stored.columns)
    stored = stored[stored.trial_id == "curve-001"].reset_index(drop=True)
    unlike = ["sequence", "reported_at", "study"]
    pd.testing.assert_frame_equal(new.drop(columns=unlike), stored.drop(columns=unlike))
    assert new.study.unique().tolist() == ["mine"]
    assert [path.name for path in output.parent.iterdir()] == ["curve.parquet"]


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that wrong input is answered with."""
    assert retrain.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_an_unknown_trial_is_answered_with_the_trials_there_are(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = answer([str(curve_study), "--trial", "curve-9"], capsys)
    assert "but got 'curve-9'; choose from curve-000, curve-001, curve-" in error


def test_of_many_trials_those_whose_names_are_most_alike_are_named() -> None:
    names = [
        f"{family}-{number:03d}" for family in ("cnn", "resnet50_scratch") for number in range(32)
    ]
    choices = reproduce.choices_for("cnn-32", names)
    assert choices.startswith("cnn-0")
    assert choices.endswith(" and 54 more")
    assert "resnet" not in choices


def test_a_folder_that_is_no_study_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "has no study.json" in answer([str(tmp_path), "--trial", "cnn-000"], capsys)


def test_a_trial_without_an_epoch_is_refused(
    curve_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(curve_study, "epochs", "trial_id", "curve-000", trial_id="curve-001")
    error = answer([str(curve_study), "--trial", "curve-001"], capsys)
    assert "must have an epoch to be compared, but curve-001" in error


@pytest.mark.parametrize("what", ["file", "split"])
def test_other_data_or_another_split_are_refused_with_both_hashes(
    curve_study: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = files.read_study(curve_study).raw["dataset"]
    found = dataset["files"]["digits.csv.gz"] if what == "file" else dataset["split_sha256"]
    changed = {"files": {"digits.csv.gz": "0a1b"}} if what == "file" else {"split_sha256": "0a1b"}
    change_study(curve_study, dataset={**dataset, **changed})
    error = answer([str(curve_study), "--trial", "curve-000"], capsys)
    named = "digits.csv.gz" if what == "file" else "the split"
    assert f"{named} must have SHA-256 0a1b as recorded" in error
    assert found in error


def test_other_weights_are_refused_and_the_same_ones_may_lie_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    families = tmp_path / "families"
    families.mkdir()
    (families / "pretrained_curve.py").write_text(PRETRAINED)
    monkeypatch.setenv("STUDY_FAMILY_PATH", os.pathsep.join([str(FAMILIES), str(families)]))
    given = [tmp_path / name for name in ("one.safetensors", "two.safetensors")]
    for number, file in enumerate(given):
        save_file({"conv1.weight": np.full(1, number, np.float32)}, file)
    settings = {**SMALL, "families": "pretrained_curve", "weights": str(given[0])}
    driver = Driver(
        tmp_path / "results", monkeypatch, settings, ("space.pretrained_curve.fault=none",)
    )
    assert driver.start()
    moved = given[0].rename(tmp_path / "moved.safetensors")
    arguments = [str(driver.folder), "--trial", "pretrained_curve-000"]
    assert f"a file that exists, but {given[0]} does not" in answer(arguments, capsys)
    recorded = files.read_study(driver.folder).raw["weights"]["sha256"]
    error = answer([*arguments, "--weights", str(given[1])], capsys)
    assert f"{given[1]} must have SHA-256 {recorded} as recorded, but has " in error
    assert retrain.main([*arguments, "--weights", str(moved)]) == 0
    assert "same curve, difference 0" in capsys.readouterr().out


def test_a_gpu_that_is_not_there_is_refused_and_never_replaced(
    curve_study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    error = answer([str(curve_study), "--trial", "curve-000", "--device", "cuda"], capsys)
    assert "there is no CUDA device" in error
    change(curve_study, "trials", "device", "cuda", trial_id="curve-001")
    arguments = [str(curve_study), "--trial", "curve-001"]
    assert "curve-001 ran on cuda" in answer(arguments, capsys)
    assert retrain.main([*arguments, "--device", "cpu"]) == 0


def test_an_output_over_another_file_is_refused(
    curve_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.parquet"
    there.touch()
    arguments = [str(curve_study), "--trial", "curve-000", "--output", str(there)]
    assert f"--output must be a new file, but {there} is there" in answer(arguments, capsys)
    assert there.read_bytes() == b""


def test_help_and_a_missing_flag_answer_before_anything_large_is_imported() -> None:
    check = (
        "import sys; from orchestrator.retrain.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'ray', 'optuna', 'pyarrow'} & set(sys.modules)"
    )
    for arguments, code in ((["--help"], 0), (["results/mine"], 2)):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", check, *arguments], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
        assert time.monotonic() - started < 10
