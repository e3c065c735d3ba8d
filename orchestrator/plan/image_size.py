"""How large a study's images are, and what each family is given of them: the same, by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optuna.distributions import BaseDistribution

from orchestrator.config.input_size import INPUT_SIZE
from orchestrator.config.settings import Settings, refuse
from search_spaces.dimension import contains, describe
from trainables import registry
from trainables.data.image_size import DEFAULT, LARGEST, SIZES, proposed_size


def with_image_size(settings: Settings, edges: Sequence[int] | None) -> Settings:
    """A new study's settings with its image size, which each family is given and searched with.

    A family of whose input size the settings say anything is left as they say. `edges` are the
    shorter ones of the images, in pixels; None where all have one size.

    Raises:
        ValueError: Not every family can be given that size, or there is none for all of them.
    """
    if edges is None:
        return replace(settings, image_size=settings.edge)
    allowed = _allowed(settings)
    size = settings.image_size or _proposed(edges, allowed)
    for family, values in allowed.items():
        if not contains(values, size):
            refuse(
                f"image_size must be one that {family} can be given, {describe(values)}, but got "
                f"{size}; or say what it is given: space.{family}.{INPUT_SIZE} and "
                f"baseline.{family}.{INPUT_SIZE}"
            )
    space, baseline = (
        {**texts, **{name: {**texts.get(name, {}), INPUT_SIZE: str(size)} for name in allowed}}
        for texts in (settings.space, settings.baseline)
    )
    return replace(settings, image_size=size, space=space, baseline=baseline)


def _allowed(settings: Settings) -> dict[str, BaseDistribution]:
    """What families can be given, of whose input size the settings say nothing."""
    texts = (settings.space, settings.baseline)
    return {
        family.name: family.search_space[INPUT_SIZE].allowed
        for family in registry.load_families(settings.families)
        if INPUT_SIZE in family.search_space
        and all(INPUT_SIZE not in text.get(family.name, {}) for text in texts)
    }


def _proposed(edges: Sequence[int], allowed: Mapping[str, BaseDistribution]) -> int:
    """The size that fits the images, of those that all families can be given."""
    sizes = [s for s in SIZES if all(contains(values, s) for values in allowed.values())]
    if not sizes:
        refuse(
            f"image_size must be named where no size of {SIZES[0]} to {LARGEST} can be given to "
            f"each of {', '.join(allowed)}; and say what these are given: space.NAME.{INPUT_SIZE} "
            f"and baseline.NAME.{INPUT_SIZE}"
        )
    return proposed_size(edges, sizes) if edges else DEFAULT
