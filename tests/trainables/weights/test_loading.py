"""Pre-trained weights: whole or refused, never random in their place, never code."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file
from torch import nn
from torchvision.models import resnet50

from trainables.registry import load_family
from trainables.weights import loading as weights


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
        (lambda a: a.pop("conv1.weight"), r"1 missing \(conv1.weight\)"),
        (lambda a: a.update({"layer9.weight": a["fc.bias"]}), r"1 unknown \(layer9.weight\)"),
        (
            lambda a: a.update({"conv1.weight": a["fc.weight"]}),
            r"1 misshapen \(conv1.weight has shape \(5, 4\) for \(4, 3, 3, 3\)\)",
        ),
        (
            lambda a: a.update({"conv1.weight": a["conv1.weight"].astype(np.int8)}),
            r"1 no floating-point numbers \(conv1.weight has int8\)",
        ),
        (
            lambda a: a.update({"conv1.weight": a["conv1.weight"].astype(np.complex64)}),
            r"1 no floating-point numbers \(conv1.weight has complex64\)",
        ),
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
        ("missing.pth", None, "must be imagenet, imagenet_v2, or a file that exists"),
        ("weights.ckpt", b"x", "must hold a state dict of tensors only"),
        ("broken.safetensors", b"x" * 50, "must hold a state dict of tensors only"),
        ("broken.pth", b"x" * 50, "must hold a state dict of tensors only"),
        ("empty.pth", b"", "must hold a state dict of tensors only"),
    ],
)
def test_f15_a_file_that_is_missing_or_damaged_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        weights.read(weights.locate(str(path)))
    assert "\n" not in str(caught.value)


def test_foreign_key_names_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"1 missing \(conv1.weight\); 1 unknown \(stem.0.weight\)"
    ):
        weights.load_pretrained(Net(), {"stem.0.weight": np.zeros(3, np.float32)}, head="fc.")


def real_layout() -> "OrderedDict[str, torch.Tensor]":
    """What torchvision's resnet50-0676ba61.pth holds: 267 names, no counters of batch norm."""
    network = resnet50()
    own = dict(network.named_parameters())
    return OrderedDict(
        (name, own.get(name, tensor))
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_a_file_laid_out_as_torchvisions_first_resnet50_is_loaded(
    tmp_path: Path, zipped: bool
) -> None:
    given = real_layout()
    assert len(given) == 267
    torch.save(given, tmp_path / "real.pth", _use_new_zipfile_serialization=zipped)
    family = load_family("resnet50_transfer")
    read = weights.read(weights.locate(str(tmp_path / "real.pth")))
    network = family.build({**family.baseline, "num_classes": 10, "weights": read})
    state = network.state_dict()
    for name, tensor in given.items():
        if not name.startswith("fc."):
            assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {
            "state_dict": {f"module.{n}": t for n, t in s.items()},
            "epoch": 90,
            "arch": "x",
        },
        lambda s: {"state_dict": {f"model.{n}": t for n, t in s.items()}, "hyper_parameters": {}},
        lambda s: {"model": s, "optimizer": {"lr": 0.1}},
        lambda s: {name: tensor.bfloat16() for name, tensor in s.items()},
    ],
    ids=["DataParallel", "wrapped DataParallel", "Lightning", "beside an optimizer", "bf16"],
)
def test_the_forms_in_which_state_dicts_are_passed_on_are_loaded(tmp_path: Path, wrapped) -> None:
    state = {name: torch.from_numpy(array) for name, array in arrays().items()}
    torch.save(wrapped(state), tmp_path / "weights.ckpt")
    model = Net()
    read = weights.read(weights.locate(str(tmp_path / "weights.ckpt")))
    weights.load_pretrained(model, read, head="fc.")
    assert torch.allclose(model.conv1.weight, state["conv1.weight"], rtol=0.01)


def test_weights_of_two_networks_are_refused() -> None:
    given = {f"{side}.{n}": a for side in ("student", "teacher") for n, a in arrays().items()}
    with pytest.raises(ValueError, match=r"of one network, but stand behind student., teacher."):
        weights.load_pretrained(Net(), given, head="fc.")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    given = arrays()
    given["conv1.weight"][0, 0, 0, 0] = value
    save_file(given, tmp_path / "broken.safetensors")
    with pytest.raises(ValueError, match=r"must be finite, but .* 1 are not .*: conv1.weight"):
        weights.read(weights.locate(str(tmp_path / "broken.safetensors")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it is a list"),
        (torch.zeros(2), "it is a Tensor"),
        ({"state_dict": {"conv1.weight": 5}}, "under 'state_dict' it has a dict"),
        (
            {"a": {"conv1.weight": torch.zeros(2)}, "b": {"conv1.weight": torch.zeros(2)}},
            "it has 2 of them",
        ),
        ({"conv1.weight": 5}, "under 'conv1.weight' it has a int"),
        ({1: torch.zeros(2)}, "under 1 it has a Tensor"),
        ({"conv1.weight": torch.zeros(2, device="meta")}, "meta"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_one_line(
    tmp_path: Path, content: object, message: str
) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=message) as caught:
        weights.read(weights.locate(str(tmp_path / "other.pth")))
    assert "must hold a state dict of tensors only" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_a_precision_that_numpy_lacks_is_read_as_fp32(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "other.safetensors"
    save_torch_file({"conv1.weight": torch.full((2,), 0.5).to(dtype)}, path)
    read = weights.read(weights.locate(str(path)))["conv1.weight"]
    assert read.dtype == np.float32
    assert read.tolist() == [0.5, 0.5]


def test_weights_saved_as_parameters_are_loaded(tmp_path: Path) -> None:
    torch.save(dict(Net().named_parameters()), tmp_path / "weights.pth")
    assert "conv1.weight" in weights.read(weights.locate(str(tmp_path / "weights.pth")))


def test_a_link_to_a_file_without_a_suffix_is_followed(tmp_path: Path) -> None:
    save_file(arrays(), tmp_path / "blob")
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blob")
    file = weights.locate(str(tmp_path / "model.safetensors"))
    assert (file.name, list(weights.read(file))) == ("model.safetensors", sorted(arrays()))


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    unreadable = Path("/proc/self/mem")  # for root as well
    if not unreadable.is_file():
        pytest.skip("no /proc here")
    (tmp_path / "x.pth").symlink_to(unreadable)
    with pytest.raises(ValueError, match="the weights file must be readable, but"):
        weights.locate(str(tmp_path / "x.pth"))


def test_a_home_that_does_not_exist_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"but got '~no-such-user/x\.pth'"):
        weights.locate("~no-such-user/x.pth")


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
