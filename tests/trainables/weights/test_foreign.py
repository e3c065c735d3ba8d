"""What is named as weights and is none: each told for what it is, with what to do."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from trainables.weights import loading

STATE = {f"conv{i}.weight": torch.ones(2, 2) for i in range(4)}


def read(path: Path) -> object:
    return loading.read(loading.locate(str(path)))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\0" * 900, "it begins with zeros, as half a download does"),
        (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        (b"\n<!DOCTYPE html><html>404", "it is a web page or XML"),
        (b'{"error": "Access denied"}', "it is JSON, not weights"),
        (b"\x89HDF\r\n\x1a\n", "it is HDF5, as Keras writes it"),
        (b"GGUF\x03", "it is GGUF"),
        (b"\x93NUMPY", "it is NumPy's"),
        (b"PK\x03\x04 cut", "it is cut off or damaged"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(
    tmp_path: Path, content: bytes, message: str, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_archive_of_other_files_is_told_by_them(tmp_path: Path) -> None:
    for member, message in (
        ("a.npy", r"other files \(a.npy\)"),
        ("x/constants.pkl", "TorchScript"),
    ):
        with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
            archive.writestr(member, "")
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "weights.pt")


def test_what_may_run_code_or_ends_in_any_error_is_refused_with_what_to_save(
    tmp_path: Path,
) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "network.pth")
    (tmp_path / "damaged.pth").write_bytes(b"\x80\x02u.")  # an IndexError in torch's reader
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Path("x")))
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=r"may run code; save its state_dict\(\) alone"):
            read(path)


def test_places_that_are_no_files_are_told_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    for text, message in (
        (str(tmp_path), "is a folder, which has model.safetensors"),
        ("https://host/w.pth", "is an address: download the file first"),
        (" ", "none is named"),
        ("/dev/zero", "is no file"),
        ("x" * 5000, "must be readable"),
    ):
        with pytest.raises(ValueError, match=message):
            loading.locate(text)


@pytest.mark.parametrize(
    "content",
    [
        {"model": STATE, "scaler": {"scale": torch.ones(1)}, "losses": {"train": torch.ones(1)}},
        {"checkpoint": {"model": STATE, "epoch": 3}},
        {"a": {"b": {"c": {"d": STATE, "heads": {}}}}},
    ],
)
def test_the_one_state_dict_that_may_be_a_networks_is_found(tmp_path: Path, content) -> None:
    torch.save(content, tmp_path / "weights.pth")
    assert {*read(tmp_path / "weights.pth")} == {*STATE}


def test_several_state_dicts_are_named(tmp_path: Path) -> None:
    torch.save({"model": STATE, "ema": {"model": STATE}}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"it has 2 of them \(model, ema.model\)"):
        read(tmp_path / "weights.pth")


def test_weights_of_one_number_are_those_of_a_file_that_was_never_filled() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    given = {name: each.numpy() for name, each in network.state_dict().items()}
    loading.load_pretrained(network, {**given, "0.weight": 0 * given["0.weight"]}, head="-")
    zeros = {name: 0 * each for name, each in given.items()}
    with pytest.raises(ValueError, match=r"2 of one number throughout \(0.weight, 1.weight\)"):
        loading.load_pretrained(network, zeros, head="-")


def test_a_byte_that_has_changed_is_told_where_checksums_were_written(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for written in (True, False):
        torch.serialization.set_crc32_options(written)
        try:
            torch.save({"conv.weight": torch.arange(1000.0)}, path)
        finally:
            torch.serialization.set_crc32_options(True)
        content = bytearray(path.read_bytes())
        content[content.index(torch.arange(1000.0).numpy().tobytes()) + 2001] ^= 1
        read(path)
        path.write_bytes(content)
        if written:
            with pytest.raises(ValueError, match="its record weights/data/0 is damaged"):
                read(path)
        else:
            read(path)
