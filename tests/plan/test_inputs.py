"""What a study trains on is looked at whole before it starts, and told in one answer."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator import study
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.plan.families import plan_families
from orchestrator.plan.inputs import prepare
from trainables.weights.pretraining import cached_weights_path

FAMILY = "curve"
pytestmark = pytest.mark.usefixtures("curve_family")


def images(folder: Path, *, classes: int, of_each: int) -> None:
    """Images of noise, no two alike."""
    random = np.random.default_rng(abs(hash(folder.name)) % 1000)
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(of_each):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{number}.png")


def settings(folder: Path, **others: object) -> Settings:
    return Settings(families=FAMILY, dataset="folder", data_dir=str(folder), **others)


def prepared(given: Settings) -> list[str]:
    """The sentences said while the inputs are prepared."""
    said: list[str] = []
    prepare(given, plan_families(given), said.append)
    return said


def test_broken_images_of_both_parts_and_images_that_stand_twice_are_one_answer(
    tmp_path: Path,
) -> None:
    images(tmp_path / "train", classes=2, of_each=4)
    images(tmp_path / "test", classes=2, of_each=3)
    shutil.copy(tmp_path / "train/class0/0.png", tmp_path / "test/class0/0.png")
    (tmp_path / "train/class1/0.png").write_bytes(b"x")
    (tmp_path / "test/class1/0.png").write_bytes(b"y")
    with pytest.raises(ValueError, match="no image may stand twice") as caught:
        prepared(settings(tmp_path))
    assert "train/class1/0.png" in str(caught.value)
    assert "test/class1/0.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_the_validation_images_of_a_preset_are_too_many_that_is_said(
    tmp_path: Path,
) -> None:
    images(tmp_path / "train", classes=2, of_each=4)
    images(tmp_path / "test", classes=2, of_each=3)
    demo = {"families": FAMILY, "dataset": "folder", "data_dir": str(tmp_path), "preset": "demo"}
    with pytest.raises(ValueError, match="validation_images must be from 2") as caught:
        prepared(resolve(demo, config=None, assignments=[]))
    advice = "is 237, which --preset demo sets for its own data set; a tenth is taken by --set"
    assert advice in str(caught.value)
    with pytest.raises(ValueError, match=r"of 8 training images, but is 9\Z"):
        prepared(resolve(demo, config=None, assignments=["validation_images=9"]))


def test_images_that_stand_twice_are_let_through_where_that_is_said(tmp_path: Path) -> None:
    images(tmp_path / "train", classes=2, of_each=4)
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    said = prepared(settings(tmp_path, allow_duplicates=True))
    assert "Data: 8 of 8 test images are also in the training part" in " ".join(said)


def test_stand_in_weights_that_are_damaged_in_the_cache_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = cached_weights_path()
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half a file")
    demo = resolve({"preset": "demo", "families": "resnet50_transfer"}, config=None, assignments=[])
    with pytest.raises(ValueError, match="must hold a state dict of tensors only"):
        prepared(demo)


@pytest.mark.parametrize(("classes", "of_each"), [(10, 12), (60, 3), (10, 5)])
def test_the_default_share_for_validation_gives_each_class_its_image(
    tmp_path: Path, classes: int, of_each: int
) -> None:
    images(tmp_path, classes=classes, of_each=of_each)
    given = settings(tmp_path)
    inputs = prepare(given, plan_families(given))
    validation = inputs.training.labels[inputs.split.validation]
    assert set(validation.tolist()) == set(range(classes))


def test_the_size_that_images_are_scaled_to_is_said(tmp_path: Path) -> None:
    images(tmp_path, classes=2, of_each=5)
    said = "Data: Images are scaled and cropped to 32x32 pixels in every family."
    assert said in prepared(settings(tmp_path))


def test_results_among_the_data_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images(tmp_path, classes=2, of_each=5)
    where = ["--data-dir", str(tmp_path), "--results-dir", str(tmp_path / "results")]
    assert study.main(["--families", FAMILY, "--dataset", "folder", *where, "--name", "x"]) == 2
    assert "--results-dir must lie outside --data-dir" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
