"""What cannot be searched: a family's space and baseline may be anybody's."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.dimension import Dimension, contains, describe, ends_of
from search_spaces.spaces import (
    AUGMENTATION,
    CLASS_WEIGHTS,
    NORMALIZATION,
    OPTIMIZER,
    SCHEDULE,
    WEIGHT_DECAY_ON,
)

PLAIN: Final = (type(None), bool, int, float, str)
LARGEST: Final = 2**63 - 1
"""Of an integer in a table."""
GIVEN: Final = frozenset({"num_classes", "weights"})
"""What `build` is given beside hyperparameters."""
NEEDED: Final = (
    *("learning_rate", "batch_size", "optimizer", "weight_decay", "schedule"),
    *("warmup_fraction", "label_smoothing", "augmentation"),
)
"""What the trainer reads of every trial."""
CHOSEN: Final[Mapping[str, Dimension]] = {
    "optimizer": OPTIMIZER,
    "schedule": SCHEDULE,
    "augmentation": AUGMENTATION,
    "class_weights": CLASS_WEIGHTS,
    "weight_decay_on": WEIGHT_DECAY_ON,
    "normalization": replace(NORMALIZATION, also=("own",)),
}
"""Dimensions that the trainer reads by their names, and all that it knows of them."""
ENDS: Final[Mapping[str, tuple[float, float]]] = {
    **dict.fromkeys(("batch_size", "input_size"), (1, math.inf)),
    **dict.fromkeys(("learning_rate", "sgd_learning_rate"), (0, math.inf)),
    **dict.fromkeys(("weight_decay", "adamw_weight_decay"), (0, math.inf)),
    "head_learning_rate_multiplier": (0, math.inf),
    **dict.fromkeys(("warmup_fraction", "label_smoothing", "mixup", "cutmix"), (0, 1)),
    **dict.fromkeys(("ema_decay", "head_first_fraction", "layer_decay"), (0, 1)),
}
"""The same of numbers: the least and the most."""


def wrong_dimensions(space: object, baseline: object) -> Iterator[str]:
    """A sentence for each dimension that cannot be searched, stored or begun from."""
    for what, given in (("search_space", space), ("baseline", baseline)):
        if not isinstance(given, Mapping):
            yield f"its {what} must be a mapping of names, but is a {type(given).__name__}"
    if not isinstance(space, Mapping) or not isinstance(baseline, Mapping):
        return
    for name, dimension in space.items():
        wrong = [*_wrong_name(name), *_wrong_dimension(name, dimension)]
        yield from wrong
        if not wrong and name in baseline:
            yield from _wrong_value(name, dimension, baseline[name])


def wrong_for_trainer(space: Mapping[str, Dimension]) -> Iterator[str]:
    """A sentence for what the trainer misses, or knows by its name but not as it is."""
    if missing := [name for name in NEEDED if name not in space]:
        yield f"its trainer needs the dimensions {', '.join(missing)} too"
    for name, known in CHOSEN.items():
        allowed = getattr(known.allowed, "choices", ())
        if name in space and not {*_ends(space[name])} <= {*allowed}:
            yield f"{name} must lie in {describe(known.allowed)}, but is {_described(space[name])}"
    for name, (least, most) in ENDS.items():
        whole = (int,) if least == 1 else (int, float)
        for end in _ends(space[name]) if name in space else ():
            if end is None and name == "input_size":
                continue
            if type(end) not in whole or not least <= end <= most:
                of = "at least" if most == math.inf else f"at most {most:g} and at least"
                kind = "whole numbers" if least == 1 else "numbers"
                yield f"{name} must be {kind} of {of} {least:g}, but is {_described(space[name])}"
                break


def _ends(dimension: Dimension) -> Sequence[Any]:
    return ends_of(dimension.allowed)


def _described(dimension: Dimension) -> str:
    return describe(dimension.allowed)[:80]


def _wrong_name(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not name or name in GIVEN or set(name) & set(".=,\n\t"):
        yield (
            f"a dimension's name must be a text without dots, commas and equals signs, and none of "
            f"{', '.join(sorted(GIVEN))}, but is {name!r}"
        )


def _wrong_dimension(name: str, dimension: object) -> Iterator[str]:
    values = dimension.values if isinstance(dimension, Dimension) else None
    if isinstance(values, CategoricalDistribution):
        yield from _wrong_choices(name, values.choices)
    elif isinstance(values, FloatDistribution | IntDistribution):
        most = LARGEST if isinstance(values, IntDistribution) else math.inf
        ends = (values.low, values.high, values.high - values.low)
        if not all(math.isfinite(end) and abs(end) <= most for end in ends):
            yield f"{name} must have finite ends, but has {values.low:g}..{values.high:g}"
    else:
        yield (
            f"{name} must be Dimension(values=DISTRIBUTION, meaning=...) with a distribution of "
            f"Optuna, but is a {type(values or dimension).__name__}"
        )


def _wrong_choices(name: str, choices: tuple[Any, ...]) -> Iterator[str]:
    kinds = {type(choice) for choice in choices}
    named = [describe(CategoricalDistribution((each,))) for each in choices[:5]]
    shown = ", ".join(named)[:80]
    if not kinds <= {*PLAIN} or any(
        kind in {int, float} and not abs(each) <= LARGEST
        for each, kind in zip(choices, map(type, choices), strict=True)
    ):
        yield f"{name} must have choices that are texts, numbers, True, False or None, not {shown}"
    elif not any(kinds - {type(None)} <= same for same in ({str}, {bool}, {int, float})):
        yield f"{name} must have choices of one type, which are one column, but has {shown}"
    elif len({*choices}) < len(choices):
        yield f"{name} must have each choice once, but has {shown}"


def _wrong_value(name: str, dimension: Dimension, value: object) -> Iterator[str]:
    values = dimension.allowed
    kinds: tuple[type, ...] = PLAIN
    if not isinstance(values, CategoricalDistribution):
        kinds = (int,) if isinstance(values, IntDistribution) else (int, float)
    if type(value) not in kinds or not contains(values, value):
        yield f"{name} must lie in {describe(values)[:80]}, but its baseline is {value!r:.40}"
