"""What every data set must do; one of your own is tested by being named.

`STUDY_DATASET_PATH` names the folder of its file, `STUDY_DATASET_DIR` some data of it, as few as
will do: they are copied, and damaged.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import one_line
from made_up_tables import parquet_folder

import trainables
from trainables import registry
from trainables.data.dataset import DataSet, LabeledImages, OpenedDataSet

ROOT = Path(trainables.__file__).parents[1]
EDGE = 32
OUTSIDE = [
    name
    for name in registry.dataset_names()
    if not registry.dataset_file(name).is_relative_to(ROOT / "trainables")
]
# Made-up data of those that come with the project.
INSIDE = {
    "cifar10 in batches": "batches_dir",
    "cifar10 in Parquet": "parquet_dir",
    "folder of classes": "classes_dir",
    "folder with a test part": "halves_dir",
    "folder of Parquet files": "tables_dir",
    "digits": None,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A data set with data that may be damaged; None where it ships with a library."""

    dataset: DataSet
    place: Path | None

    def open(self) -> OpenedDataSet:
        return self.dataset.open(None if self.place is None else str(self.place), EDGE)


@pytest.fixture
def tables_dir(tmp_path: Path) -> Path:
    return parquet_folder(tmp_path / "tables")


@pytest.fixture(params=[*INSIDE, *OUTSIDE])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    dataset = registry.load_dataset(request.param.split()[0])
    if request.param in INSIDE:
        fixture = INSIDE[request.param]
        return Case(dataset=dataset, place=request.getfixturevalue(fixture) if fixture else None)
    given = os.environ.get("STUDY_DATASET_DIR")
    if given is None:
        pytest.skip(f"no data of {request.param}: name some in STUDY_DATASET_DIR")
    place = tmp_path / "copied"
    (shutil.copytree if Path(given).is_dir() else shutil.copyfile)(given, place)
    return Case(dataset=dataset, place=place)


def halves(data: OpenedDataSet) -> tuple[LabeledImages, LabeledImages]:
    return data.read_training(), data.read_test()


def test_images_are_square_rgb_bytes_of_one_size_with_a_label_each(case: Case) -> None:
    data = case.open()
    shapes = set()
    for part in halves(data):
        assert part.images.dtype == np.uint8
        assert part.images.flags.c_contiguous
        assert part.labels.dtype == np.int64
        assert len(part.images) == len(part.labels) > 0
        shapes.add(part.images.shape[1:])
    (shape,) = shapes
    assert shape == (shape[0], shape[0], 3)


def test_each_class_has_an_image_in_both_parts(case: Case) -> None:
    data = case.open()
    assert len(set(data.classes)) == len(data.classes) >= 2
    for part in halves(data):
        assert set(part.labels.tolist()) == set(range(len(data.classes)))


def test_it_says_as_many_and_as_large_images_as_it_has(case: Case) -> None:
    data = case.open()
    training, test = halves(data)
    assert data.image_counts in {None, (len(training), len(test))}
    assert data.image_shape in {None, training.images.shape[1:]}
    assert len(data.test_names) in {0, len(test)}
    assert 0 <= data.own_validation < len(training)
    assert data.groups is None or data.groups.shape == training.labels.shape


def test_opened_again_it_gives_the_same_images_in_the_same_order(case: Case) -> None:
    one, other = case.open(), case.open()
    assert one.files == other.files
    for first, second in zip(halves(one), halves(other), strict=True):
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.labels, second.labels)


def test_files_are_named_with_the_sha256_of_their_bytes(case: Case) -> None:
    data = case.open()
    assert data.files
    assert data.test_files < set(data.files)
    for name, sha256 in data.files.items():
        found = [] if case.place is None else [*case.place.rglob(Path(name).name)]
        assert sha256 in {hashlib.sha256(path.read_bytes()).hexdigest() for path in found} or (
            case.place is None and len(sha256) == 64
        )


def test_training_needs_no_file_of_the_test_part(case: Case) -> None:
    data = case.open()
    before = data.read_training()
    for name in data.test_files:
        assert case.place is not None
        for path in case.place.rglob(Path(name).name):
            if str(path).endswith(f"/{name}"):
                path.write_bytes(b"another")
    assert np.array_equal(data.read_training().images, before.images)


def test_files_that_change_after_they_were_opened_are_refused_in_a_line(case: Case) -> None:
    if case.place is None:
        return  # they ship with a library
    data = case.open()
    for path in [path for path in case.place.rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes() + b"\0")
    for read in (data.read_training, data.read_test):
        one_line(read)


def test_a_place_without_its_data_is_refused_in_a_line(case: Case, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere"):
        one_line(lambda place=place: case.dataset.open(str(place), EDGE))


def test_it_says_what_it_is_and_under_which_licence(case: Case) -> None:
    assert case.dataset.summary
    assert case.dataset.licence


@pytest.mark.parametrize("name", registry.dataset_names())
def test_importing_it_imports_no_heavy_library(name: str) -> None:
    code = (
        "import sys; from trainables import registry; "
        f"registry.load_dataset({name!r}); heavy = {{'torch', 'torchvision', 'sklearn', 'pandas', "
        "'pyarrow', 'PIL', 'fsspec', 'pooch'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
