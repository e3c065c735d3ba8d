"""Convolutions over small maps as matrix products: the same outputs and gradients."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from trainables.training.model_size import forward_flops
from trainables.training.small_maps import SmallMapConv2d, convolutions_alone, use_products


def passes(layer: nn.Module, images: Tensor, upstream: Tensor) -> list[Tensor]:
    """Output, and gradients of the images and of the parameters."""
    output = layer(images)
    return [output, *torch.autograd.grad(output, [images, *layer.parameters()], upstream)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (5, 2)])
def test_a_product_gives_what_the_convolution_gives(
    kernel: int, padding: int, stride: int, bias: bool
) -> None:
    for height, width in itertools.product((1, 2, 3, 4), repeat=2):
        if min(height, width) + 2 * padding < kernel:
            continue
        layer = nn.Conv2d(6, 4, kernel, stride, padding, bias=bias, dtype=torch.float64)
        images = torch.randn(3, 6, height, width, dtype=torch.float64, requires_grad=True)
        upstream = torch.randn_like(layer(images))
        expected = passes(layer, images, upstream)
        use_products(layer)
        assert type(layer) is SmallMapConv2d
        for found, own in zip(passes(layer, images, upstream), expected, strict=True):
            torch.testing.assert_close(found, own, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 1, padding=1),
    ],
)
def test_other_convolutions_stay_what_they_are(layer: nn.Conv2d) -> None:
    use_products(layer)
    assert type(layer) is nn.Conv2d


def test_operations_are_counted_as_a_convolutions() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 1))
    expected = forward_flops(network, 1, torch.device("cpu"))
    use_products(network)
    assert forward_flops(network, 1, torch.device("cpu")) == expected == 2 * (9 * 3 * 8 + 8 * 16)
    with convolutions_alone(network):
        assert {type(layer) for layer in network} == {nn.Conv2d}
    assert {type(layer) for layer in network} == {SmallMapConv2d}
