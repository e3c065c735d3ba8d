"""The demo's pre-training: what the generated images are like, and what the file promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from trainables.weights import pretraining
from trainables.weights.pretraining import (
    cached_weights_path,
    generate_source_task,
    pretrain_resnet50,
)

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "STEPS", 2)
    monkeypatch.setattr(pretraining, "BATCH_SIZE", 8)
    monkeypatch.setattr(pretraining, "CLASSES", 8)


def test_the_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    images, labels = generate_source_task(40, 8, 32, seed=3)
    again, labels_again = generate_source_task(40, 8, 32, seed=3)
    others, _ = generate_source_task(40, 8, 32, seed=4)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert (images != others).any()


def test_images_are_rgb_bytes_and_use_most_of_the_range() -> None:
    images, labels = generate_source_task(200, 8, 24, seed=0)
    assert images.shape == (200, 24, 24, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert images.min() < 30
    assert images.max() > 220


def test_every_class_is_there_as_evenly_as_can_be() -> None:
    _, labels = generate_source_task(70, 32, 8, seed=0)
    counts = np.bincount(labels, minlength=32)
    assert len(counts) == 32
    assert set(counts) == {2, 3}


def test_images_of_one_class_differ() -> None:
    images, labels = generate_source_task(64, 4, 32, seed=0)
    for label in range(4):
        same_class = images[labels == label].reshape(16, -1)
        assert len(np.unique(same_class, axis=0)) == 16


def test_classes_can_be_told_apart_from_their_pixels() -> None:
    images, labels = generate_source_task(800, 10, 16, seed=0)
    pixels = images[..., 0].reshape(800, -1) / 255
    centroids = np.stack([pixels[:600][labels[:600] == label].mean(0) for label in range(10)])
    distances = np.linalg.norm(pixels[600:, None] - centroids, axis=2)
    assert (distances.argmin(1) == labels[600:]).mean() > 0.4  # chance is 0.1


@pytest.mark.parametrize(("images", "classes"), [(3, 4), (3, 0)])
def test_numbers_without_an_image_per_class_are_refused(images: int, classes: int) -> None:
    with pytest.raises(ValueError, match="`1 <= classes <= images` must hold, but got"):
        generate_source_task(images, classes, 32, seed=0)


def test_the_cached_file_is_outside_the_project_and_named_by_version_and_torch() -> None:
    path = cached_weights_path()
    assert not path.is_relative_to(PROJECT)
    assert f"-v{pretraining.PRETRAINING_VERSION}-torch" in path.name


def test_a_new_version_makes_a_new_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cached_weights_path()
    monkeypatch.setattr(pretraining, "PRETRAINING_VERSION", pretraining.PRETRAINING_VERSION + 1)
    assert cached_weights_path() != before


def test_a_new_torch_makes_a_new_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "9.8.7+cpu")
    assert "-torch9.8." in cached_weights_path().name


def test_importing_the_module_imports_no_torch() -> None:
    code = "import sys, trainables.weights.pretraining; assert 'torch' not in sys.modules"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.usefixtures("two_steps")
def test_the_weights_fit_torchvisions_resnet50_and_say_what_they_are(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    path = tmp_path / "a new folder" / "weights.safetensors"
    pretrain_resnet50(path, seed=0, threads=1)
    resnet50(num_classes=pretraining.CLASSES).load_state_dict(load_file(path), strict=True)
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["pretraining"])
    assert facts["licence"] == "generated; no real images"
    assert facts["version"] == pretraining.PRETRAINING_VERSION
    assert (facts["seed"], facts["steps"], facts["images"]) == (0, 2, 16)
    assert facts["source_task"]


@pytest.mark.usefixtures("two_steps")
def test_the_same_seed_gives_the_same_file_and_leaves_torch_as_it_was(tmp_path: Path) -> None:
    import torch

    paths = [tmp_path / name for name in ("first", "second")]
    before = torch.get_num_threads(), torch.get_rng_state()
    for path in paths:
        pretrain_resnet50(path, seed=5, threads=1)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_save_that_breaks_off_leaves_the_earlier_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    def break_off(_tensors: object, path: Path, **_: object) -> None:
        assert path.parent == tmp_path
        assert path.name.startswith(".")
        path.write_bytes(b"half a fi")
        raise OSError

    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"earlier")
    monkeypatch.setattr("safetensors.torch.save_file", break_off)
    with pytest.raises(OSError):  # noqa: PT011 (raised above, without a message)
        pretraining._save(nn.Linear(1, 1), path, {})
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_at_once_leave_one_good_file(tmp_path: Path) -> None:
    from torch import nn

    path = tmp_path / "weights.safetensors"
    code = (
        "import sys; from pathlib import Path; from torch import nn\n"
        "from trainables.weights import pretraining\n"
        "for _ in range(50): pretraining._save(nn.Linear(9, 9), Path(sys.argv[1]), {})"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], env=environment) as other:
        while other.poll() is None:
            pretraining._save(nn.Linear(9, 9), path, {})
    assert other.returncode == 0
    assert load_file(path)["weight"].shape == (9, 9)
    assert list(tmp_path.iterdir()) == [path]
