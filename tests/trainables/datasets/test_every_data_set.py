"""What comes with the project: found, named, and decoded only when asked."""

import pytest
from made_up_data_sets import error_of

from trainables.data import cifar
from trainables.data.dataset import OpenedDataSet
from trainables.datasets import cifar10, cifar100, digits, folder


def opened(name: str, request: pytest.FixtureRequest) -> OpenedDataSet:
    if name == "digits":
        return digits.DATASET.open(None, 32)
    dataset = folder.DATASET if name in {"classes_dir", "halves_dir"} else cifar10.DATASET
    return dataset.open(str(request.getfixturevalue(name)), 16)


every_data_set = pytest.mark.parametrize(
    "name", ["batches_dir", "parquet_dir", "classes_dir", "halves_dir", "digits"]
)


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
    """Fills with what is decoded, in each data set's own format."""
    decoded: list[str] = []

    def spy(module, name, described) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a: decoded.append(described(a)) or real(*a))

    spy(cifar, "_decode", lambda arguments: arguments[1])
    spy(folder, "_decode", lambda arguments: arguments[2].partition("数据 [1]/")[2])
    spy(digits, "_rgb", lambda _: "a scan")
    return decoded


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
