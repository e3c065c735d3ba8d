"""Narrowing a dimension without code: `1e-5..1e-3` for a range, `32,48` for choices."""

import re
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.dimension import contains, describe


def narrow(name: str, distribution: BaseDistribution, text: str) -> BaseDistribution:
    """The part of a distribution that a text names.

    Args:
        name: The dimension, for messages, e.g. `space.cnn.learning_rate`.
        distribution: What it may be without the text.
        text: `low..high` or one number for a range; choices separated by commas otherwise.

    Raises:
        ValueError: The text does not parse, low is above high, a choice is named twice, or it
            leaves the distribution.
    """
    if bracketed := re.fullmatch(r"\s*[\[(](.*)[\])]\s*", text):
        between = "," if isinstance(distribution, CategoricalDistribution) else ".."
        bare = between.join(part.strip(" '\"") for part in bracketed[1].split(","))
        raise ValueError(f"{name} must be written without brackets, as {bare}, but got {text!r}")
    if isinstance(distribution, CategoricalDistribution):
        choices = tuple(parse_value(name, distribution, part) for part in text.split(","))
        if len(set(choices)) < len(choices):
            raise ValueError(f"{name} must name each choice once, but got {text!r}")
        return CategoricalDistribution(choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    if "," in text:
        low_text, *_, high_text = (part.strip() for part in text.split(","))
        as_range = f"{low_text}..{high_text}"
        raise ValueError(f"{name} must be a number or a range, as {as_range}, but got {text!r}")
    low_text, dots, high_text = text.partition("..")
    low = parse_value(name, distribution, low_text)
    high = parse_value(name, distribution, high_text) if dots else low
    if low > high:
        raise ValueError(f"{name} must have low <= high, but got low={low:g}, high={high:g}")
    if isinstance(distribution, IntDistribution):
        return IntDistribution(low, high, log=distribution.log, step=distribution.step)
    return FloatDistribution(low, high, log=distribution.log, step=distribution.step)


def parse_value(name: str, distribution: BaseDistribution, text: str) -> Any:
    """One value of a distribution from its text.

    Raises:
        ValueError: The distribution does not contain it.
    """
    wanted = text.strip()
    if isinstance(distribution, CategoricalDistribution):
        matching = [choice for choice in distribution.choices if _same(choice, wanted)]
        if matching:
            return matching[0]
    else:
        number = int if isinstance(distribution, IntDistribution) else float
        try:
            value = number(wanted)
        except ValueError:
            value = None
        if value is not None and contains(distribution, value):
            return value
    raise ValueError(f"{name} must lie in {describe(distribution)}, but got {wanted!r}")


def _same(choice: Any, text: str) -> bool:
    """Whether a text means a choice: the same string, or the same number."""
    if choice is None or isinstance(choice, bool):
        return str(choice).lower() == text.lower()
    if isinstance(choice, str):
        return choice == text
    try:
        return float(choice) == float(text)
    except ValueError:
        return False
