"""What training goes on from: copied aside in a moment, and written while training goes on."""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

# As the safetensors format calls them.
DTYPES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
VALUES: Final = "values"


class Snapshot:
    """Tensors as they were at one moment, in host memory."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        buffers: dict[str, Tensor] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Copies the tensors; on a GPU behind the work that it has, without waiting for it.

        Args:
            tensors: By name.
            buffers: Of an earlier snapshot, which nobody reads any more; they take the copies.
            metadata: Stands in the file beside them.
        """
        self._metadata, buffers = metadata, {} if buffers is None else buffers
        for name, tensor in tensors.items():
            if name not in buffers:
                buffers[name] = _buffer(tensor)
            buffers[name].copy_(tensor.detach(), non_blocking=tensor.is_cuda)
        self._tensors = {name: buffers[name] for name in tensors}
        self._copied = _event() if any(t.is_cuda for t in tensors.values()) else None
        if self._copied is not None:
            self._copied.record()

    def chunks(self) -> Iterator[memoryview]:
        """The bytes of a safetensors file, tensor by tensor; on a GPU it waits for the copies."""
        if self._copied is not None:
            self._copied.synchronize()
        header: dict[str, Any] = {"__metadata__": self._metadata} if self._metadata else {}
        end = 0
        for name, tensor in self._tensors.items():
            start, end = end, end + tensor.nbytes
            kind, shape = DTYPES[tensor.dtype], list(tensor.shape)
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        yield memoryview(struct.pack("<Q", len(text)) + text)
        for tensor in self._tensors.values():
            yield _in_order(tensor)


def of_state(state: Mapping[str, Any], buffers: dict[str, Tensor]) -> Snapshot:
    """A snapshot that `read` makes the state of again.

    Args:
        state: Dictionaries and lists of tensors, numbers, text and None.
        buffers: See `Snapshot`.
    """
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_taken_apart(state, "", tensors), allow_nan=False)
    return Snapshot(tensors, buffers=buffers, metadata={VALUES: values})


def read(content: bytes) -> dict[str, Any]:
    """The state that a snapshot was taken of.

    Raises:
        ValueError: The bytes are of something else.
    """
    try:
        tensors = safetensors.torch.load(content)
        (length,) = struct.unpack("<Q", content[:8])
        values = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][VALUES])
        return {key: _put_together(value, tensors) for key, value in values["pairs"]}
    except (safetensors.SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        message = f"a checkpoint must hold tensors and plain values only, but: {error}"
        raise ValueError(message) from error


def _event() -> torch.cuda.Event:
    return torch.cuda.Event()  # type: ignore[no-untyped-call]


def _buffer(tensor: Tensor) -> Tensor:
    """Host memory for a copy in the order in which the tensor has its values."""
    buffer = torch.empty_like(tensor, device="cpu", requires_grad=False)
    return buffer.pin_memory() if tensor.is_cuda else buffer


def _in_order(tensor: Tensor) -> memoryview:
    """A tensor's bytes, row by row; by NumPy, whose copies take one thread and no lock."""
    plain = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return np.ascontiguousarray(plain.numpy()).reshape(-1).view(np.uint8).data


def _taken_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors are put where they are named."""
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"tensor": path, "stride": list(value.stride())}
    if isinstance(value, Mapping):
        items = [(key, _taken_apart(v, f"{path}/{key}", tensors)) for key, v in value.items()]
        return {"pairs": items}
    if isinstance(value, (list, tuple)):
        return [_taken_apart(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_put_together(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        tensor = tensors[value["tensor"]]
        return torch.empty_strided(tensor.shape, value["stride"], dtype=tensor.dtype).copy_(tensor)
    return {key: _put_together(each, tensors) for key, each in value["pairs"]}
