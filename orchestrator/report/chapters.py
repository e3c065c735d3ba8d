"""The chapters of the report in their order: which figures and which sections stand in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.analysis.section import Section
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

Maker = Callable[[Inputs], Chart | None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A chapter before it has a study.

    Attributes:
        key: Its address in the page.
        title: Its heading.
        figures: What draws its figures.
        open: Its sections are shown at once, not on a click.
    """

    key: str
    title: str
    figures: Sequence[Maker] = ()
    open: bool = False


PLANS: Final = (
    Plan(
        key="results",
        title="Test results",
        figures=(finals.figure,),
        open=True,
    ),
    Plan(
        key="differences",
        title="Which differences are real",
        figures=(differences.figure,),
    ),
    Plan(
        key="data",
        title="Sample efficiency",
        figures=(sample_efficiency.figure,),
    ),
    Plan(key="curves", title="How the trials learned", figures=(learning_curves.figure,)),
    Plan(
        key="effort",
        title="What the search found with its time",
        figures=(anytime_performance.figure,),
    ),
    Plan(
        key="stopping",
        title="What early stopping did",
        figures=(early_stopping.figure,),
    ),
    Plan(
        key="search",
        title="Where good hyperparameters lie",
        figures=(hyperparameters.figure, importances.figure),
    ),
    Plan(
        key="classes",
        title="Which classes are confused",
        figures=(confusion.figure,),
    ),
    Plan(key="time", title="When the devices were busy", figures=(timeline.figure,)),
    Plan(key="failures", title="Failures", open=True),
    Plan(key="transfer", title="Transfer card", open=True),
)
FURTHER: Final = Plan(key="further", title="Further evidence")
"""Where sections stand that no chapter asks for."""
LAST: Final = Plan(key="settings", title="How to run it again")


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
    of_chapter: dict[str, list[Section]] = {}
    for section in sections:
        if section.says_something:
            of_chapter.setdefault(section.chapter, []).append(section)
    above = of_chapter.pop("warnings", [])
    known = {plan.key for plan in (*PLANS, LAST)}
    further = [each for key, own in of_chapter.items() if key not in known for each in own]
    chapters = [_chapter(plan, inputs, of_chapter.get(plan.key, ())) for plan in PLANS]
    chapters += [
        _chapter(FURTHER, inputs, further),
        _chapter(LAST, inputs, of_chapter.get(LAST.key, ())),
    ]
    return Chapters(
        warnings=tuple(line for section in above for line in section.notes),
        chapters=tuple(each for each in chapters if each.charts or each.sections),
    )


def _chapter(plan: Plan, inputs: Inputs, sections: Sequence[Section]) -> Chapter:
    charts = (make(inputs) for make in plan.figures)
    return Chapter(
        key=plan.key,
        title=plan.title,
        charts=tuple(chart for chart in charts if chart is not None),
        sections=tuple(sections),
        warnings=tuple(line for section in sections for line in section.warnings),
        open=plan.open,
    )
