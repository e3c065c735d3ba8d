"""The command `python -m orchestrator.compare RESULTS`: compares a study's models again."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# NumPy, SciPy and PyArrow are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done, 2 where the folder is no study, has no finals, or is read-only.
    """
    folder = _parser().parse_args(arguments).results
    from rich.console import Console

    try:
        write_comparison(folder, Console())
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    return 0


def write_comparison(folder: Path, console: "Console | None") -> None:
    """Writes `comparison.parquet` and `comparison.md` from the other tables of a study.

    Args:
        folder: The study's folder.
        console: Where to print the tables; None prints nothing.

    Raises:
        ValueError: The folder is no study, or its finals have not begun.
        OSError: The folder cannot be read or written.
    """
    study = _read_study(folder)
    from orchestrator import comparison_report, results
    from orchestrator.comparison import compare

    trials, final, predictions = (
        results.read_table(folder, name) for name in ("trials", "final", "predictions")
    )
    comparison = compare(final, predictions)
    metadata = {key.decode(): value.decode() for key, value in final.schema.metadata.items()}
    results.write_table(folder, "comparison", comparison, metadata)
    tables = (study, trials, final, comparison)
    results.write_text(folder / "comparison.md", comparison_report.render_markdown(*tables))
    if console is not None:
        comparison_report.print_tables(console, *tables)


def _read_study(folder: Path) -> dict[str, Any]:
    path = folder / "study.json"
    if not path.is_file():
        message = f"RESULTS must be a study's folder, but {folder} has no study.json"
        raise ValueError(message)
    study = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(study, dict) or not {"name", "settings"} <= study.keys():
        message = f"study.json must have a name and settings, but {path} has not"
        raise ValueError(message)
    return study


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.compare",
        description="Compares the families of a study on its test set again, from the stored "
        "predictions: writes comparison.parquet and comparison.md and prints the tables.",
    )
    parser.add_argument(
        "results", metavar="RESULTS", type=Path, help="the folder of a study with final runs"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
