"""Images that would fill the memory lie in a file that all trials map: the same numbers."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import pytest
from filelock import FileLock
from in_process import Driver
from made_up_inputs import image_folder

from orchestrator import study
from orchestrator.plan import memory
from orchestrator.plan.memory import with_room
from orchestrator.results import files
from orchestrator.retrain import __main__ as retrain
from orchestrator.verify.runner import verify
from trainables.data.mapped_images import MappedImages, new_file
from trainables.datasets.folder import DATASET
from trainables.shared_data import SharedData, for_other_hosts

ROOT = Path(__file__).parents[2]
SIZE = 16
# 48 images of 16x16 take 37 kB; comparing predictions takes less than this.
LIMIT = 60_000


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return image_folder(tmp_path / "images")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: LIMIT)


def trained(images: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A study of the CNN, in this process."""
    settings = {
        **dict.fromkeys(("trials", "grace_period", "seeds"), 1),
        "families": "cnn",
        "dataset": "folder",
        "data_dir": str(images),
        "image_size": SIZE,
        "epochs": 2,
    }
    driver = Driver(results, monkeypatch, settings, assignments=("baseline.cnn.width=16",))
    assert driver.start()
    return driver


def curves(driver: Driver) -> pd.DataFrame:
    """What was learned in each epoch, and what was found in the end."""
    epochs = [pd.read_parquet(driver.folder / f"{n}epochs.parquet") for n in ("", "final_")]
    final = pd.read_parquet(driver.folder / "final.parquet")
    columns = ["train_loss", "validation_loss", "validation_accuracy"]
    found = final.filter(regex="^test_")
    return pd.concat([each[columns] for each in epochs] + [found], axis=1)


def test_the_curve_is_the_same_as_in_memory(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = trained(images, tmp_path / "in memory", monkeypatch)
    assert not memory.decoded_cache().exists()
    monkeypatch.setattr(memory, "free_bytes", lambda: LIMIT)
    mapped = trained(images, tmp_path / "mapped", monkeypatch)
    pd.testing.assert_frame_equal(curves(in_memory), curves(mapped))
    (place,) = [path for path in memory.decoded_cache().iterdir() if path.is_dir()]
    found = {path.name: path.stat().st_size for path in place.glob("*.uint8")}
    assert found == {"training.uint8": 40 * SIZE**2 * 3, "test.uint8": 8 * SIZE**2 * 3}
    assert verify(mapped.folder, sources=True).problems == []
    assert retrain.main([str(mapped.folder), "--trial", "cnn-000"]) == 0
    assert (
        files.read_study(mapped.folder).raw["dataset"]
        == files.read_study(in_memory.folder).raw["dataset"]
    )


@pytest.mark.usefixtures("little_memory")
def test_another_process_is_given_the_path_and_maps_the_file(images: Path) -> None:
    training = with_room(DATASET.open(str(images), SIZE)).read_training()
    shared = SharedData(
        training=training,
        train={},
        validation=np.arange(3),
        classes=("dark", "light"),
        weights={},
    )
    sent = pickle.dumps(shared)
    assert len(sent) < 4000 < training.images.nbytes
    program = (
        "import pickle, sys; images = pickle.load(sys.stdin.buffer).training.images; assert "
        "not images.flags.writeable; print(images.astype(int).sum(), images.shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=sent, cwd=ROOT, capture_output=True, check=True
    )
    expected = f"{training.images.astype(int).sum()} {training.images.shape}"
    assert done.stdout.decode().strip() == expected


@pytest.mark.usefixtures("little_memory")
def test_a_process_of_another_machine_is_given_the_pixels(images: Path) -> None:
    training = with_room(DATASET.open(str(images), SIZE)).read_training()
    assert isinstance(training, MappedImages)
    sent = pickle.dumps(for_other_hosts(training))
    training.path.unlink()
    assert np.array_equal(pickle.loads(sent).images, training.images)


@pytest.mark.usefixtures("little_memory")
def test_a_dry_run_says_where_the_images_go_and_leaves_nothing(images: Path) -> None:
    program = (
        "from orchestrator import study; from orchestrator.plan import memory; "
        f"memory.free_bytes = lambda: {LIMIT}; "
        f"raise SystemExit(study.main(['--families', 'cnn', '--dataset', 'folder', '--data-dir', "
        f"{str(images)!r}, '--image-size', '{SIZE}', '--seeds', '1', '--dry-run']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = "".join(done.stdout.split())
    place = platformdirs.user_cache_path("transfer-study") / "decoded"
    assert "".join(f"they are decoded into files in {place}/".split()) in said
    assert [path.name for path in place.iterdir()] == [memory.IN_USE]


@pytest.mark.usefixtures("little_memory")
def test_what_a_killed_process_left_is_removed_and_what_another_uses_is_not(images: Path) -> None:
    left, used = (memory.decoded_cache() / name for name in ("left", "used"))
    for place in (left, used):
        place.mkdir(parents=True)
        (place / "training.uint8").write_bytes(b"pixels")
    with FileLock(used / memory.IN_USE):
        with_room(DATASET.open(str(images), SIZE))
        assert not left.exists()
        assert (used / "training.uint8").exists()


def test_a_disk_without_room_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\Adecoded images must fit into [^\n]*\Z"):
        new_file(tmp_path / "images.uint8", (1 << 40, 32, 32, 3))


def test_images_that_fit_into_neither_memory_nor_disk_are_refused(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--families", "cnn", "--dataset", "folder", "--data-dir", str(images)]
    assert study.main([*arguments, "--image-size", "200000", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "images and predictions must fit into the free memory" in line
