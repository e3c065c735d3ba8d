"""The comparison for people: written as Markdown and printed in the terminal."""

from collections.abc import Iterable

from rich.console import Console, Group
from rich.text import Text

from orchestrator.analysis.section import Section
from orchestrator.compare.document import Report
from orchestrator.results.foreign_text import plain_markdown
from orchestrator.terminal import fitting_table


def markdown_of(report: Report) -> str:
    """A report as Markdown."""
    parts = [f"# {plain_markdown(report.title)}"]
    if report.demo:
        parts.append("\n>\n".join(f"> **{plain_markdown(line)}**" for line in report.demo))
    if report.answer:
        parts.append(f"**{plain_markdown(report.answer.headline)}**")
        if report.answer.details:
            parts.append(_bullets(report.answer.details))
    for section in report.sections:
        parts.append(f"## {plain_markdown(section.title)}")
        if section.rows:
            parts.append(_markdown_table(section))
        if section.sentences:
            parts.append(_bullets(section.sentences))
    return "\n\n".join(parts) + "\n"


def print_report(console: Console, report: Report) -> None:
    """Prints a report."""
    console.print(Text(report.title, style="bold"))
    for line in report.demo:
        console.print(Text(line, style="bold"))
    for section in report.sections:
        console.print(Text(f"\n{section.title}", style="bold"))
        if section.rows:
            console.print(_terminal_table(section, console.width))
        for line in section.sentences:
            console.print(Text(f"- {line}"))


def print_answer(console: Console, report: Report) -> None:
    """Prints the answer, which is to be the last of all."""
    if report.answer:
        console.print(Text(f"\n{report.answer.headline}", style="bold"))


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {plain_markdown(line)}" for line in sentences)


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
