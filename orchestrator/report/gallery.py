"""Example images of the worst confusions, as the page carries them."""

import base64
from dataclasses import dataclass

from orchestrator.analysis.confusion_examples import worst_confusions
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
                address=f"data:image/png;base64,{base64.b64encode(png).decode()}",
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
    return found
