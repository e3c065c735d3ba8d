"""A snapshot is the state of one moment, whatever is trained while it is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from trainables.training import snapshot
from trainables.training.snapshot import Snapshot

STATE = {
    "epoch": 3,
    "rates": [1e-4, 0.1 + 0.2],
    "none": None,
    "optimizer": {"state": {0: {"step": torch.tensor(7.0)}, 1: {}}},
    "model": {
        "conv.weight": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
        "half": torch.randn(5).to(torch.bfloat16),
        "counter": torch.tensor(2**40),
        "empty": torch.zeros(0, 3),
    },
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        alike = one.dtype == other.dtype and one.stride() == other.stride()
        return alike and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(v, other[k]) for k, v in one.items())
    return bool(one == other)


def content(taken: Snapshot) -> bytes:
    return b"".join(taken.chunks())


def test_what_is_read_is_the_state_to_the_bit_in_the_layout_it_had() -> None:
    taken = snapshot.of_state(STATE, buffers={}, changing=())
    assert same(snapshot.read(content(taken)), STATE)


def test_a_snapshot_is_of_its_moment_though_the_tensors_change_once_they_may() -> None:
    weights, mean = torch.zeros(1_000_000), torch.zeros(8)
    taken = snapshot.of_state({"w": weights, "m": mean}, buffers={}, changing=[mean])
    mean += 1  # at once
    taken.wait()
    weights += 1
    kept = snapshot.read(content(taken))
    assert not kept["w"].any()
    assert not kept["m"].any()


def test_the_next_snapshot_needs_no_memory_of_its_own() -> None:
    buffers: dict[str, Tensor] = {}
    content(snapshot.of_state(STATE, buffers=buffers, changing=()))
    where = {name: tensor.data_ptr() for name, tensor in buffers.items()}
    content(snapshot.of_state(STATE, buffers=buffers, changing=()))
    assert {name: tensor.data_ptr() for name, tensor in buffers.items()} == where


def test_weights_are_a_file_that_safetensors_reads(tmp_path: Path) -> None:
    model = STATE["model"]
    file = tmp_path / "model.safetensors"
    file.write_bytes(content(Snapshot(model)))
    read = safetensors.torch.load_file(file)
    assert all(torch.equal(read[name], tensor) for name, tensor in model.items())
    assert read.keys() == model.keys()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(100), id="zeros"),
        pytest.param(safetensors.torch.save({"a": torch.zeros(1)}), id="weights"),
        pytest.param(content(Snapshot({}, metadata={"values": '["a"]'})), id="a list"),
        pytest.param(
            content(Snapshot({}, metadata={"values": '{"pairs": [["a", {"tensor": "b"}]]}'})),
            id="a tensor that is not there",
        ),
        pytest.param(
            content(
                Snapshot(
                    {"/a": torch.zeros(2)},
                    metadata={"values": '{"pairs": [["a", {"tensor": "/a", "stride": [-1]}]]}'},
                )
            ),
            id="a layout that cannot be",
        ),
    ],
)
def test_what_is_no_snapshot_is_refused(other: bytes) -> None:
    with pytest.raises(ValueError, match="must hold tensors and plain values only"):
        snapshot.read(other)


def test_numbers_that_json_has_not_are_an_error_when_they_are_written() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        snapshot.of_state({"rate": float("nan")}, buffers={}, changing=())


def test_arrays_of_numpy_are_no_plain_values() -> None:
    with pytest.raises(TypeError):
        snapshot.of_state({"rate": np.zeros(1)}, buffers={}, changing=())


def test_strides_that_overlap_are_kept_as_values_not_as_layout() -> None:
    spread = torch.arange(3.0).expand(2, 3)
    kept = snapshot.read(content(snapshot.of_state({"a": spread}, buffers={}, changing=())))
    assert torch.equal(kept["a"], spread)


def test_a_snapshot_whose_header_is_as_long_as_the_letters_pk_is_none_of_torch_save() -> None:
    def padded(by: int) -> bytes:
        return content(snapshot.of_state({"padding": "x" * by}, buffers={}, changing=[]))

    padding = int.from_bytes(b"PK", "little") - int.from_bytes(padded(0)[:8], "little")
    assert padded(padding).startswith(b"PK")
    assert snapshot.read(padded(padding)) == {"padding": "x" * padding}
