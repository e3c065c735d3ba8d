"""The images of val/ validate, all of them, in whatever rebuilds a study's split."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import image_folder
from PIL import Image

from orchestrator import study
from orchestrator.look.looking import look_at
from orchestrator.results import files
from orchestrator.retrain import __main__ as retrain
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")
SMALL = {**dict.fromkeys(("trials", "epochs"), 2), "grace_period": 1, "seeds": 1}
LEFT_OUT_THEN = "without validation images of their own, but have 6, which would be used today"


def add_validation(folder: Path) -> Path:
    """Adds three images of each class, unlike those that are there."""
    for brightness, name in ((100, "dark"), (240, "light")):
        (folder / "val" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((8, 8, 3), brightness + number, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "val" / name / f"{number}.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "images")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Path) -> Driver:
    settings = {**SMALL, "dataset": "folder", "data_dir": str(images)}
    return Driver(tmp_path / "results", monkeypatch, settings)


def test_all_of_val_validates_and_nothing_is_taken_out_of_train(
    images: Path, driver: Driver
) -> None:
    add_validation(images)
    assert driver.start()
    stored = files.read_study(driver.folder).raw
    data = stored["dataset"]
    assert (data["train_images"], data["validation_images"]) == (40, 6)
    assert data["own_validation"] is True
    assert "All 6 images of val/ validate; none is taken out of train/ for that." in data["notes"]
    names = [name for name in data["files"] if name not in data["test_files"]]
    assert [name.startswith("val/") for name in names] == [False] * 40 + [True] * 6


def test_look_verify_retrain_resume_and_warm_start_agree_with_the_study(
    images: Path, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_validation(images)
    assert driver.start()
    look = look_at("folder", str(images))
    assert look.runs
    assert list(look.overview.counts) == ["train", "val", "test"]
    assert verify(driver.folder, sources=True).problems == []
    assert retrain.main([str(driver.folder), "--trial", "curve-000"]) == 0
    assert driver.resume(trials=3)
    assert verify(driver.folder, sources=True).problems == []
    other = Driver(tmp_path / "results", monkeypatch, {**driver.settings}, name="other")
    other.settings["warm_start"] = str(driver.folder)
    assert other.start()


def test_a_study_of_limited_data_limits_what_it_trains_on_alone(
    images: Path, driver: Driver
) -> None:
    add_validation(images)
    driver.settings |= {"train_images": 10, "train_fractions": (0.5, 1.0)}
    assert driver.start()
    data = files.read_study(driver.folder).raw["dataset"]
    assert (data["train_images"], data["validation_images"]) == (10, 6)
    final = pd.read_parquet(driver.folder / "final.parquet")
    assert set(zip(final.train_images, final.validation_images, strict=True)) == {(10, 6), (6, 6)}


def test_a_number_of_validation_images_beside_val_is_refused_in_a_line(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_validation(images)
    arguments = ["--families", "curve", "--dataset", "folder", "--data-dir", str(images)]
    more = ["--set", "validation_images=4", "--results-dir", str(tmp_path / "results")]
    assert study.main([*arguments, *more, "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "validation_images must be left out (--set validation_images=none) where the" in line
    assert study.main([*arguments, *more, "--set", "validation_images=none", "--dry-run"]) == 0
    assert not (tmp_path / "results").exists()


def test_an_image_in_val_and_elsewhere_is_refused(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_validation(images)
    copied = (images / "test" / "dark" / "00.png").read_bytes()
    (images / "val" / "dark" / "0.png").write_bytes(copied)
    arguments = ["--families", "curve", "--dataset", "folder", "--data-dir", str(images)]
    assert study.main([*arguments, "--dry-run"]) == 2
    assert "1 of 8 test images are also in the validation part" in capsys.readouterr().err


def test_a_study_that_left_val_out_says_so_and_is_not_changed(
    images: Path, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver.start()  # as a version did that left val/ out
    path = driver.folder / "study.json"
    stored = json.loads(path.read_text())
    del stored["dataset"]["own_validation"]
    path.write_text(json.dumps(stored))
    before = {file: file.read_bytes() for file in driver.folder.glob("[!.]*.*")}
    add_validation(images)
    with pytest.raises(ValueError, match=LEFT_OUT_THEN):
        driver.resume(trials=3)
    verdict = verify(driver.folder, sources=True)
    assert verdict.problems == []
    (note,) = verdict.notes
    assert note.startswith("data not checked: ")
    assert LEFT_OUT_THEN in note
    assert retrain.main([str(driver.folder), "--trial", "curve-000"]) == 2
    assert LEFT_OUT_THEN in capsys.readouterr().err
    assert {file: file.read_bytes() for file in driver.folder.glob("[!.]*.*")} == before
    (images / "val").rename(images.parent / "val")
    assert driver.resume(trials=3)


def test_a_val_that_has_come_since_is_told_by_verify(images: Path, driver: Driver) -> None:
    assert driver.start()
    add_validation(images)
    (problem,) = verify(driver.folder, sources=True).problems
    assert LEFT_OUT_THEN in problem.sentence
