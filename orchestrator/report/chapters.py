"""The chapters of the report in their order: which figures and which sections stand in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.analysis.section import Section
from orchestrator.compare.document import WARNINGS
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
from orchestrator.report.inputs import Inputs

WARNING: Final = "Warning: "

Maker = Callable[[Inputs], Chart | None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A chapter before it has a study.

    Attributes:
        key: Its address in the page.
        title: Its heading.
        figures: What draws its figures.
        sections: How the titles of its sections begin.
        open: Its sections are shown at once, not on a click.
    """

    key: str
    title: str
    figures: Sequence[Maker] = ()
    sections: Sequence[str] = ()
    open: bool = False


PLANS: Final = (
    Plan(
        key="results",
        title="Test results",
        sections=("Test results", "How to read the test results", "Beside the reference"),
        figures=(finals.figure,),
        open=True,
    ),
    Plan(
        key="differences",
        title="Which differences are real",
        figures=(differences.figure,),
        sections=("Tuned minus baseline", "Tuned families", "Every pair", "Training noise"),
    ),
    Plan(
        key="data",
        title="What the data buy",
        figures=(sample_efficiency.figure,),
        sections=("Sample efficiency",),
    ),
    Plan(key="curves", title="How the trials learned", figures=(learning_curves.figure,)),
    Plan(
        key="effort",
        title="What the search found with its time",
        figures=(anytime_performance.figure,),
        sections=("Fairness",),
    ),
    Plan(
        key="stopping",
        title="What early stopping did",
        figures=(early_stopping.figure,),
        sections=("Early stopping",),
    ),
    Plan(
        key="search",
        title="Where good hyperparameters lie",
        figures=(hyperparameters.figure, importances.figure),
        sections=("Search",),
    ),
    Plan(
        key="classes",
        title="Which classes are confused",
        figures=(confusion.figure,),
        sections=("Classes", "Confusion", "Calibration"),
    ),
    Plan(key="time", title="When the devices were busy", figures=(timeline.figure,)),
    Plan(key="failures", title="What failed", sections=("Failures",), open=True),
    Plan(key="transfer", title="Transfer card", sections=("Transfer",), open=True),
)
FURTHER: Final = Plan(key="further", title="Further evidence")
"""Where sections stand that no chapter asks for."""
LAST: Final = Plan(key="settings", title="How to run it again", sections=("Settings",))


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A chapter of one study's report.

    Attributes:
        key: Its address in the page.
        title: Its heading.
        charts: Its figures.
        sections: Its tables and sentences.
        warnings: Sentences that must not be missed.
        open: Its sections are shown at once, not on a click.
    """

    key: str
    title: str
    charts: tuple[Chart, ...] = ()
    sections: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class Chapters:
    """All chapters, and what stands above them."""

    warnings: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...] = field(default=())


def arrange(inputs: Inputs, sections: Sequence[Section]) -> Chapters:
    """Puts every section into its chapter, and draws the figures.

    Args:
        inputs: The study.
        sections: In their order; one that no chapter asks for gets a place before the last.
    """
    left = [section for section in sections if section.rows or section.sentences]
    above = [section for section in left if section.title == WARNINGS]
    left = [section for section in left if section.title != WARNINGS]
    chapters = []
    for plan in (*PLANS, LAST):
        own = [section for section in left if section.title.startswith(tuple(plan.sections))]
        left = [section for section in left if section not in own]
        chapters.append(_chapter(plan, inputs, own))
    chapters.insert(-1, _chapter(FURTHER, inputs, left))
    return Chapters(
        warnings=tuple(line for section in above for line in section.sentences),
        chapters=tuple(each for each in chapters if each.charts or each.sections),
    )


def _chapter(plan: Plan, inputs: Inputs, sections: Sequence[Section]) -> Chapter:
    charts = (make(inputs) for make in plan.figures)
    return Chapter(
        key=plan.key,
        title=plan.title,
        charts=tuple(chart for chart in charts if chart is not None),
        sections=tuple(sections),
        warnings=tuple(
            line.removeprefix(WARNING)
            for section in sections
            for line in section.sentences
            if line.startswith(WARNING)
        ),
        open=plan.open,
    )
