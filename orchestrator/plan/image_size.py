"""How large a study's images are, and what each family is given of them: the same, by itself."""

from collections.abc import Sequence
from dataclasses import replace

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
    asked = (settings.space, settings.baseline)
    allowed = {
        family.name: family.search_space[INPUT_SIZE].allowed
        for family in registry.load_families(settings.families)
        if INPUT_SIZE in family.search_space
        and all(INPUT_SIZE not in texts.get(family.name, {}) for texts in asked)
    }
    size = settings.image_size
    if size is None:
        sizes = [s for s in SIZES if all(contains(values, s) for values in allowed.values())]
        if not sizes:
            refuse(
                f"image_size must be named where no size of {SIZES[0]} to {LARGEST} can be given "
                f"to each of {', '.join(allowed)}; and say what these are given: "
                f"space.NAME.{INPUT_SIZE} and baseline.NAME.{INPUT_SIZE}"
            )
        size = proposed_size(edges, sizes) if edges else DEFAULT
    for family, values in allowed.items():
        if not contains(values, size):
            refuse(
                f"image_size must be one that {family} can be given, {describe(values)}, but got "
                f"{size}; or say what it is given: space.{family}.{INPUT_SIZE} and "
                f"baseline.{family}.{INPUT_SIZE}"
            )
    space, baseline = (
        {**texts, **{name: {**texts.get(name, {}), INPUT_SIZE: str(size)} for name in allowed}}
        for texts in asked
    )
    return replace(settings, image_size=size, space=space, baseline=baseline)
