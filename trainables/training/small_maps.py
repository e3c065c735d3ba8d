"""On a CPU, convolutions over maps of a few pixels are computed as matrix products.

For them the library spends more on rearranging a layer's weights, and their gradients, than on
arithmetic: of a ResNet50 at 32 pixels half of the layers see maps of one to four pixels. A product
takes the weights as they are stored. It adds up the same numbers in another order, so results
differ from a convolution's by rounding.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

PIXELS: Final = 9
"""Height times width of the largest output for which a product was no slower."""


class SmallMapConv2d(nn.Conv2d):
    """A product where the output is one pixel, or the kernel is and the output is small."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """As `Conv2d`: [n, in, height, width] to [n, out, height, width]."""
        pads = [int(pad) for pad in self.padding]
        edges = list(zip(input.shape[2:], pads, self.kernel_size, self.stride, strict=True))
        sides = [(edge + 2 * pad - kernel) // stride + 1 for edge, pad, kernel, stride in edges]
        seen, weight = input, self.weight
        if sides == [1, 1]:
            # The kernel stands in one place, where it begins in the padding.
            for axis, (edge, pad, kernel, _) in enumerate(edges, start=2):
                length = min(edge, kernel - pad)
                seen, weight = seen.narrow(axis, 0, length), weight.narrow(axis, pad, length)
        elif self.kernel_size == (1, 1) and pads == [0, 0] and math.prod(sides) <= PIXELS:
            seen = seen[:, :, :: self.stride[0], :: self.stride[1]]
        else:
            return super().forward(input)
        product = functional.linear(
            seen.permute(0, 2, 3, 1).reshape(len(input) * math.prod(sides), -1),
            weight.permute(0, 2, 3, 1).flatten(1),
            self.bias,
        )
        return product.view(len(input), *sides, self.out_channels).permute(0, 3, 1, 2)


def use_products(model: nn.Module) -> None:
    """Has a network's plain convolutions be products where that is faster; its names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = SmallMapConv2d


@contextlib.contextmanager
def convolutions_alone(model: nn.Module) -> Iterator[None]:
    """Without products inside, whose operations are fewer: they skip what meets the padding."""
    changed: list[nn.Conv2d] = [
        module for module in model.modules() if type(module) is SmallMapConv2d
    ]
    for module in changed:
        module.__class__ = nn.Conv2d
    try:
        yield
    finally:
        for module in changed:
            module.__class__ = SmallMapConv2d


def _is_plain(module: nn.Conv2d) -> bool:
    return (
        module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and all(
            pad < kernel for pad, kernel in zip(module.padding, module.kernel_size, strict=True)
        )
    )
