"""Pre-trained weights: whole or refused, never random in their place, never code."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from trainables import weights


class Net(nn.Module):
    """A network with torchvision's first name and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.fc = nn.Linear(4, 2)


def arrays(dtype: type = np.float32, head: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "conv1.weight": random.normal(size=(4, 3, 3, 3)).astype(dtype),
        "fc.weight": random.normal(size=(head, 4)).astype(dtype),
        "fc.bias": np.zeros(head, dtype),
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_either_kind_and_precision_is_loaded_but_for_its_head(
    awkward_path: Path, suffix: str, dtype: type
) -> None:
    path, given = awkward_path / f"weights{suffix}", arrays(dtype)
    if suffix == ".pth":
        torch.save({name: torch.from_numpy(array) for name, array in given.items()}, path)
    else:
        save_file(given, path)
    model = Net()
    head = model.fc.weight.clone()
    weights.load_pretrained(model, weights.read(weights.locate(str(path))), head="fc.")
    assert model.conv1.weight.dtype == torch.float32
    assert np.allclose(model.conv1.weight.detach().numpy(), given["conv1.weight"])
    assert torch.equal(model.fc.weight, head)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("conv1.weight"), "1 differ: conv1.weight"),
        (lambda a: a.update({"layer9.weight": a["fc.bias"]}), "1 differ: layer9.weight"),
        (lambda a: a.update({"conv1.weight": a["fc.weight"]}), r"conv1.weight \(5, 4\)"),
    ],
)
def test_a_missing_unknown_or_misshapen_weight_is_refused_by_name(change, message) -> None:
    given = arrays()
    change(given)
    with pytest.raises(ValueError, match=message):
        weights.load_pretrained(Net(), given, head="fc.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pth", None, "must exist"),
        ("weights.ckpt", b"x", "must be imagenet, imagenet_v2, or a .pth or .safetensors file"),
        ("broken.safetensors", b"x" * 50, "must hold a state dict of tensors only"),
        ("broken.pth", b"x" * 50, "must hold a state dict of tensors only"),
        ("empty.pth", b"", "must hold a state dict of tensors only"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        weights.read(weights.locate(str(path)))
    assert "\n" not in str(caught.value)


def test_foreign_key_names_are_refused(tmp_path: Path) -> None:
    save_file({"backbone.0.weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="must use torchvision's key names"):
        weights.read(weights.locate(str(tmp_path / "other.safetensors")))


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("torch_file", [True, False])
def test_code_in_a_weights_file_does_not_run(tmp_path: Path, torch_file: bool) -> None:
    path, trace = tmp_path / "hostile.pth", tmp_path / "it-ran"
    if torch_file:
        torch.save({"conv1.weight": Payload(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"conv1.weight": Payload(trace)}))
    with pytest.raises(ValueError, match="must hold a state dict of tensors only"):
        weights.read(weights.locate(str(path)))
    assert not trace.exists()


def test_the_downloads_are_torchvisions_and_their_names_carry_the_hash() -> None:
    from torchvision.models import ResNet50_Weights

    named = {
        "imagenet": ResNet50_Weights.IMAGENET1K_V1,
        "imagenet_v2": ResNet50_Weights.IMAGENET1K_V2,
    }
    for name, (url, sha256) in weights.DOWNLOADS.items():
        assert url == named[name].url
        assert sha256[:8] in url


def test_weights_in_torchs_cache_with_a_wrong_hash_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(weights.DOWNLOADS, "imagenet", ("http://127.0.0.1:1/r50.pth", "0" * 64))
    cached = tmp_path / "hub" / "checkpoints" / "r50.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"truncated")
    with pytest.raises(
        ValueError, match=r"no weights 'imagenet': .*r50.pth is not there, and getting"
    ):
        weights.locate("imagenet")


def test_weights_in_torchs_cache_with_the_right_hash_are_used_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "hub" / "checkpoints" / "r50.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"whole")
    url = ("http://127.0.0.1:1/r50.pth", weights.file_sha256(cached))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setitem(weights.DOWNLOADS, "imagenet", url)
    assert weights.locate("imagenet").path == cached
