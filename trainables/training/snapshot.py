"""What training goes on from: copied aside in a moment, and written while training goes on."""

import io
import json
import pickle
import struct
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
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
ZIP: Final = b"PK\x03\x04"  # read as a length, more than the header of any snapshot


class Snapshot:
    """Tensors as they were at one moment, in host memory."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        buffers: dict[str, Tensor] | None = None,
        at_rest: Collection[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Copies the tensors; on a GPU behind the work that it has, without waiting for it.

        Args:
            tensors: By name.
            buffers: Of an earlier snapshot, which nobody reads any more; they take the copies.
            at_rest: Names of those that nobody changes until `wait` has come back: on a CPU they
                are copied beside what goes on.
            metadata: Stands in the file beside them.
        """
        self._metadata, buffers = metadata, {} if buffers is None else buffers
        for name, tensor in tensors.items():
            if name not in buffers:
                buffers[name] = _buffer(tensor)
        self._tensors = {name: buffers[name] for name in tensors}
        self._copied: torch.cuda.Event | None = None
        self._copying: threading.Thread | None = None
        if any(tensor.is_cuda for tensor in tensors.values()):
            for name, tensor in tensors.items():
                self._tensors[name].copy_(tensor.detach(), non_blocking=tensor.is_cuda)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()
            return
        pairs = [(_plain(self._tensors[name]), _plain(tensors[name])) for name in at_rest]
        for name in tensors.keys() - set(at_rest):
            self._tensors[name].copy_(tensors[name].detach())
        if pairs:
            self._copying = threading.Thread(target=_copy, args=[pairs], name="snapshot")
            self._copying.start()

    def wait(self) -> None:
        """Comes back when the tensors may be changed; on a GPU, which keeps order, at once."""
        if self._copying is not None:
            self._copying.join()

    def chunks(self) -> Iterator[memoryview]:
        """The bytes of a safetensors file, tensor by tensor, when all are copied."""
        self.wait()
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


def of_state(
    state: Mapping[str, Any], *, buffers: dict[str, Tensor], changing: Iterable[Tensor]
) -> Snapshot:
    """A snapshot that `read` makes the state of again.

    Args:
        state: Dictionaries and lists of tensors, numbers, text and None.
        buffers: See `Snapshot`.
        changing: Those of the tensors that are not at rest.
    """
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_taken_apart(state, "", tensors), allow_nan=False)
    moving = {tensor.data_ptr() for tensor in changing}
    at_rest = {name for name, tensor in tensors.items() if tensor.data_ptr() not in moving}
    return Snapshot(tensors, buffers=buffers, at_rest=at_rest, metadata={VALUES: values})


def read(content: bytes) -> dict[str, Any]:
    """The state that a snapshot was taken of, or that `torch.save` wrote, as it did at first.

    Raises:
        ValueError: The bytes are of something else; code in them is never run.
    """
    if content.startswith(ZIP):
        return _read_zip(content)
    try:
        tensors = safetensors.torch.load(content)
        (length,) = struct.unpack("<Q", content[:8])
        values = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][VALUES])
        return {key: _put_together(value, tensors) for key, value in values["pairs"]}
    except (safetensors.SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"a checkpoint must hold tensors and plain values only, but: {error}"
        ) from error


def _read_zip(content: bytes) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "a checkpoint must hold tensors and plain values only: others may run code"
        ) from error
    return loaded


def _buffer(tensor: Tensor) -> Tensor:
    """Host memory for a copy in the order in which the tensor has its values."""
    buffer = torch.empty_like(tensor, device="cpu")
    return buffer.pin_memory() if tensor.is_cuda else buffer


def _plain(tensor: Tensor) -> npt.NDArray[Any]:
    """A tensor's memory as NumPy's, whose copies take one thread and leave Python's lock alone."""
    known = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return known.detach().numpy()


def _copy(pairs: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> None:
    for to, array in pairs:
        np.copyto(to, array)


def _in_order(tensor: Tensor) -> memoryview:
    """A tensor's bytes, row by row."""
    return np.ascontiguousarray(_plain(tensor)).reshape(-1).view(np.uint8).data


def _taken_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON; its tensors are put where they are named."""
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"tensor": path, "stride": list(torch.empty_like(value, device="meta").stride())}
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
