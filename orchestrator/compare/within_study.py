"""A study's models compared on its test set, from the stored predictions."""

from pathlib import Path

from rich.console import Console

from orchestrator.compare import render
from orchestrator.compare.document import gather
from orchestrator.results import files
from orchestrator.results.study_results import StudyResults
from orchestrator.stats import pairwise


def write_comparison(folder: Path, console: Console | None) -> None:
    """Writes `comparison.parquet` and `comparison.md` from the other tables of a study.

    Args:
        folder: The study's folder.
        console: Where to print the tables; None prints nothing.

    Raises:
        ValueError: The folder is no study, or its finals have not begun.
        OSError: The folder cannot be read or written.
    """
    results = StudyResults(folder)
    study = results.study
    files.check_inside(folder)
    trials, final, predictions, epochs, rungs = map(
        results.table, ("trials", "final", "predictions", "epochs", "rungs")
    )
    comparison = pairwise.compare(final, predictions)
    metadata = {
        key.decode(): value.decode() for key, value in (final.schema.metadata or {}).items()
    }
    files.write_table(folder, "comparison", comparison, metadata)
    evidence = gather(
        study, trials=trials, epochs=epochs, rungs=rungs, final=final, predictions=predictions
    )
    tables = (study, trials, final, comparison)
    markdown = render.render_markdown(*tables, evidence=evidence)
    files.write_text(folder / "comparison.md", markdown)
    if console is not None:
        render.print_tables(console, *tables, evidence=evidence)
