"""Example images of the worst confusions, as the page carries them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis import confusion_examples as examples
from orchestrator.analysis.frames import records
from orchestrator.analysis.per_class import class_names
from orchestrator.analysis.section import count, percent
from orchestrator.report.inputs import Inputs

Picture = tuple[str, str]
"""The address of an image, which holds it, and what it shows in words."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Examples of one confusion, with what is confused."""

    caption: str
    pictures: Sequence[Picture]


def galleries(inputs: Inputs) -> list[Gallery]:
    """One for each confusion, and for the labels in doubt, of which the study kept an image."""
    if not inputs.examples or not inputs.runs:
        return []
    names, found = class_names(inputs.study, inputs.runs), []
    for each in examples.worst_confusions(inputs.runs):
        true, guess = names[each.label], names[each.predicted]
        shown = {index: f"{index}, {true}, taken for {guess}" for index in each.examples}
        caption = (
            f"{each.family}: {true} taken for {guess}, {count(each.wrong)} of "
            f"{count(each.images)} ({percent(each.wrong / each.images, 1)})"
        )
        found.append(Gallery(caption=caption, pictures=_pictures(inputs, shown)))
    doubted = examples.certain_but_wrong(inputs.runs)
    doubtful = {
        row["image_index"]: f"{row['file'] or row['image_index']}, labelled {names[row['label']]}, "
        f"taken for {names[row['taken_for']]}"
        for row in records(doubted.head(examples.SHOWN_AS_IMAGES))
    }
    caption = "Certain but wrong: are these labels right?"
    found.append(Gallery(caption=caption, pictures=_pictures(inputs, doubtful)))
    return [each for each in found if each.pictures]


def _pictures(inputs: Inputs, shown: dict[int, str]) -> list[Picture]:
    """Those of the test images that the study kept, by index, with what each shows."""
    kept = {i: base64.b64encode(png).decode() for i, png in inputs.examples.items() if i in shown}
    found = ((f"data:image/png;base64,{kept[i]}", shown[i]) for i in shown if i in kept)
    return [(address, f"Test image {words}") for address, words in found]
