"""Does a trial leave anything behind in its process? A network that changes all it can."""

import functools
import os
import random
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.family import Family

built = 0
kept: dict[str, Any] = {}
VARIABLE = "SPOILED_BY_A_TRIAL"


@functools.cache
def dropout() -> float:
    """What is cached is the first trial's, whatever the next one asks for."""
    return kept["dropout"]


def build(config: Mapping[str, Any]) -> Any:
    """A network whose layers come from generators that nobody has seeded."""
    global built  # noqa: PLW0603 (what one trial leaves for the next)
    import torch
    from torch import nn

    built += 1
    kept.update(dropout=config["dropout"], width=kept.get("width", 0) + 8)
    warnings.warn("a spoiler warns", stacklevel=1)
    os.environ[VARIABLE] = str(built)
    warnings.simplefilter("ignore")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 (as a family may)
    torch.set_num_threads(2)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.use_deterministic_algorithms(mode=True)
    return nn.Sequential(
        nn.Conv2d(3, kept["width"], 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout()),
        nn.Linear(kept["width"], config["num_classes"]),
    )


FAMILY = Family(
    name="spoiler",
    build=build,
    search_space=from_scratch(),
    baseline=BASELINE,
)
