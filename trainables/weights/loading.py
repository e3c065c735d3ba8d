"""Pre-trained weights: found, downloaded once, checked by hash, and loaded whole or not at all."""

import hashlib
import os
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from trainables.weights.foreign import damaged_record, foreign_kind, no_file
from trainables.weights.other_names import as_torchvisions, without_prefix
from trainables.weights.sources import DOWNLOADS

if TYPE_CHECKING:
    from torch import Tensor, nn

Weights = Mapping[str, npt.NDArray[np.generic]]

COUNTER: Final = ".num_batches_tracked"
SHOWN: Final = 3
LONGEST: Final = 120
"""Letters of a name that are shown."""
SAFETENSORS_START: Final = 9  # bytes: the header's length, then its first


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of pre-trained weights that exists and was hashed.

    Attributes:
        name: `imagenet`, `imagenet_v2`, or the file's name.
        path: Where it is.
        sha256: Of its bytes, in hexadecimal.
        words: What whoever keeps it says of it: `origin`, `source` (images), `licence`.
    """

    name: str
    path: Path
    sha256: str
    words: Mapping[str, str] = field(default_factory=dict, hash=False)


def locate(weights: str) -> WeightsFile:
    """Finds the weights that `--weights` names, downloading torchvision's if need be.

    Args:
        weights: A key of `DOWNLOADS`, or the path of a file that torch or safetensors wrote.

    Raises:
        ValueError: The file is missing, or has another hash.
    """
    if weights in DOWNLOADS:
        return _download(weights)
    path = _absolute(weights)
    try:
        if (wrong := no_file(weights, path)) is not None:
            names = ", ".join(DOWNLOADS)
            raise ValueError(f"weights must be {names}, or a file that exists, but {wrong}")
        return WeightsFile(name=path.name, path=path, sha256=file_sha256(path))
    except OSError as error:
        raise ValueError(
            f"the weights file must be readable, but {path} is not: {error.strerror}"
        ) from error


def read(file: WeightsFile) -> dict[str, npt.NDArray[np.generic]]:
    """Reads a weights file into arrays, whatever its suffix; code in it is never run.

    A state dict that stands in another (`state_dict`, `model`, ...) beside an epoch and the like is
    taken out; precisions that NumPy lacks become fp32.

    Raises:
        ValueError: It is damaged, holds no state dict of tensors, or a number is not finite.
    """
    try:
        weights = _read_safetensors(file.path) if _is_safetensors(file) else _read_pth(file.path)
    except Exception as error:  # what a reader of foreign bytes stumbles over may be anything
        why = foreign_kind(file.path) or _reason(error)
        raise ValueError(f"{file.path} must hold a state dict of tensors only: {why}") from error
    broken = [name for name, array in weights.items() if not _is_finite(array)]
    if broken:
        raise ValueError(
            f"weights must be finite, but in {file.path} {len(broken)} are not (NaN or infinity): "
            f"{', '.join(broken[:SHOWN])}"
        )
    return weights


def _is_finite(array: npt.NDArray[np.generic]) -> bool:
    """Whether all of it is, as fp32 too."""
    if array.dtype != np.float64:
        return bool(np.isfinite(array).all())
    return bool((np.abs(array) <= np.finfo(np.float32).max).all())


def own_words(file: WeightsFile) -> dict[str, str]:
    """What a safetensors file says of itself, and its keeper of any; nothing where nobody does."""
    from safetensors import safe_open

    if not _is_safetensors(file):
        return dict(file.words)
    with safe_open(file.path, framework="np") as opened:
        return {**(opened.metadata() or {}), **file.words}


def load_pretrained(model: "nn.Module", weights: Weights, *, head: str) -> None:
    """Copies weights into a network; each parameter outside the head must be among them.

    Names may stand behind a prefix that all of them share, as `module.` and `model.` do, and a
    ResNet's may be Hugging Face's. Batch
    norm's counters may be missing, as in files of before torch 0.4: nothing reads them where the
    momentum is fixed.

    Args:
        model: Changed in place; its own precision is kept.
        weights: Names to arrays, fp16 or fp32.
        head: Prefix of the names that are left as they are.

    Raises:
        ValueError: A name is missing or unknown, or a shape differs.
    """
    import torch

    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(head)}
    named = without_prefix(as_torchvisions(weights), own)
    given = {name: array for name, array in named.items() if not name.startswith(head)}
    missing = [name for name in own if name not in given and not name.endswith(COUNTER)]
    unknown = [name for name in given if name not in own]
    shaped = [
        f"{name} has shape {given[name].shape} for {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    kinds = [
        f"{name} has {array.dtype}"
        for name, array in given.items()
        if not name.endswith(COUNTER)
        and not np.issubdtype(array.dtype, np.floating)
        and (name not in own or own[name].is_floating_point())
    ]
    negative = [name for name, array in given.items() if _is_negative_variance(name, array)]
    kernels = [name for name, array in given.items() if array.ndim > 1]
    empty = kernels if _is_one_number([given[name] for name in kernels]) else []
    wrong = {
        "missing": missing,
        "unknown": unknown,
        "misshapen": shaped,
        "no floating-point numbers": kinds,
        "with negative variances": negative,
        "of one number throughout": empty,
    }
    parts = [
        f"{len(names)} {what} ({', '.join(name[:LONGEST] for name in names[:SHOWN])})"
        for what, names in wrong.items()
        if names
    ]
    if parts:
        raise ValueError(
            f"weights must match the network in names and shapes, but {'; '.join(parts)}"
        )
    with torch.no_grad():
        for name, array in given.items():
            own[name].copy_(torch.from_numpy(np.array(array)))


def _is_negative_variance(name: str, array: npt.NDArray[np.generic]) -> bool:
    return (
        name.endswith("running_var")
        and array.dtype.kind == "f"
        and bool((array.astype(np.float64) < 0).any())
    )


def _is_one_number(arrays: Sequence[npt.NDArray[np.generic]]) -> bool:
    """Whether all numbers of all arrays are the same, as in a file that was never filled."""
    filled = [array for array in arrays if array.size]
    return all(bool((array == filled[0].flat[0]).all()) for array in filled)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, *, name: str, words: Mapping[str, str]) -> WeightsFile:
    """Weights whose file's name ends in the first digits of its hash, as torchvision's do.

    Args:
        url: Where they are.
        name: What they are called.
        words: See `WeightsFile`.

    Raises:
        ValueError: Nobody answers, or the file is another.
    """
    from trainables.data.download import fetch_file

    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
    if digits is None:
        raise ValueError(
            f"the name of a file of weights must end in digits of its hash, but is {url}"
        )
    path = fetch_file(url=url, sha256=digits[1], cache=_torch_cache())
    return WeightsFile(name=name, path=path, sha256=file_sha256(path), words=words)


def _download(name: str) -> WeightsFile:
    from trainables.data.download import fetch_file

    url, sha256 = DOWNLOADS[name]
    try:
        path = fetch_file(url=url, sha256=sha256, cache=_torch_cache())
    except ValueError as error:
        raise ValueError(
            f"no weights {name!r}: {error}; or give a local file to --weights"
        ) from error
    return WeightsFile(name=name, path=path, sha256=sha256)


def _torch_cache() -> Path:
    """Where torch.hub keeps downloads, found without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    home = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser()
    return home / "hub" / "checkpoints"


def _absolute(path: str) -> Path:
    """The path from the root; links stay, since a cache may link to files without a suffix."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # no such user's home
        raise ValueError(
            f"weights must be the path of a file, but got {path!r}: {error}"
        ) from error


def _is_safetensors(file: WeightsFile) -> bool:
    """By content: the length of a JSON header, then that header."""
    with file.path.open("rb") as opened:
        return opened.read(SAFETENSORS_START)[8:] == b"{" or file.path.suffix == ".safetensors"


def _read_safetensors(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return _arrays(load_file(path))
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _read_pth(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    import torch

    with warnings.catch_warnings():
        # A foreign file is refused right after; a warning about it would add nothing.
        warnings.simplefilter("ignore")
        state = torch.load(path, map_location="cpu", weights_only=True)
    if zipfile.is_zipfile(path) and (record := damaged_record(path)) is not None:
        raise ValueError(f"its record {record} is damaged; copy or download it again")
    if not isinstance(state, Mapping):
        raise TypeError(f"it is a {type(state).__name__}")
    inside = _state_dicts(state)
    if len(inside) > 1:
        raise ValueError(
            f"it has {len(inside)} of them ({', '.join(map(str, inside))}), so that which is meant "
            "cannot be told; save the one that is meant to a file of its own"
        )
    state = next(iter(inside.values()), state)
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise TypeError(f"under {name!r} it has a {type(tensor).__name__}")
    return _arrays(state)


def _state_dicts(state: Mapping[Any, Any], above: str = "", depth: int = 5) -> dict[str, Any]:
    """The state dicts in another, and below, by their places: those that may be a network's.

    One of less than half the tensors of the largest is none: a scaler's, or losses.
    """
    import torch

    found: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Mapping) and value:
            tensors = all(isinstance(each, torch.Tensor) for each in value.values())
            place = f"{above}{name}"
            below = _state_dicts(value, f"{place}.", depth - 1) if depth > 1 else {}
            found |= {place: value} if tensors else below
    most = max(map(len, found.values()), default=0)
    return {place: each for place, each in found.items() if 2 * len(each) >= most}


def _arrays(tensors: "Mapping[str, Tensor]") -> dict[str, npt.NDArray[np.generic]]:
    """Tensors as arrays; what NumPy has no type for, such as bf16, as fp32."""
    import torch

    known = {torch.float16, torch.float32, torch.float64}
    return {
        name: (
            tensor.float() if tensor.is_floating_point() and tensor.dtype not in known else tensor
        )
        .detach()
        .numpy()
        for name, tensor in tensors.items()
    }


def _reason(error: BaseException) -> str:
    """Why a file cannot be read; torch would have the reader try again with code allowed."""
    if not isinstance(error, ValueError | RuntimeError | TypeError):
        return (
            "it is damaged, or holds something else, such as a whole network, which is not loaded "
            "since it may run code; save its state_dict() alone"
        )
    text = str(error).strip() or type(error).__name__
    return text.partition("\n")[0].partition(". ")[0][:200]
