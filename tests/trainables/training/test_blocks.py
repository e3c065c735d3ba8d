"""The blocks of layers of networks as they are named elsewhere."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from trainables.training.blocks import blocks


def of(make: Callable[[], nn.Module], head: str) -> dict[str, int]:
    with torch.device("meta"):
        named = make().named_parameters()
    return blocks((name, p) for name, p in named if not name.startswith(head))


def network(name: str) -> Callable[[], nn.Module]:
    from torchvision import models

    make: Callable[[], nn.Module] = getattr(models, name)
    return make


@pytest.mark.parametrize(
    ("name", "head", "first_and_last"),
    [
        ("resnet50", "fc.", [("bn1.bias", 0), ("layer1.0.bn1.bias", 1), ("layer4.2.bn3.bias", 4)]),
        (
            "vit_b_16",
            "heads.",
            [
                ("class_token", 0),
                ("encoder.pos_embedding", 0),
                ("encoder.layers.encoder_layer_0.ln_1.weight", 1),
                ("encoder.layers.encoder_layer_11.mlp.3.bias", 12),
                ("encoder.ln.weight", 12),
            ],
        ),
        (
            "convnext_tiny",
            "classifier.",
            [("features.0.1.bias", 0), ("features.7.2.layer_scale", 7)],
        ),
        ("vgg11_bn", "classifier.", [("features.1.bias", 0), ("features.25.weight", 7)]),
        ("densenet121", "classifier.", [("features.norm0.bias", 0), ("features.norm5.bias", 7)]),
    ],
)
def test_a_block_is_what_has_one_name_up_to_the_first_number(
    name: str, head: str, first_and_last: list[tuple[str, int]]
) -> None:
    placed = of(network(name), head)
    assert [(each, placed[each]) for each, _ in first_and_last] == first_and_last
    assert list(placed.values()) == sorted(placed.values())
    assert max(placed.values()) == first_and_last[-1][1]


def test_a_network_without_numbers_is_one_block() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.norm = nn.Linear(2, 2), nn.LayerNorm(2)

    assert set(of(Plain, "head.").values()) == {0}
    assert blocks([]) == {}
