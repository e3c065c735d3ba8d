"""The comparison for people: written as Markdown and printed in the terminal."""

from collections.abc import Sequence

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.section import Row, Section
from orchestrator.compare.document import Report, prepare
from orchestrator.results.foreign_text import plain_markdown


def render_markdown(
    study: Row,
    trials: pa.Table,
    final: pa.Table,
    comparison: pa.Table,
    *,
    evidence: Sequence[Section] = (),
) -> str:
    """The comparison as Markdown, for `comparison.md`; see `test_results.prepare`."""
    return markdown_of(prepare(study, trials, final, comparison, evidence=evidence))


def markdown_of(report: Report) -> str:
    """A report as Markdown."""
    parts = [f"# {plain_markdown(report.title)}"]
    if report.demo:
        parts.append("\n>\n".join(f"> **{plain_markdown(line)}**" for line in report.demo))
    for section in report.sections:
        parts.append(f"## {plain_markdown(section.title)}")
        if section.rows:
            parts.append(_markdown_table(section))
        if section.sentences:
            parts.append("\n".join(f"- {plain_markdown(line)}" for line in section.sentences))
    return "\n\n".join(parts) + "\n"


def print_tables(
    console: Console,
    study: Row,
    trials: pa.Table,
    final: pa.Table,
    comparison: pa.Table,
    *,
    evidence: Sequence[Section] = (),
) -> None:
    """Prints the comparison; see `test_results.prepare`."""
    print_report(console, prepare(study, trials, final, comparison, evidence=evidence))


def print_report(console: Console, report: Report) -> None:
    """Prints a report."""
    console.print(Text(report.title, style="bold"))
    if report.demo:
        console.print(Panel(Text("\n".join(report.demo), style="bold"), box=box.HEAVY))
    for section in report.sections:
        console.print(Text(f"\n{section.title}", style="bold"))
        if section.rows:
            console.print(_terminal_table(section, console.width), crop=False)
        for line in section.sentences:
            console.print(Text(f"- {line}"))


def _markdown_table(section: Section) -> str:
    lines = [section.columns, ("---",) * len(section.columns), *section.rows]
    cells = ([_cell(cell) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(text: str) -> str:
    return plain_markdown(text).replace("`", "\\`").replace("|", "\\|")


def _terminal_table(section: Section, width: int) -> Table:
    """A table whose cells wrap between words where it is wider than the terminal.

    Left to itself, Rich breaks numbers in two before it lets a line be longer than the terminal.
    """
    # A spread stays on one line with its sign.
    rows = [[cell.replace(" ± ", " ±") for cell in row] for row in section.rows]
    columns = list(zip(section.columns, *rows, strict=True))
    widest = [max(len(cell) for cell in column) for column in columns]
    words = [max(len(word) for cell in column for word in cell.split()) for column in columns]
    fits = sum(widest) + len(widest) - 1 <= width
    table = Table(box=box.SIMPLE, padding=0, show_edge=False)
    for title, size in zip(section.columns, widest if fits else words, strict=True):
        table.add_column(title, min_width=size, max_width=size)
    for row in rows:
        # As Text, so that brackets are not read as markup.
        table.add_row(*[Text(cell) for cell in row])
    return table
