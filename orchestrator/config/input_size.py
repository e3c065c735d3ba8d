"""What the families of a study are given of its images: the same pixels, or which others."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search_spaces.baseline import Params
from search_spaces.dimension import describe, read_distribution

INPUT_SIZE: Final = "input_size"
"""The dimension of families that can be given images of another size than they have."""
WITHOUT: Final = " (made smaller there without antialiasing; --image-size does it with)"


def what_families_see(
    edge: int, spaces: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, Params]
) -> str:
    """The size of a study's images, and of what families are given that is not the same.

    The images' edge is in pixels, and each family's space and baseline as `study.json` has them.
    """
    size, others = f"{edge}x{edge} pixels", []
    for family, space in spaces.items():
        if INPUT_SIZE in space:
            values = read_distribution(space[INPUT_SIZE])
            sizes, own = describe(values), (baselines.get(family) or {}).get(INPUT_SIZE)
            if {str(own), sizes} != {str(edge)}:
                text = f"{family} is given {own} in its baseline, {sizes} in its search"
                smaller = min(size for size in (own, *_sizes(values)) if size is not None) < edge
                others.append(f"{text}{WITHOUT if smaller else ''}")
    return "; ".join([size, *others]) if others else f"{size} in every family"


def _sizes(values: BaseDistribution) -> Sequence[int]:
    """The sizes of a dimension, or the ends of a range of them."""
    if isinstance(values, CategoricalDistribution):
        return [size for size in values.choices if isinstance(size, int)]
    assert isinstance(values, IntDistribution), values
    return values.low, values.high
