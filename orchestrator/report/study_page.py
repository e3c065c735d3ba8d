"""The page of one study: its answer, and every section and figure in its chapter."""

from orchestrator.compare.document import gather, prepare
from orchestrator.report import failures, provenance
from orchestrator.report.answer import answer, question
from orchestrator.report.chapters import arrange
from orchestrator.report.gallery import galleries
from orchestrator.report.inputs import Inputs
from orchestrator.report.page import Page


def compose(inputs: Inputs) -> Page:
    """Everything that the report of a study says and shows.

    Args:
        inputs: The study.
    """
    tables = inputs.tables
    evidence = gather(
        inputs.study,
        **{name: tables[name] for name in ("trials", "epochs", "rungs", "final")},
        predictions=tables["predictions"],
        comparison=tables["comparison"],
        runs=inputs.runs,
        curves=inputs.curves,
    )
    report = prepare(
        inputs.study,
        tables["trials"],
        tables["final"],
        tables["comparison"],
        evidence=(*evidence, *failures.gather(inputs), *provenance.gather(inputs)),
    )
    arranged = arrange(inputs, report.sections)
    return Page(
        name=inputs.study.name,
        state=inputs.status.state,
        question=question(inputs),
        answer=report.answer if inputs.ended and report.answer else answer(inputs),
        demo=report.demo,
        warnings=arranged.warnings,
        facts=provenance.facts(inputs),
        chapters=arranged.chapters,
        galleries=galleries(inputs),
        command=provenance.command(inputs),
    )
