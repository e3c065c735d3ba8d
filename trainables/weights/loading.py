"""Pre-trained weights: found, downloaded once, checked by hash, and loaded whole or not at all."""

import hashlib
import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.weights.sources import DOWNLOADS

if TYPE_CHECKING:
    from torch import nn

Weights = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A file of pre-trained weights that exists and was hashed.

    Attributes:
        name: `imagenet`, `imagenet_v2`, or the file's name.
        path: Where it is.
        sha256: Of its bytes, in hexadecimal.
    """

    name: str
    path: Path
    sha256: str


def locate(weights: str) -> WeightsFile:
    """Finds the weights that `--weights` names, downloading torchvision's if need be.

    Args:
        weights: A key of `DOWNLOADS`, or the path of a `.pth` or `.safetensors` file.

    Raises:
        ValueError: The file is missing, of another kind, or has another hash.
    """
    if weights in DOWNLOADS:
        return _download(weights)
    path = _absolute(weights)
    if path.suffix not in {".pth", ".safetensors"}:
        names = ", ".join(DOWNLOADS)
        message = f"weights must be {names}, or a .pth or .safetensors file, but got {weights!r}"
        raise ValueError(message)
    if not path.is_file():
        message = f"the weights file must exist, but {path} does not; give its path to --weights"
        raise ValueError(message)
    try:
        return WeightsFile(name=path.name, path=path, sha256=file_sha256(path))
    except OSError as error:
        message = f"the weights file must be readable, but {path} is not: {error.strerror}"
        raise ValueError(message) from error


def read(file: WeightsFile) -> dict[str, npt.NDArray[np.generic]]:
    """Reads a weights file into arrays; code in it is never run.

    Raises:
        ValueError: It is damaged, holds more than tensors, or not torchvision's key names.
    """
    try:
        weights = _read_safetensors(file.path) if _is_safetensors(file) else _read_pth(file.path)
    except (ValueError, KeyError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as e:
        message = f"{file.path} must hold a state dict of tensors only: {_reason(e)}"
        raise ValueError(message) from e
    if "conv1.weight" not in weights:
        found = ", ".join(list(weights)[:3]) or "nothing"
        message = (
            f"{file.path} must use torchvision's key names (conv1.weight, ...), but has {found}"
        )
        raise ValueError(message)
    return weights


def own_words(file: WeightsFile) -> dict[str, str]:
    """What a safetensors file says of itself; nothing where it does not, or is of another kind."""
    from safetensors import safe_open

    if not _is_safetensors(file):
        return {}
    with safe_open(file.path, framework="np") as opened:
        return dict(opened.metadata() or {})


def load_pretrained(model: "nn.Module", weights: Weights, *, head: str) -> None:
    """Copies weights into a network; each parameter outside the head must be among them.

    Args:
        model: Changed in place; its own precision is kept.
        weights: torchvision's names to arrays, fp16 or fp32.
        head: Prefix of the names that are left as they are.

    Raises:
        ValueError: A name is missing or unknown, or a shape differs.
    """
    import torch

    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(head)}
    given = {name: array for name, array in weights.items() if not name.startswith(head)}
    wrong = sorted(set(own) ^ set(given)) or [
        f"{name} {given[name].shape}" for name in own if given[name].shape != own[name].shape
    ]
    if wrong:
        message = (
            f"weights must match the network in names and shapes, but {len(wrong)} differ: "
            f"{', '.join(wrong[:3])}"
        )
        raise ValueError(message)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.array(given[name])))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(name: str) -> WeightsFile:
    from trainables.data.download import fetch_file

    url, sha256 = DOWNLOADS[name]
    try:
        path = fetch_file(url=url, sha256=sha256, cache=_torch_cache())
    except ValueError as error:
        message = f"no weights {name!r}: {error}; or give a local file to --weights"
        raise ValueError(message) from error
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
        message = f"weights must be the path of a file, but got {path!r}: {error}"
        raise ValueError(message) from error


def _is_safetensors(file: WeightsFile) -> bool:
    return file.path.suffix == ".safetensors"


def _read_safetensors(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, AttributeError) as error:  # AttributeError: a type that NumPy lacks
        raise ValueError(str(error)) from error


def _read_pth(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    import torch

    with warnings.catch_warnings():
        # A foreign file is refused right after; a warning about it would add nothing.
        warnings.simplefilter("ignore")
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping):
        message = f"it is a {type(state).__name__}"
        raise TypeError(message)
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            message = f"under {name!r} it has a {type(tensor).__name__}"
            raise TypeError(message)
    return {name: tensor.detach().numpy() for name, tensor in state.items()}


def _reason(error: BaseException) -> str:
    """Why a file cannot be read; torch would have the reader try again with code allowed."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds something else, which is not loaded since it may run code"
    text = str(error).strip() or type(error).__name__
    return text.partition("\n")[0].partition(". ")[0][:200]
