"""The page of one study: its answer, and every section and figure in its chapter."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from orchestrator.analysis.answer import Answer
from orchestrator.compare.document import prepare
from orchestrator.report import failures, provenance
from orchestrator.report.chart import Chart
from orchestrator.report.figures import (
    anytime_performance,
    confusion,
    differences,
    early_stopping,
    finals,
    hyperparameters,
    importances,
    learning_curves,
    sample_efficiency,
    timeline,
)
from orchestrator.report.gallery import galleries
from orchestrator.report.inputs import Inputs
from orchestrator.report.page import Page, arrange
from orchestrator.status.render import rough

TITLES: Final = {
    "results": "Test results",
    "differences": "Which differences are real",
    "data": "Sample efficiency",
    "curves": "How the trials learned",
    "effort": "What the search found with its time",
    "stopping": "What early stopping did",
    "search": "Where good hyperparameters lie",
    "classes": "Which classes are confused",
    "time": "When the devices were busy",
    "failures": "Failures",
    "transfer": "Transfer card",
    "further": "Further evidence",
    "settings": "How to run it again",
}
"""Heading of each chapter, in their order."""
OPEN: Final = ("results", "failures", "transfer")
"""Chapters whose sections are shown at once, not on a click."""
FIGURES: Final[Mapping[str, Sequence[Callable[[Inputs], Chart | None]]]] = {
    "results": [finals.figure],
    "differences": [differences.figure],
    "data": [sample_efficiency.figure],
    "curves": [learning_curves.figure],
    "effort": [anytime_performance.figure],
    "stopping": [early_stopping.figure],
    "search": [hyperparameters.figure, importances.figure],
    "classes": [confusion.figure],
    "time": [timeline.figure],
}


def compose(inputs: Inputs) -> Page:
    """Everything that the report of a study says and shows."""
    report = prepare(
        inputs.study,
        inputs.tables,
        runs=inputs.runs,
        curves=inputs.curves,
        more=(*failures.gather(inputs), *provenance.gather(inputs)),
    )
    not_yet = Answer(headline=f"No answer yet: {progress(inputs)}")
    drawn = {key: [make(inputs) for make in figures] for key, figures in FIGURES.items()}
    charts = {key: [each for each in own if each is not None] for key, own in drawn.items()}
    return Page(
        name=inputs.study.name,
        state=inputs.status.state,
        question=_question(inputs),
        answer=report.answer if inputs.ended and report.answer else not_yet,
        demo=report.demo,
        warnings=report.warnings,
        facts=provenance.facts(inputs),
        chapters=arrange(report.sections, TITLES, charts, shown=OPEN),
        galleries=galleries(inputs),
        command=provenance.command(inputs),
    )


def _question(inputs: Inputs) -> str:
    *others, last = inputs.families
    names = f"{', '.join(others)} and {last}" if others else last
    dataset = inputs.study.settings.dataset
    return f"How accurate are {names} on {dataset}, each tuned, and is the difference real?"


def progress(inputs: Inputs) -> str:
    """How far a study is that has not ended."""
    status = inputs.status
    ended = sum(f.stopped + f.completed + f.failed + f.diverged for f in status.families)
    planned = sum(f.trials for f in status.families)
    text = f"the study is {status.state}; {ended:,} of {planned:,} trials have ended"
    if status.finals is None:
        text += " and the finals have not begun."
    else:
        text += f" and {status.finals.done:,} of {status.finals.expected:,} final runs are done."
    if status.time_left_seconds is not None:
        text += f" If it goes on as so far, about {rough(status.time_left_seconds)} are left."
    return text
