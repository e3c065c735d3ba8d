"""What holds for each data set: found, named, and decoded only when asked."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import error_of

from trainables.data import cifar
from trainables.data.dataset import OpenedDataSet
from trainables.datasets import cifar10, cifar100, digits, folder

DATASETS = (cifar10.DATASET, cifar100.DATASET, digits.DATASET, folder.DATASET)


def opened(name: str, request: pytest.FixtureRequest) -> OpenedDataSet:
    if name == "digits":
        return digits.DATASET.open(None, 32)
    dataset = folder.DATASET if name in {"classes_dir", "halves_dir"} else cifar10.DATASET
    return dataset.open(str(request.getfixturevalue(name)), 16)


every_data_set = pytest.mark.parametrize(
    "name", ["batches_dir", "parquet_dir", "classes_dir", "halves_dir", "digits"]
)


@every_data_set
def test_both_parts_are_rgb_bytes_with_a_label_each(name, request):
    data = opened(name, request)
    for part in (data.read_training(), data.read_test()):
        assert part.images.dtype == np.uint8
        assert part.images.flags.c_contiguous
        assert part.images.shape[0] == len(part) > 0
        assert part.images.shape[3] == 3
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) == set(range(len(data.classes)))


@every_data_set
def test_opening_again_gives_the_same_images_in_the_same_order(name, request):
    one, other = opened(name, request), opened(name, request)
    assert one.files == other.files
    for read in ("read_training", "read_test"):
        first, second = getattr(one, read)(), getattr(other, read)()
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.labels, second.labels)


@every_data_set
def test_opening_decodes_nothing_and_training_leaves_the_test_part_alone(
    name, request, monkeypatch
):
    if name != "digits":
        request.getfixturevalue(name)
    decoded = spied(monkeypatch)
    data = opened(name, request)
    assert decoded == []
    data.read_training()
    before = len(decoded)
    assert before > 0
    assert not any("test" in path for path in decoded)
    data.read_test()
    assert len(decoded) > before


def spied(monkeypatch) -> list[str]:
    """Fills with what is decoded, in each data set's own words."""
    decoded: list[str] = []

    def spy(module, name, described) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a: decoded.append(described(a)) or real(*a))

    spy(cifar, "_decode", lambda arguments: arguments[1])
    spy(folder, "_decode", lambda arguments: arguments[2].partition("数据 [1]/")[2])
    spy(digits, "_rgb", lambda _: "a scan")
    return decoded


@every_data_set
def test_files_are_named_with_their_sha256(name, request):
    files = opened(name, request).files
    assert all(len(digest) == 64 for digest in files.values())
    if name != "digits":
        base = request.getfixturevalue(name)
        for file, digest in files.items():
            (path,) = [p for p in base.rglob("*") if str(p).endswith(f"/{file}")]
            assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_importing_the_data_sets_imports_no_heavy_library():
    code = (
        "import sys; from trainables.datasets import cifar10, cifar100, digits, folder; assert not "
        "{'torch', 'torchvision', 'sklearn', 'pandas', 'pyarrow', 'PIL', 'fsspec', 'pooch'} "
        "& set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.name)
def test_a_data_set_is_named_after_its_file(dataset):
    assert dataset is sys.modules[f"trainables.datasets.{dataset.name}"].DATASET


@pytest.mark.parametrize(
    "dataset", [cifar10.DATASET, cifar100.DATASET, folder.DATASET], ids=lambda d: d.name
)
@pytest.mark.parametrize("address", ["/no/such/folder", "nosuch://bucket/data"])
def test_a_folder_that_is_not_there_is_named(dataset, address):
    assert address in error_of(dataset, address)


@pytest.mark.parametrize("name", ["parquet_dir", "batches_dir", "classes_dir"])
def test_a_file_that_changes_after_it_was_opened_is_refused(name, request):
    base = request.getfixturevalue(name)
    data = opened(name, request)
    for path in [path for path in base.rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"has changed: expected SHA-256 \w+, found \w+"):
        data.read_test()
