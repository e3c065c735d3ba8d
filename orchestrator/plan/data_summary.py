"""What a study has of images of free size, in a few lines: the first page of every plan."""

from collections import Counter
from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist, median
from typing import Final

from orchestrator.plan.inputs import Inputs

IMBALANCED: Final = 3.0
"""Times as many images in the largest class as in the smallest, from which on it is said."""
FEW_POINTS: Final = 5.0
"""Half the width of an accuracy's interval, in points, from which on it is said."""
CONFIDENCE: Final = 0.95


def data_summary(inputs: Inputs, *, proposed: bool = False) -> Iterator[str]:
    """How many images there are of what, a sentence each; nothing of images that have one size.

    Their size may be `proposed`: nobody has named it.
    """
    dataset, glance = inputs.dataset, inputs.dataset.glance
    if glance is None:
        return
    sums = map(sum, zip(*glance.counts.values(), strict=True))
    totals = Counter(dict(zip(dataset.classes, sums, strict=True)))
    least, most = min(totals.values()), max(totals.values())
    each = f"{least:,} in each" if least == most else f"{least:,} to {most:,} in each"
    train, validation = len(inputs.split.train), len(inputs.split.validation)
    yield (
        f"{totals.total():,} images of {len(totals):,} classes, {each}: {train:,} train, "
        f"{validation:,} validate, {sum(glance.counts['test']):,} test."
    )
    edges, size = glance.shorter_edges, inputs.training.images.shape[1]
    why = ", the image_size that is from these (--image-size N: another)" if proposed else ""
    yield (
        f"Shorter edges: {min(edges):,} to {max(edges):,} pixels, median {median(edges):,.0f}; "
        f"{sum(edge < size for edge in edges):,} are enlarged to {size}{why}."
    )
    if glance.left_out:
        listed = ", ".join(f"{len(names):,} {what}" for what, names in glance.left_out.items())
        yield f"Left out: {listed}."
    if most >= IMBALANCED * least:
        name, test = max(totals, key=lambda each: totals[each]), glance.counts["test"]
        share = 100 * test[dataset.classes.index(name)] / sum(test)
        yield f"Imbalanced: who always says {name!r} is right on {share:.1f}% of the test images."
    points = 100 * half_width(validation)
    if points >= FEW_POINTS:
        yield (
            f"Few validation images: on {validation:,} an accuracy of 50% is known to {points:.0f} "
            f"points either way ({100 * CONFIDENCE:.0f}% interval)."
        )


def half_width(images: int) -> float:
    """Half of Wilson's interval of an accuracy of a half that so many images give, a fraction."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return z / (2 * sqrt(images + z * z))
