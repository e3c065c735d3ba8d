"""Test images that show the worst confusions: which they are, and copies in a study's folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.analysis.certain_but_wrong import SHOWN_AS_IMAGES, certain_but_wrong
from orchestrator.analysis.per_class import score_classes
from orchestrator.stats.predictions import PredictedRun, tuned_runs

FOLDER: Final = "examples"
IMAGES_SHOWN: Final = 6
LONGEST_EDGE: Final = 96
"""Pixels; larger images are reduced, since the page carries them."""
MOST_BYTES: Final = 64_000
"""Of one image; more is none of ours."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A pair of classes that a tuned model confuses, at the largest train fraction.

    Attributes:
        label: The true class.
        wrong: How often, over all seeds.
        images: Test images of the true class, each counted once per seed.
        examples: Indices of such test images, those that most seeds take for it first.
    """

    family: str
    label: int
    predicted: int
    wrong: int
    images: int
    examples: tuple[int, ...]


def worst_confusions(runs: Sequence[PredictedRun]) -> list[Confusion]:
    """The worst confusions of each tuned model, with examples."""
    return [each for group in tuned_runs(runs).values() for each in _of_model(group)]


def _of_model(runs: Sequence[PredictedRun]) -> Iterator[Confusion]:
    scores = score_classes(runs)
    for label, predicted in scores.worst_confusions():
        times = np.sum(
            [(run.labels == label) & (run.predicted == predicted) for run in runs], axis=0
        )
        order = np.argsort(-times, kind="stable")
        yield Confusion(
            family=scores.family,
            label=label,
            predicted=predicted,
            wrong=int(scores.confusion[label, predicted]),
            images=int(scores.images[label]),
            examples=tuple(int(i) for i in order[:IMAGES_SHOWN] if times[i]),
        )


def write_examples(
    folder: Path, runs: Sequence[PredictedRun], images: npt.NDArray[np.uint8]
) -> None:
    """Writes the examples as `examples/<image_index>.png`.

    Args:
        folder: The study's.
        runs: Its final runs.
        images: Of the test, RGB, uint8, [images, height, width, 3].

    Raises:
        OSError: A file cannot be written.
    """
    from PIL import Image  # readers of examples need no Pillow

    chosen = {index for each in worst_confusions(runs) for index in each.examples}
    chosen |= set(certain_but_wrong(runs)["image_index"].head(SHOWN_AS_IMAGES))
    (folder / FOLDER).mkdir(exist_ok=True)
    for index in sorted(chosen):
        image = Image.fromarray(images[index])
        image.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
        temporary = folder / FOLDER / f".{index}.png"
        image.save(temporary)
        temporary.replace(folder / FOLDER / f"{index}.png")


def read_examples(folder: Path) -> Mapping[int, bytes]:
    """Index of a test image to its PNG file, of those that were written."""
    found = {}
    for path in sorted((folder / FOLDER).glob("*.png")):
        if path.stem.isdecimal() and path.stat().st_size <= MOST_BYTES:
            found[int(path.stem)] = path.read_bytes()
    return found
