"""Test images that show the worst confusions, or that the tuned models are certain of, and wrong.

Which they are, and copies in a study's folder; where models are certain, perhaps a label is wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from orchestrator.analysis.formats import number, share, words
from orchestrator.analysis.per_class import class_names, score_classes
from orchestrator.analysis.section import Section, count
from orchestrator.cli import counted
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.predictions import PredictedRun, tuned_runs

FOLDER: Final = "examples"
IMAGES_SHOWN: Final = 6
LONGEST_EDGE: Final = 96
"""Pixels; larger images are reduced, since the page carries them."""
MOST_BYTES: Final = 64_000
"""Of one image; more is none of ours."""

MOST_ROWS: Final = 1000
SHOWN_AS_IMAGES: Final = 24


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A pair of classes that a tuned model confuses, at the largest train fraction.

    Attributes:
        wrong: How often, over all seeds.
        images: Test images of the true class, `label`, each counted once per seed.
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
    found = []
    for family, own in tuned_runs(runs).items():
        scores = score_classes(own)
        for label, predicted in scores.worst_confusions():
            taken = [(run.labels == label) & (run.predicted == predicted) for run in own]
            times = np.sum(taken, axis=0)
            examples = tuple(int(i) for i in np.argsort(-times, kind="stable") if times[i])
            confusion = Confusion(
                family=family,
                label=label,
                predicted=predicted,
                wrong=int(times.sum()),
                images=int(scores.images[label]),
                examples=examples[:IMAGES_SHOWN],
            )
            found.append(confusion)
    return found


def write_examples(
    folder: Path, runs: Sequence[PredictedRun], images: npt.NDArray[np.uint8]
) -> None:
    """Writes the examples as `examples/<image_index>.png`.

    Of the test images, RGB, uint8, [images, height, width, 3], into the study's folder.

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
    return {
        int(path.stem): path.read_bytes()
        for path in sorted((folder / FOLDER).glob("*.png"))
        if path.stem.isdecimal() and path.stat().st_size <= MOST_BYTES
    }


def certain_but_wrong(runs: Sequence[PredictedRun]) -> pd.DataFrame:
    """The images that the tuned models together are wrong on, the least believed labels first.

    Together: the mean over the seeds of each family, and then over families. What they give the
    label, its self-confidence, is the order: of labels changed on purpose it put more first than
    its distance to the class they take an image for (docs/OWN_IMAGES.md). Source: Northcutt, Jiang
    and Chuang (2021), Confident Learning.

    Returns:
        A row an image: `image_index`, `file` (null where images are no files), `label` and
        `taken_for` (indices of classes), `probability` of either, `trainings` and how many of
        these are `wrong`.
    """
    groups = tuned_runs(runs).values()
    if not groups:
        return pd.DataFrame(columns=["image_index"])
    every = [run for group in groups for run in group]
    of_families = [np.mean([run.probabilities for run in group], axis=0) for group in groups]
    believed = np.mean(of_families, axis=0)
    first, places = every[0], np.arange(len(believed))
    guess, label = believed.argmax(axis=1), first.labels.astype(np.int64)
    table = pd.DataFrame(
        {
            "image_index": first.images,
            "file": list(first.files) or None,
            "label": label,
            "taken_for": guess,
            "probability": believed[places, guess],
            "probability_of_label": believed[places, label],
            "wrong": np.sum([~run.correct for run in every], axis=0),
            "trainings": len(every),
        }
    )
    missed = table[table["probability"] > table["probability_of_label"]]
    return missed.sort_values("probability_of_label", kind="stable", ignore_index=True)


def certain_but_wrong_sections(
    study: StudyRecord, runs: Sequence[PredictedRun]
) -> Iterator[Section]:
    """The first thousand of them; nothing where no tuned model was tested."""
    found = certain_but_wrong(runs)
    if not len(found):
        return
    names = class_names(study, runs)
    table = found.head(MOST_ROWS)
    table = table.assign(**table[["label", "taken_for"]].map(names.__getitem__))
    by_file = bool(table["file"].notna().all())
    yield Section(
        key="classes/certain-but-wrong",
        title="Certain but wrong: is the label right?",
        table=table,
        formats={
            "test image": words("file") if by_file else number("image_index", "d"),
            "label": words("label"),
            "taken for": words("taken_for"),
            "probability of that": share("probability", 0),
            "of the label": share("probability_of_label", 0),
            "trainings wrong": number("wrong"),
        },
        notes=(
            f"The first {count(len(table))} of {counted(len(found), 'test image')} that the tuned "
            f"models, {counted(int(table['trainings'].iloc[0]), 'training')} together, are wrong "
            "on, those first whose label is the least probable to them. A wrong label is one "
            "reason; look at the images before anything is changed.",
        ),
    )
