"""A study's models compared on its test set, from the stored predictions."""

from pathlib import Path

from rich.console import Console

from orchestrator.compare.document import Report, prepare
from orchestrator.compare.render import markdown_of, print_report
from orchestrator.results import files
from orchestrator.results.study_results import StudyResults
from orchestrator.stats import pairwise
from orchestrator.stats.predictions import split_runs


def write_comparison(folder: Path, console: Console | None) -> Report:
    """Writes `comparison.parquet` and `comparison.md` from the other tables of a study.

    Args:
        folder: The study's folder.
        console: Where to print the main part, without the answer; None prints nothing.

    Returns:
        The whole; its answer is to be printed once nothing else follows.

    Raises:
        ValueError: The folder is no study, or its finals have not begun.
        OSError: The folder cannot be read or written.
    """
    results = StudyResults(folder)
    study = results.study
    files.check_inside(folder)
    read = ("trials", "final", "predictions", "epochs", "rungs")
    tables = {name: results.table(name) for name in read}
    final, predictions = tables["final"], tables["predictions"]
    comparison = pairwise.compare(final, predictions, registered=study.registered)
    metadata = {
        key.decode(): value.decode() for key, value in (final.schema.metadata or {}).items()
    }
    files.write_table(folder, "comparison", comparison, metadata)
    runs = split_runs(predictions, study.settings.families)
    report = prepare(study, {**tables, "comparison": comparison}, runs=runs)
    path = folder / "comparison.md"
    files.write_text(path, markdown_of(report))
    if console is not None:
        print_report(console, report)
        console.print(f"\nComparison: {path}", soft_wrap=True)
    return report
