"""A study's models compared on its test set, from the stored predictions."""

from pathlib import Path

from rich.console import Console

from orchestrator.compare import render
from orchestrator.compare.document import gather
from orchestrator.results import files
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
    study = files.read_study(folder)
    trials, final, predictions, epochs, rungs = (
        files.read_table(folder, name)
        for name in ("trials", "final", "predictions", "epochs", "rungs")
    )
    comparison = pairwise.compare(final, predictions)
    metadata = {key.decode(): value.decode() for key, value in final.schema.metadata.items()}
    files.write_table(folder, "comparison", comparison, metadata)
    evidence = gather(
        study, trials=trials, epochs=epochs, rungs=rungs, final=final, predictions=predictions
    )
    tables = (study, trials, final, comparison)
    markdown = render.render_markdown(*tables, evidence=evidence)
    files.write_text(folder / "comparison.md", markdown)
    if console is not None:
        render.print_tables(console, *tables, evidence=evidence)
