"""The comparison for people and programs: as Markdown, in the terminal, as JSON."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from orchestrator.analysis.section import Section
from orchestrator.compare.document import Report
from orchestrator.results.foreign_text import plain_markdown
from orchestrator.terminal import fitting_table

PRECISION: Final = 15
"""Digits of the numbers in JSON."""


def markdown_of(report: Report) -> str:
    """A report as Markdown, without what stands in the page alone."""
    parts = [f"# {plain_markdown(report.title)}"]
    if report.demo:
        parts.append("\n>\n".join(f"> **{plain_markdown(line)}**" for line in report.demo))
    if report.answer:
        parts.append(f"**{plain_markdown(report.answer.headline)}**")
        if report.answer.details:
            parts.append(_bullets(report.answer.details))
    for section in report.sections:
        if section.place == "page":
            continue
        parts.append(f"## {plain_markdown(section.title)}")
        if len(section.table):
            parts.append(_markdown_table(section))
        if section.warnings or section.notes:
            parts.append(_bullets([*section.warnings, *section.notes]))
    return "\n\n".join(parts) + "\n"


def json_of(report: Report) -> dict[str, Any]:
    """A report for programs: all tables, unrounded; docs/JSON.md has the schema."""
    return {
        "title": report.title,
        "demo": report.demo,
        "answer": report.answer and asdict(report.answer),
        "sections": [
            {
                "key": each.key,
                "title": each.title,
                "table": json.loads(
                    each.table.to_json(orient="records", double_precision=PRECISION)
                ),
                "notes": each.notes,
                "warnings": each.warnings,
            }
            for each in report.sections
        ],
    }


def print_report(console: Console, report: Report, *, more: str = "comparison.md") -> None:
    """Prints what of a report a terminal has, without the answer; `more` is the file of it all."""
    console.print(Text(report.title, style="bold"))
    for line in report.demo[:1]:
        console.print(Text(line, style="bold"))
    for section in report.sections:
        if section.place == "terminal":
            console.print(Text(f"\n{section.title}", style="bold"))
            if len(section.table):
                formats = section.narrow or section.formats
                # A spread stays on one line with its sign.
                rows = [
                    [cell.replace(" ± ", " ±") for cell in row] for row in section.cells(formats)
                ]
                titles = tuple(formats)
                console.print(
                    fitting_table(titles, rows[: section.most], console.width, left=titles)
                )
                lines = [*section.warnings, *section.notes[:1]]
            else:
                lines = [*section.notes[: section.most]]
            left = (len(section.table) or len(section.notes)) - (section.most or math.inf)
            if left > 0:
                lines.append(f"{left} more in {more}.")
            for line in lines:
                console.print(Text(f"- {line}"))


def print_answer(console: Console, report: Report) -> None:
    """Prints the answer, which is to be the last of all."""
    if report.answer:
        console.print()
        for line in report.answer.details:
            console.print(Text(line))
        console.print(Text(f"\n{report.answer.headline}", style="bold"))


def _bullets(notes: Iterable[str]) -> str:
    return "\n".join(f"- {plain_markdown(line)}" for line in notes)


def _markdown_table(section: Section) -> str:
    lines = [section.formats, ["---"] * len(section.formats), *section.cells()]
    escaped = str.maketrans({"`": "\\`", "|": "\\|"})
    cells = ([plain_markdown(cell).translate(escaped) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
