"""What a data set has in numbers: images by class and part, sizes, formats, traits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trainables.data.class_folders import PARTS
from trainables.data.survey import TRAITS, Survey, SurveyedImage

SQUARE: Final = 1.05
"""How much longer one edge is at most in what counts as a square."""
LONG: Final = 2.0
"""How much longer one edge is in what loses more than half of itself to the middle square."""
UNDIVIDED: Final = "images"


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The images that can be used.

    Attributes:
        counts: Part (`train`, `val`, `test`; `images` where it is not known) to images by class.
        width: Least, median and most pixels, upright; None where nobody looked at files.
        height: Likewise.
        formats: Format to images, the most frequent first.
        shapes: `portrait`, `square`, `landscape`, and of these `longer than 2:1`, to images.
        traits: What reading does to some images, to how many.
    """

    counts: Mapping[str, Mapping[str, int]]
    width: tuple[int, int, int] | None = None
    height: tuple[int, int, int] | None = None
    formats: Mapping[str, int] | None = None
    shapes: Mapping[str, int] | None = None
    traits: Mapping[str, int] | None = None

    @property
    def by_class(self) -> dict[str, int]:
        """Class to images, of all parts together."""
        together: Counter[str] = Counter()
        for counts in self.counts.values():
            together.update(counts)
        return dict(together)

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.by_class.values())


def overview_of(survey: Survey) -> Overview:
    """The images of a survey that can be used."""
    images = survey.images
    found = Counter((image.part, image.label) for image in images)
    parts = [part for part, _ in survey.places] if survey.divided else [i.part for i in images]
    counts = {
        part or UNDIVIDED: {name: found[part, i] for i, name in enumerate(survey.classes)}
        for part in dict.fromkeys(parts or [""])
    }
    if not images:
        return Overview(counts=counts)
    traits = Counter(trait for image in images for trait in image.traits)
    return Overview(
        counts={part: counts[part] for part in (*PARTS, UNDIVIDED) if part in counts},
        width=_spread([image.width for image in images]),
        height=_spread([image.height for image in images]),
        formats=dict(Counter(image.form for image in images).most_common()),
        shapes=_shapes(images),
        traits={trait: traits[trait] for trait in TRAITS if traits[trait]},
    )


def _spread(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), round(float(np.median(values))), max(values)


def _shapes(images: Sequence[SurveyedImage]) -> dict[str, int]:
    found = dict.fromkeys(("portrait", "square", "landscape", "longer than 2:1"), 0)
    for image in images:
        longer, shorter = max(image.width, image.height), min(image.width, image.height)
        shape = "landscape" if image.width > image.height else "portrait"
        found[shape if longer > SQUARE * shorter else "square"] += 1
        found["longer than 2:1"] += longer > LONG * shorter
    return found
