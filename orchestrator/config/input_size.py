"""What the families of a study are given of its images: the same pixels, or which others."""

import json
from collections.abc import Mapping
from typing import Any, Final

from optuna.distributions import json_to_distribution

from search_spaces.dimension import describe

INPUT_SIZE: Final = "input_size"
"""The dimension of families that can be given images of another size than they have."""


def what_families_see(edge: int, spaces: Mapping[str, Any], baselines: Mapping[str, Any]) -> str:
    """The size of a study's images, and of what families are given that is not the same.

    Args:
        edge: Of the images, in pixels.
        spaces: Family to dimension to Optuna's description of it, as `study.json` has them.
        baselines: Family to its baseline's values.
    """
    size, others = f"{edge}x{edge} pixels", []
    for family, space in spaces.items():
        if INPUT_SIZE in space:
            searched = describe(json_to_distribution(json.dumps(space[INPUT_SIZE])))
            own = (baselines.get(family) or {}).get(INPUT_SIZE)
            if {str(own), searched} != {str(edge)}:
                others.append(f"{family} is given {own} in its baseline, {searched} in its search")
    return "; ".join([size, *others]) if others else f"{size} in every family"
