"""The comparison for people: written as Markdown and printed in the terminal."""

from collections.abc import Sequence

import pyarrow as pa
from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from orchestrator.analysis.section import Row, Section
from orchestrator.compare.document import Report, prepare
from orchestrator.results.foreign_text import plain_markdown
from orchestrator.terminal import fitting_table


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
            console.print(_terminal_table(section, console.width))
        for line in section.sentences:
            console.print(Text(f"- {line}"))


def _markdown_table(section: Section) -> str:
    lines = [section.columns, ("---",) * len(section.columns), *section.rows]
    cells = ([_cell(cell) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(text: str) -> str:
    return plain_markdown(text).replace("`", "\\`").replace("|", "\\|")


def _terminal_table(section: Section, width: int) -> Group:
    """A table of which a spread stays on one line with its sign."""
    rows = [[cell.replace(" ± ", " ±") for cell in row] for row in section.rows]
    return fitting_table(section.columns, rows, width, left=section.columns)
