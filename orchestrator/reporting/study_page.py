"""The page of one study: its answer, and every section and figure in its chapter."""

from orchestrator.comparison_sections import prepare
from orchestrator.evidence import gather
from orchestrator.reporting import failure_sections, settings_sections
from orchestrator.reporting.answer import answer
from orchestrator.reporting.chapters import arrange
from orchestrator.reporting.gallery import galleries
from orchestrator.reporting.inputs import Inputs
from orchestrator.reporting.page import Page


def compose(inputs: Inputs) -> Page:
    """Everything that the report of a study says and shows.

    Args:
        inputs: The study.
    """
    tables = inputs.tables
    evidence = gather(
        inputs.study,
        **{name: tables[name] for name in ("trials", "epochs", "rungs", "final", "predictions")},
        runs=inputs.runs,
        curves=inputs.curves,
    )
    report = prepare(
        inputs.study,
        tables["trials"],
        tables["final"],
        tables["comparison"],
        evidence=(*evidence, *failure_sections.gather(inputs), *settings_sections.gather(inputs)),
    )
    arranged = arrange(inputs, report.sections)
    return Page(
        name=str(inputs.study["name"]),
        state=inputs.standing.state,
        answer=answer(inputs),
        demo=report.demo,
        warnings=arranged.warnings,
        facts=settings_sections.facts(inputs),
        chapters=arranged.chapters,
        galleries=galleries(inputs),
        command=settings_sections.command(inputs),
    )
