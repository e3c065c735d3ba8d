"""A winner on new images: the numbers of its own test, and one answer for all that is no image."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from in_process import Driver
from ordinary import ordinary_user
from PIL import Image
from printed_json import printed_json
from read_export import digits
from safetensors.torch import save_file
from tampering import entry

from orchestrator.export.winners import read_ensemble, read_winners
from orchestrator.predict import predictor
from orchestrator.predict.__main__ import main
from orchestrator.results.files import read_study
from orchestrator.verify.runner import verify
from trainables.data.class_folders import find_layout
from trainables.data.files import open_folder
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


def best_seed(folder: Path) -> int:
    return int(json.loads((folder / "winners" / "cnn" / "config.json").read_text())["seed"])


def of_the_study(folder: Path, seed: int) -> pd.DataFrame:
    """What the study found of the images when it tested a seed of the winner, by their number."""
    stored = pd.read_parquet(folder / "predictions.parquet")
    own = stored[(stored.role == "tuned") & (stored.seed == seed)]
    return own.set_index("image_index").sort_index()


def test_a_winner_says_of_its_test_images_what_it_said_in_its_test(
    cnn_study: Path, photos: Path
) -> None:
    found = predictor.load(cnn_study).files([photos])
    numbers = [int(Path(file).stem) for file in found.file]
    tested = of_the_study(cnn_study, best_seed(cnn_study)).loc[numbers]
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


def test_whatever_is_no_file_in_a_folder_is_named_and_the_rest_is_predicted(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "001.png", tmp_path / "a.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert main([str(cnn_study), str(tmp_path)]) == 1
    _, predicted, *bad = capsys.readouterr().out.splitlines()
    assert predicted.startswith(f"{tmp_path / 'a.png'}: ")
    assert bad == [
        f"no image: an image must be a file, but {tmp_path / name} is none"
        for name in ("gone.png", "loop.png", "pipe.png")
    ]


def test_what_training_leaves_out_of_a_folder_is_predicted_neither(tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "a class"
    (folder / "@eaDir").mkdir(parents=True)
    left = ("@eaDir/1.jpg", "THUMBS.DB", "Desktop.ini", "1.jpg.xmp", ".hidden.png")
    for name in ("1.jpg", "2.png", *left):
        (folder / name).touch()
    (folder.parent / "another class").mkdir()
    trained = find_layout(open_folder(str(folder.parent))).parts[""].names
    listed = predictor.list_files([folder.parent])
    assert [str(path.relative_to(folder.parent)) for path in listed] == [*trained]
    assert [path.name for path in listed] == ["1.jpg", "2.png"]
    out = {path.name for path in predictor.left_out([folder])}
    assert out == {"@eaDir", *left[1:]}


def test_its_own_output_among_the_images_is_none(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "001.png", tmp_path / "a.png")
    output = tmp_path / "found.csv"
    given = (str(cnn_study), str(tmp_path), "--output", str(output), "--overwrite")
    assert [main(given), main(given)] == [0, 0]
    assert pd.read_csv(output).file.tolist() == [str(tmp_path / "a.png")]
    assert capsys.readouterr().out.endswith(f"or the output itself: {output}\n")
    found = printed_json(capsys, "predict", main, *given)
    assert found["left_out"] == [str(output)]


def test_images_that_become_dark_are_predicted_and_named(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(photos / "001.png", tmp_path / "a.png")
    values = np.random.default_rng(0).integers(0, 2**12, (40, 40), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "b.png")
    assert main([str(cnn_study), str(tmp_path)]) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert line.startswith("dark: 1 images, of 16 bits a channel the upper 8 are kept")
    assert line.endswith(f": {tmp_path / 'b.png'}")
    found = printed_json(capsys, "predict", main, str(cnn_study), str(tmp_path))
    assert (len(found["predictions"]), found["dark"]) == (2, [str(tmp_path / "b.png")])


def test_images_of_linked_folders_are_listed_and_a_link_upwards_ends(tmp_path: Path) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for place in ("here/1.png", "here/below/2.png", "elsewhere/3.png"):
        (tmp_path / place).touch()
    (tmp_path / "here" / "linked").symlink_to("../elsewhere")
    (tmp_path / "here" / "below" / "up").symlink_to("..")
    found = predictor.list_files([tmp_path / "here"])
    names = ["1.png", "below/2.png", "linked/3.png"]
    assert found == [tmp_path / "here" / name for name in names]


def test_a_folder_that_cannot_be_listed_is_told_before_any_image_is_predicted() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # so that whoever is not root may come to it
        (Path(folder) / "1.png").touch()
        secret = Path(folder, "secret")
        secret.mkdir(mode=0o000)
        message = rf"but {re.escape(str(secret))} cannot be listed \(Permission denied\)$"
        with ordinary_user(), pytest.raises(ValueError, match=message):
            predictor.list_files([folder])


def test_a_file_that_is_larger_than_memory_is_no_image(
    cnn_study: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.png", "big.png"):
        shutil.copy(photos / "001.png", tmp_path / name)
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "big.png":
            raise MemoryError
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert main([str(cnn_study), str(tmp_path)]) == 1
    *_, bad = capsys.readouterr().out.splitlines()
    assert bad == f"no image: cannot read {tmp_path / 'big.png'}: MemoryError"


@pytest.mark.parametrize("form", ["lines", ".csv", ".parquet", ".json"])
def test_files_whose_names_are_no_utf_8_are_predicted_and_told_by_names_that_can_be_shown(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photos / "001.png", os.fsencode(folder) + b"/good\xff.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.png")).touch()
    shown = {str(folder / name) for name in (r"good\xff.png", r"bad\xff.png")}
    output = tmp_path / f"found{form}"
    written = () if form == "lines" else ("--output", str(output))
    assert main([str(cnn_study), str(folder), *written]) == 1
    printed = capsys.readouterr().out
    assert rf"no image: cannot decode the image {folder}/bad\xff.png: " in printed
    if form == "lines":
        assert rf"{folder}/good\xff.png: " in printed
    else:
        read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".json": pd.read_json}[form]
        assert set(read(output).file) == shown


def test_a_line_break_in_a_name_makes_no_second_line(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my\nphotos"
    folder.mkdir()
    shutil.copy(photos / "001.png", folder / "a.png")
    assert main([str(cnn_study), str(folder)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path}/my?photos/a.png: ")


def test_a_path_without_a_name_is_not_the_current_folder(
    cnn_study: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos)
    assert main([str(cnn_study), ""]) == 2
    assert "image files or folders of them, but one has no name" in capsys.readouterr().err


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


def test_an_ensemble_says_of_all_test_images_the_mean_of_what_its_seeds_said(
    cnn_study: Path,
) -> None:
    seeds = [of_the_study(cnn_study, seed) for seed in (0, 1)]
    said = np.mean([np.stack(seed.probabilities) for seed in seeds], axis=0)
    images = digits(len(said))
    assert len(images) == len(said) == 360
    single, ensemble = (predictor.load(cnn_study, ensemble=given) for given in (False, True))
    np.testing.assert_allclose(ensemble(images), said, atol=1e-5)
    assert np.abs(single(images) - said).max() > 0.01
    assert ensemble.test_accuracy == (said.argmax(axis=1) == seeds[0].label).mean()
    assert ensemble.ensemble == ["cnn-tuned-s0-f1", "cnn-tuned-s1-f1"]


def test_predictions_of_an_ensemble_are_named_as_such(
    cnn_study: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (str(cnn_study), str(photos), "--ensemble")
    assert main(given) == 0
    model, *lines, out = capsys.readouterr().out.splitlines()
    assert out.endswith(f" the output itself: {photos}/.DS_Store")
    assert model.startswith("Model: the ensemble of 2 seeds of cnn of study mine, cnn-tuned-s0-f1,")
    assert len(lines) == IMAGES
    found = printed_json(capsys, "predict", main, *given)
    assert f"its accuracy: {found['test_accuracy']:.2%} on test images" in model
    assert found["validation_accuracy"] is None


def copy_without(study: Path, at: Path, gone: str) -> Path:
    copy = Path(shutil.copytree(study, at / "study"))
    path = copy / "winners/cnn" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy


@pytest.mark.parametrize("gone", ["seeds", "seeds/{}/config.json", "seeds/{}/model.safetensors"])
def test_an_ensemble_without_the_weights_of_all_seeds_is_refused_in_one_line(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    other = 1 - best_seed(cnn_study)
    study = copy_without(cnn_study, tmp_path, gone.format(other))
    assert main([str(study), str(photos), "--ensemble"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("predict: an ensemble must have the weights of all 2 seeds of cnn, but ")
    assert f"{study} has none of seed {other} (" in line
    assert main([str(study), str(photos)]) == 0


def test_weights_of_a_seed_that_were_changed_are_refused(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(cnn_study, tmp_path / "study"))
    weights = study / "winners/cnn/seeds" / str(1 - best_seed(study)) / "model.safetensors"
    weights.write_bytes(b"others")
    assert main([str(study), str(photos), "--ensemble"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"predict: {weights} must have SHA-256 ")


def test_classes_in_another_order_than_the_studys_are_refused(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(cnn_study, tmp_path / "study"))
    entry("classes", value=[*"1023456789"], file="winners/cnn/config.json")(study, {})
    assert main([str(study), str(photos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "config.json must have the classes that the study has, ['0', '1', " in line


def test_a_damaged_record_is_one_line_and_winners_must_lie_in_the_study(
    cnn_study: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(cnn_study, tmp_path / "study"))
    entry("classes", value=[1, 2, 3, 4], file="winners/cnn/config.json")(study, {})
    assert main([str(study), str(photos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not: classes.0: Input should be a valid string; classes.1: Input should be" in line
    assert "classes.3" not in line
    (study / "winners").rename(tmp_path / "elsewhere")
    (study / "winners").symlink_to(tmp_path / "elsewhere")
    assert main([str(study), str(photos)]) == 2
    assert "must have no link that leads out of it, but" in capsys.readouterr().err


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


def test_an_ensemble_of_one_seed_is_refused_and_one_of_a_study_that_went_on_is_of_all(
    curve_driver: Driver,
) -> None:
    curve_driver.settings = {**curve_driver.settings, "seeds": 1}
    assert curve_driver.start()
    (winner,), _ = read_winners(curve_driver.folder, read_study(curve_driver.folder))
    with pytest.raises(ValueError, match=r"must be of 2 seeds or more, but curve was re-trained w"):
        read_ensemble(curve_driver.folder, winner)
    assert curve_driver.resume(seeds=3)
    (winner,), _ = read_winners(curve_driver.folder, read_study(curve_driver.folder))
    ensemble = read_ensemble(curve_driver.folder, winner)
    assert [each.config["seed"] for each in ensemble] == [0, 1, 2]
    assert verify(curve_driver.folder, sources=False).problems == []


def test_what_the_refusal_of_an_ensemble_advises_makes_one(
    curve_driver: Driver, tmp_path: Path
) -> None:
    assert curve_driver.start()
    folder = curve_driver.folder
    shutil.rmtree(folder / "winners/curve/seeds")
    (folder / "predictions.parquet").rename(tmp_path / "predictions.parquet")
    assert curve_driver.resume()
    (winner,), _ = read_winners(folder, read_study(folder))
    assert len(read_ensemble(folder, winner)) == 2
    assert verify(folder, sources=False).problems == []
    assert read_study(folder).raw["test_openings"] == 1


def test_images_of_another_shape_are_refused(cnn_study: Path) -> None:
    load = predictor.load(cnn_study)
    with pytest.raises(ValueError, match=r"must be uint8 \[images, 32, 32, 3\], but are float64"):
        load(np.zeros((2, 32, 32, 3)))
    assert load(digits(0)).shape == (0, 10)
