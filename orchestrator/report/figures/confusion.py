"""Confusion matrices of the tuned models: what each class of test images is taken for."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import share, words
from orchestrator.analysis.per_class import CLASSES_SHOWN, ClassScores, class_names, score_classes
from orchestrator.analysis.section import Section, percent
from orchestrator.report.chart import Axis, Chart, HeatMap, Panel
from orchestrator.report.inputs import Inputs
from orchestrator.stats.predictions import tuned_runs

CELL_PIXELS: Final = 26
MOST_WITH_TEXT: Final = 12


def figure(inputs: Inputs) -> Chart | None:
    """A matrix a family; with many classes those with the lowest recall, the others together."""
    found = [score_classes(runs) for runs in tuned_runs(inputs.runs).values()]
    if not found:
        return None
    labels = class_names(inputs.study, inputs.runs)
    recall = np.mean([each.recall for each in found], axis=0)
    tested = found[0].images > 0
    shown = sorted(np.argsort(np.where(tested, recall, 2), kind="stable")[:CLASSES_SHOWN].tolist())
    notes = ["Rows are the true class, columns what it is taken for; each row sums to 100%."]
    if len(shown) < len(labels):
        notes.append(
            f"The {len(shown)} of {len(labels)} classes with the lowest mean recall are shown."
        )
    return Chart(
        key="confusion",
        title="Confusion matrices of the tuned models",
        finding=f"{'; '.join(_finding(each, labels) for each in found)}.",
        panels=[_panel(each, shown, labels, inputs.looks[each.family]["colour"]) for each in found],
        numbers=Section(
            key="figures/confusion",
            title="Each class: recall, and what it is most often taken for",
            table=pd.DataFrame(
                _row(each, labels, index) for each in found for index in shown if each.images[index]
            ),
            formats={
                "model": words("family", "role"),
                "true class": words("class"),
                "recall": share("recall"),
                "most often taken for": words("taken_for"),
                "of its images": share("share"),
            },
        ),
        notes=notes,
    )


def _panel(each: ClassScores, shown: Sequence[int], labels: Sequence[str], colour: str) -> Panel:
    rows = columns = [labels[i] for i in shown]
    images = each.images[shown]
    counts = each.confusion[np.ix_(shown, shown)]
    if len(shown) < len(labels):
        counts = np.column_stack([counts, images - counts.sum(axis=1)])
        columns = [*columns, "others"]
    shares = counts / np.maximum(images, 1)[:, None]
    least = 0.005 if len(columns) <= MOST_WITH_TEXT else np.inf  # less is rounded to 0
    texts = [[f"{100 * s:.0f}" if s >= least else "" for s in row] for row in shares]
    cells = [
        [
            f"{true} taken for {guess}\n{counts[i, j]:,} of {images[i]:,} "
            f"({percent(shares[i, j], 1)})"
            if images[i]
            else f"{true} has no test image"
            for j, guess in enumerate(columns)
        ]
        for i, true in enumerate(rows)
    ]
    hover = [row[i] for i, row in enumerate(cells)]
    drawn = HeatMap(colour=colour, shares=shares.tolist(), texts=texts, cells=cells, hover=hover)
    return Panel(
        title=f"{each.family} {each.role}",
        marks=[drawn],
        x=Axis(title="taken for", ticks=dict(enumerate(columns))),
        y=Axis(title="true class", ticks=dict(enumerate(rows))),
        height=150 + CELL_PIXELS * len(shown),
    )


def _finding(each: ClassScores, labels: Sequence[str]) -> str:
    worst = each.worst_confusions(1)
    if not worst:
        return f"{each.family} confuses nothing"
    ((true, guess),) = worst
    return (
        f"{each.family} most often takes {labels[true]} for {labels[guess]}: "
        f"{percent(each.confusion[true, guess] / each.images[true], 1)} of its images"
    )


def _row(each: ClassScores, labels: Sequence[str], index: int) -> dict[str, Any]:
    wrong = np.where(np.arange(len(labels)) == index, 0, each.confusion[index])
    guess = int(wrong.argmax())
    return {
        "family": each.family,
        "role": each.role,
        "class": labels[index],
        "recall": each.recall[index],
        "taken_for": labels[guess] if wrong[guess] else "nothing else",
        "share": wrong[guess] / each.images[index],
    }
