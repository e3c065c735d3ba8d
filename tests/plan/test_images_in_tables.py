"""A study on images in tables, with groups: whatever rebuilds its split rebuilds the same."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from in_process import Driver
from made_up_tables import CLASSES, parquet_folder, picture, saved_folder, write_csv, write_images

from orchestrator import study
from orchestrator.config.sources import resolve
from orchestrator.look import __main__ as look
from orchestrator.look.looking import look_at
from orchestrator.plan.families import plan_families
from orchestrator.plan.inputs import prepare
from orchestrator.results import files
from orchestrator.retrain import __main__ as retrain
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")
SMALL = {**dict.fromkeys(("trials", "epochs"), 2), "grace_period": 1, "seeds": 1}


def patients_table(folder: Path) -> Path:
    """Images of 12 patients, who may have several classes."""
    rows = write_images(folder, 90)
    random = np.random.default_rng(0)
    for row in rows:
        row["patient"] = f"p{random.integers(12)}"
    return write_csv(folder / "labels.csv", rows)


def driver_of(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Driver:
    settings = {**SMALL, "dataset": "folder", "data_dir": str(place), "image_size": 8, **more}
    return Driver(tmp_path / "results", monkeypatch, settings)


def test_verify_retrain_and_resume_rebuild_the_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = patients_table(tmp_path / "images")
    driver = driver_of(table, tmp_path, monkeypatch, group_column="patient")
    assert driver.start()
    data = files.read_study(driver.folder).raw["dataset"]
    assert "12 groups by column 'patient': each is in one part whole." in data["notes"]
    assert data["files"].keys() >= {"labels.csv", "images/bild 000 ü.png"}
    assert verify(driver.folder, sources=True).problems == []
    assert retrain.main([str(driver.folder), "--trial", "curve-000"]) == 0
    assert driver.resume(trials=3)
    assert verify(driver.folder, sources=True).problems == []


def test_a_study_does_not_go_on_with_other_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = patients_table(tmp_path / "images")
    driver = driver_of(table, tmp_path, monkeypatch, group_column="patient")
    assert driver.start()
    with pytest.raises(ValueError, match="group_column must stay when a study is resumed, but was"):
        driver.resume(group_column=None)


def test_validation_has_no_group_of_training(tmp_path: Path) -> None:
    table = patients_table(tmp_path / "images")
    for seed in range(10):
        given = {"families": "curve", "dataset": "folder", "data_dir": str(table), "image_size": 8}
        settings = resolve(
            {**given, "group_column": "patient", "seed": seed}, config=None, assignments=[]
        )
        inputs = prepare(settings, plan_families(settings))
        groups = inputs.dataset.groups
        assert groups is not None
        assert not set(groups[inputs.split.train]) & set(groups[inputs.split.validation])
        assert set(inputs.training.labels[inputs.split.validation]) == set(range(len(CLASSES)))


@pytest.mark.parametrize("lay_out", [parquet_folder, saved_folder])
def test_a_published_data_set_needs_no_option(
    lay_out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = driver_of(lay_out(tmp_path / "images"), tmp_path, monkeypatch)
    assert driver.start()
    data = files.read_study(driver.folder).raw["dataset"]
    assert (data["train_images"], data["validation_images"], data["own_validation"]) == (
        24,
        6,
        True,
    )
    assert verify(driver.folder, sources=True).problems == []


def test_a_look_at_a_table_ends_with_a_command_that_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = patients_table(tmp_path / "images")
    assert look.main([str(table), "--group-column", "patient", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["command"].endswith(f"--data-dir {table} --group-column patient")
    assert found["problems"] == []
    arguments = shlex.split(found["command"])[3:]
    more = ["--families", "curve", "--results-dir", str(tmp_path / "results"), "--dry-run"]
    assert study.main([*arguments, *more]) == 0
    assert "90 images of 3 classes" in capsys.readouterr().out


def test_a_look_names_all_that_is_wrong_with_a_table_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_images(tmp_path / "images", 45)
    for number, row in enumerate(rows):
        row |= {
            "patient": f"p{number // 5}",
            "split": "test" if number >= 40 else ("val" if number >= 30 else "train"),
        }
    rows[3]["species"] = ""
    rows[6]["file"] = "images/gone.png"
    rows.append(rows[9])
    rows[41]["patient"] = "p0"
    (tmp_path / "images" / rows[12]["file"]).write_bytes(b"")
    (tmp_path / "images" / rows[15]["file"]).write_bytes(picture(16, 1))
    table = write_csv(tmp_path / "images" / "labels.csv", rows)
    assert look.main([str(table), "--group-column", "patient", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    kinds = [problem["kind"] for problem in found["problems"]]
    assert kinds == [
        *("no label", "several rows", "no such file", "group in two parts", "empty"),
        "same in two classes",
    ]
    assert look.main([str(table), "--group-column", "patient"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "rows without a label: 1 'images/bild 003 ü.png'",
        "images that stand in several rows: 1 'images/bild 009 ü.png'",
        "paths that are those of no file: 1 images/gone.png",
        "groups that lie in several parts: 1 p0 a group must lie in one part whole, but patient=p0",
        f"python -m orchestrator.look {table} --group-column patient",
    ):
        assert words in said
    plan = ["--dataset", "folder", "--data-dir", str(table), "--group-column", "patient"]
    assert study.main([*plan, "--families", "curve", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"python -m orchestrator.look {table} --group-column patient")


def test_columns_of_a_data_set_without_any_are_refused_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--families", "curve", "--dataset", "digits", "--label-column", "x", "--dry-run"]
    assert study.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def random_table(folder: Path, seed: int) -> tuple[Path, list[dict[str, str]]]:
    """A table with groups of any size, of several classes, and with parts or without."""
    random = np.random.default_rng(seed)
    groups, classes = int(random.integers(4, 25)), int(random.integers(2, 4))
    divided = random.random() < 0.2
    rows = write_images(folder, int(random.integers(12, 60)))
    for row in rows:
        row["species"] = CLASSES[random.integers(classes)]
        row["burst"] = f"b{random.integers(groups)}" if random.random() < 0.95 else ""
        if divided:
            row["split"] = ("train", "train", "val", "test")[random.integers(4)]
    return write_csv(folder / "labels.csv", rows), rows


@pytest.mark.parametrize("seed", range(40))
def test_look_and_study_agree_on_any_table_and_no_group_is_divided(
    seed: int, tmp_path: Path
) -> None:
    table, rows = random_table(tmp_path / "images", seed)
    given = {"families": "curve", "dataset": "folder", "data_dir": str(table), "image_size": 8}
    settings = resolve(
        {**given, "group_column": "burst", "seed": seed}, config=None, assignments=[]
    )
    looked = look_at("folder", str(table), columns={"group_column": "burst"})
    if not looked.runs:
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            prepare(settings, plan_families(settings))
        return
    inputs = prepare(settings, plan_families(settings))
    burst_of = {row["file"]: row["burst"] for row in rows}
    test = {burst_of[name] for name in inputs.dataset.test_names} - {""}
    others = burst_of.keys() - set(inputs.dataset.test_names)
    assert not test & {burst_of[name] for name in others}
    groups = inputs.dataset.groups
    assert groups is not None
    assert not set(groups[inputs.split.train]) & set(groups[inputs.split.validation])
