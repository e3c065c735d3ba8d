"""Example images of the worst confusions, as the page carries them."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.analysis.confusion_examples import (
    SHOWN_AS_IMAGES,
    certain_but_wrong,
    worst_confusions,
)
from orchestrator.analysis.frames import records
from orchestrator.analysis.section import count, percent
from orchestrator.report.figures import confusion
from orchestrator.report.inputs import Inputs


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image: its address, which holds it, and what it shows in words."""

    address: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Examples of one confusion, with what is confused."""

    caption: str
    pictures: tuple[Picture, ...]


def galleries(inputs: Inputs) -> list[Gallery]:
    """One for each confusion of which the study's folder has an image."""
    if not inputs.examples:
        return []
    classes = inputs.runs[0].probabilities.shape[1] if inputs.runs else 0
    names = confusion.names(inputs, classes)
    found = []
    for each in worst_confusions(inputs.runs):
        true, guess = names[each.label], names[each.predicted]
        pictures = tuple(
            Picture(
                address=_address(png),
                alt=f"Test image {index}, {true}, taken for {guess}",
            )
            for index in each.examples
            if (png := inputs.examples.get(index)) is not None
        )
        caption = (
            f"{each.family}: {true} taken for {guess}, {count(each.wrong)} of "
            f"{count(each.images)} ({percent(each.wrong / each.images, 1)})"
        )
        if pictures:
            found.append(Gallery(caption=caption, pictures=pictures))
    return [*found, *_doubtful(inputs, names)]


def _doubtful(inputs: Inputs, names: list[str]) -> Iterator[Gallery]:
    """The images whose labels the tuned models believe least."""
    table = certain_but_wrong(inputs.runs).head(SHOWN_AS_IMAGES)
    pictures = tuple(
        Picture(
            address=_address(inputs.examples[row["image_index"]]),
            alt=f"Test image {row['file'] or row['image_index']}, labelled "
            f"{names[row['label']]}, taken for {names[row['taken_for']]}",
        )
        for row in records(table)
        if row["image_index"] in inputs.examples
    )
    if pictures:
        yield Gallery(caption="Certain but wrong: are these labels right?", pictures=pictures)


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
