"""The page of one study: its answer, and every section and figure in its topic."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
from orchestrator.report.inputs import Inputs, read
from orchestrator.report.page import Page, arrange, write_page
from orchestrator.results import files
from orchestrator.results.states import ENDED
from orchestrator.status.render import rough

Figure = Callable[[Inputs], Chart | None]
PAGE: Final = "report.html"
TOPICS: Final[Mapping[str, tuple[str, Sequence[Figure]]]] = {
    "results": ("Test results", [finals.figure]),
    "differences": ("Which differences are real", [differences.figure]),
    "data": ("Sample efficiency", [sample_efficiency.figure]),
    "curves": ("How the trials learned", [learning_curves.figure]),
    "effort": ("What the search found with its time", [anytime_performance.figure]),
    "stopping": ("What early stopping did", [early_stopping.figure]),
    "search": ("Where good hyperparameters lie", [hyperparameters.figure, importances.figure]),
    "classes": ("Which classes are confused", [confusion.figure]),
    "time": ("When the devices were busy", [timeline.figure]),
    "failures": ("Failures", []),
    "transfer": ("Transfer card", []),
    "further": ("Further evidence", []),
    "settings": ("How to run it again", []),
}
"""Heading and figures of each topic, in their order."""
TITLES: Final = {key: title for key, (title, _) in TOPICS.items()}


def write_report(folder: Path, *, figures: Path | None = None) -> list[Path]:
    """Writes `report.html` into a study's folder, also while it runs, as `write_page` does.

    Raises:
        ValueError: The folder is no study, or a file in it is damaged.
        OSError: A file cannot be read or written.
    """
    files.check_inside(folder)
    return write_page(compose(read(folder)), folder / PAGE, figures)


def compose(inputs: Inputs) -> Page:
    """Everything that the report of a study says and shows."""
    report = prepare(
        inputs.study,
        inputs.tables,
        runs=inputs.runs,
        curves=inputs.curves,
        more=(*failures.gather(inputs), *provenance.gather(inputs)),
    )
    found = report.answer
    if found is None or inputs.status.state not in ENDED:
        found = Answer(headline=f"No answer yet: {progress(inputs)}")
    charts = {
        key: [chart for make in figures if (chart := make(inputs))]
        for key, (_, figures) in TOPICS.items()
    }
    return Page(
        name=inputs.study.name,
        state=inputs.status.state,
        question=_question(inputs.families, inputs.study.settings.dataset),
        answer=found,
        demo=report.demo,
        warnings=report.warnings,
        facts=[(name, value) for name, value in provenance.facts(inputs) if value],
        topics=arrange(report.sections, TITLES, charts, shown=("results", "failures", "transfer")),
        galleries=galleries(inputs),
        command=provenance.command(inputs),
    )


def _question(families: Sequence[str], dataset: str) -> str:
    *others, last = families
    if not others:
        return f"How accurate is {last} on {dataset}, tuned, and what did tuning it bring?"
    names = f"{', '.join(others)} and {last}"
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
