"""A winner on new images: the numbers of its own test, and one answer for all that is no image."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from in_process import Driver
from PIL import Image
from printed_json import printed_json
from read_export import digits
from safetensors.torch import save_file

from orchestrator.predict import predictor
from orchestrator.predict.__main__ import main
from trainables.weights.loading import file_sha256

IMAGES = 40


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test images as files, some below another folder, and what a file manager leaves there."""
    folder = tmp_path_factory.mktemp("photos, mine")
    (folder / "Größe").mkdir()
    for number, image in enumerate(digits(IMAGES)):
        place = folder if number % 2 else folder / "Größe"
        Image.fromarray(image).save(place / f"{number:03d}.png")
    (folder / ".DS_Store").write_bytes(b"no image")
    return folder


def of_the_study(folder: Path) -> pd.DataFrame:
    """What the study found of the images when it tested the winner, by their number."""
    kept = json.loads((folder / "winners" / "cnn" / "config.json").read_text())
    stored = pd.read_parquet(folder / "predictions.parquet")
    own = stored[(stored.role == "tuned") & (stored.seed == kept["seed"])]
    return own.set_index("image_index").sort_index().loc[: IMAGES - 1]


def test_a_winner_says_of_its_test_images_what_it_said_in_its_test(
    cnn_study: Path, photos: Path
) -> None:
    found = predictor.load(cnn_study).files([photos])
    numbers = [int(Path(file).stem) for file in found.file]
    tested = of_the_study(cnn_study).loc[numbers]
    assert sorted(numbers) == list(range(IMAGES))
    assert found["class"].tolist() == list(map(str, tested.predicted))
    assert len(set(found["class"])) > 3
    names = [f"probability of {digit}" for digit in range(10)]
    np.testing.assert_allclose(found[names], np.stack(tested.probabilities), atol=1e-5)
    np.testing.assert_array_equal(found.probability, found[names].max(axis=1))
    assert found.error.isna().all()


def test_all_files_that_are_no_images_are_told_and_the_others_predicted(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes((photos / "001.png").read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "c.png").write_bytes((photos / "001.png").read_bytes()[:60])
    assert main([str(cnn_study), str(tmp_path)]) == 1
    model, predicted, *bad = capsys.readouterr().out.splitlines()
    assert model.startswith("Model: cnn of study ")
    assert predicted.startswith(f"{tmp_path / 'a.png'}: ")
    assert predicted.endswith("%")
    assert [line.split(": ")[0] for line in bad] == ["no image", "no image"]
    assert [name in line for name, line in zip(("b.jpg", "c.png"), bad, strict=True)] == [True] * 2


def test_predictions_for_programs_are_as_documented(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.jpg").touch()
    given = (str(cnn_study), str(photos / "001.png"), str(tmp_path))
    found = printed_json(capsys, "predict", main, *given, code=1)
    (one,) = found["predictions"]
    assert one["file"] == given[1]
    assert one["probability"] == max(one["probabilities"])
    assert found["classes"][int(np.argmax(one["probabilities"]))] == one["class"]
    assert [each["file"] for each in found["unreadable"]] == [str(tmp_path / "b.jpg")]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_all_probabilities_go_to_a_file_that_pandas_reads(
    cnn_study: Path, photos: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "new" / f"found{suffix}"
    assert main([str(cnn_study), str(photos), "--output", str(path)]) == 0
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}[suffix]
    found, expected = read(path), predictor.load(cnn_study).files([photos])
    assert list(found.columns) == list(expected.columns)
    assert found.file.tolist() == expected.file.tolist()
    np.testing.assert_allclose(found["probability of 3"], expected["probability of 3"], rtol=1e-9)


def test_a_file_name_that_begins_with_an_equals_sign_is_no_formula_in_a_spreadsheet(
    cnn_study: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photos / "001.png", "=1+1.png")
    assert main([str(cnn_study), "=1+1.png", "--output", "found.csv"]) == 0
    assert Path("found.csv").read_text(encoding="utf-8").splitlines()[1].startswith("'=1+1.png,")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder, and a file that must stay."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("there.csv").write_text("mine")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere.png empty", "nowhere.png is not there; empty has no file"),
        (". --family resnet50_scratch", "--family must be one of cnn"),
        (". --output found.txt", "--output must end in .csv, .parquet, .json"),
        (". --output there.csv", "--output must be new"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(
    cnn_study: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    assert main([str(cnn_study), *given.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("predict: ")
    assert said in line
    assert sorted(path.name for path in elsewhere.iterdir()) == ["empty", "there.csv"]
    assert Path("there.csv").read_text() == "mine"


def test_weights_of_another_network_are_one_line(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(cnn_study, tmp_path / "study"))
    kept = study / "winners" / "cnn"
    save_file({"a": torch.zeros(1)}, kept / "model.safetensors")
    record = json.loads((kept / "config.json").read_text())
    record["weights_sha256"] = file_sha256(kept / "model.safetensors")
    (kept / "config.json").write_text(json.dumps(record))
    assert main([str(study), str(photos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("predict: the weights kept must be of cnn as chosen")


def test_a_family_with_a_trainer_of_its_own_is_refused(
    curve_driver: Driver, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    assert main([str(curve_driver.folder), str(photos)]) == 2
    assert "curve is trained, and so used, by its own" in capsys.readouterr().err


def test_images_of_another_shape_are_refused(cnn_study: Path) -> None:
    load = predictor.load(cnn_study)
    with pytest.raises(ValueError, match=r"must be uint8 \[images, 32, 32, 3\], but are float64"):
        load(np.zeros((2, 32, 32, 3)))
    assert load(digits(0)).shape == (0, 10)
