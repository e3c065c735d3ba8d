"""Weights under the names of another library; see `huggingface_resnet50.txt`.

That file has the names and shapes of `ResNetForImageClassification(ResNetConfig(num_labels=1000))`
of transformers 5.24, whose logits torchvision's ResNet50 gave to the bit with the same weights.
"""

from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18, resnet50

from trainables.registry import load_family
from trainables.weights import loading
from trainables.weights.other_names import as_torchvisions

LINES = (Path(__file__).parent / "huggingface_resnet50.txt").read_text().splitlines()


def published(prefix: str = "") -> dict[str, torch.Tensor]:
    """A state dict laid out as Hugging Face's, of other numbers in each weight."""
    state = {}
    for number, line in enumerate(LINES):
        name, _, shape = line.partition(" ")
        size = [int(edge) for edge in shape.split("x")] if shape else []
        state[f"{prefix}{name}"] = torch.full(size, float(number % 50) / 50 + 0.1)
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_resnet50_of_hugging_face_has_the_names_and_shapes_of_torchvisions(prefix: str) -> None:
    found = {name: tensor.shape for name, tensor in as_torchvisions(published(prefix)).items()}
    assert found == {name: tensor.shape for name, tensor in resnet50().state_dict().items()}


def test_it_is_loaded_weight_by_weight(tmp_path: Path) -> None:
    given = published()
    torch.save(given, tmp_path / "pytorch_model.bin")
    family = load_family("resnet50_transfer")
    read = loading.read(loading.locate(str(tmp_path / "pytorch_model.bin")))
    state = family.build({**family.baseline, "num_classes": 10, "weights": read}).state_dict()
    for theirs, ours in (
        ("resnet.embedder.embedder.convolution.weight", "conv1.weight"),
        ("resnet.embedder.embedder.normalization.running_var", "bn1.running_var"),
        ("resnet.encoder.stages.0.layers.0.shortcut.convolution.weight", "layer1.0.downsample.0"),
        ("resnet.encoder.stages.1.layers.0.shortcut.normalization.bias", "layer2.0.downsample.1"),
        ("resnet.encoder.stages.2.layers.5.layer.0.convolution.weight", "layer3.5.conv1.weight"),
        ("resnet.encoder.stages.3.layers.2.layer.2.normalization.bias", "layer4.2.bn3.bias"),
    ):
        name = ours if ours in state else f"{ours}.{theirs.rpartition('.')[2]}"
        assert torch.equal(state[name], given[theirs]), theirs


def test_names_of_two_networks_of_hugging_face_stay_as_they_are() -> None:
    both = {**published("student."), **published("teacher.")}
    assert as_torchvisions(both) is both


def test_torchvisions_names_stay_as_they_are() -> None:
    state = resnet18().state_dict()
    assert as_torchvisions(state) is state
