"""One dimension of a search space: what a hyperparameter may be, and what it means."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from search_spaces.baseline import Params


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A hyperparameter's possible values.

    Attributes:
        values: The distribution that Optuna samples from.
        meaning: What it does, with its unit, in a few words.
        also: Choices beside these that a user may name, and that are not searched otherwise.
    """

    values: BaseDistribution
    meaning: str
    also: tuple[Any, ...] = ()

    @property
    def allowed(self) -> BaseDistribution:
        """What a user may name: the values, and the choices beside them."""
        if not self.also:
            return self.values
        assert isinstance(self.values, CategoricalDistribution), self.values
        return CategoricalDistribution((*self.values.choices, *self.also))


Space = Mapping[str, Dimension]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna takes it: name to distribution."""
    return {name: dimension.values for name, dimension in space.items()}


def read_distribution(stored: Mapping[str, object]) -> BaseDistribution:
    """A distribution from Optuna's own description of it, as `study.json` has it."""
    return json_to_distribution(json.dumps(stored))


def describe(distribution: BaseDistribution) -> str:
    """A distribution as a user reads and writes it, e.g. `1e-05..0.01 (log)` or `32, 64, 128`."""
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    scale = " (log)" if distribution.log else ""
    if _step(distribution):
        scale = f" (steps of {distribution.step:g})"
    return f"{distribution.low:g}..{distribution.high:g}{scale}"


def ends_of(distribution: BaseDistribution) -> Sequence[Any]:
    """Values between which, or of which, all of a distribution are."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    return distribution.low, distribution.high


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a distribution may yield a value."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    if not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / (_step(distribution) or 1)
    return not _step(distribution) or math.isclose(steps, round(steps), abs_tol=1e-8)


def _step(distribution: FloatDistribution | IntDistribution) -> float | None:
    """The step of a distribution; None of one without, and of whole numbers in steps of one."""
    step = distribution.step
    return None if isinstance(distribution, IntDistribution) and step == 1 else step


def covers(distribution: BaseDistribution, other: BaseDistribution) -> bool:
    """Whether a distribution may yield whatever another of its kind may."""
    same_kind = isinstance(distribution, CategoricalDistribution) == isinstance(
        other, CategoricalDistribution
    )
    return same_kind and all(contains(distribution, end) for end in ends_of(other))


def outside(space: Mapping[str, BaseDistribution], params: Params) -> list[str]:
    """The names of parameters that are missing, or whose value the space does not contain."""
    return [name for name in space if name not in params or not contains(space[name], params[name])]
