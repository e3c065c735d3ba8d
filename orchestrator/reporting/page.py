"""The page: one HTML file with its style, its script and Plotly inside, that asks for nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
from plotly.offline import get_plotlyjs

from orchestrator.comparison_sections import prepare
from orchestrator.evidence import gather
from orchestrator.reporting import failure_sections, interactive, settings_sections, style
from orchestrator.reporting.answer import answer, progress
from orchestrator.reporting.chapters import Chapters, arrange
from orchestrator.reporting.chart import Chart
from orchestrator.reporting.gallery import galleries
from orchestrator.reporting.inputs import Inputs
from orchestrator.section import MISSING

TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A study's report before it is drawn."""

    demo: tuple[str, ...]
    chapters: Chapters

    @property
    def charts(self) -> list[Chart]:
        """All figures in their order."""
        return [chart for chapter in self.chapters.chapters for chart in chapter.charts]


def compose(inputs: Inputs) -> Report:
    """Everything that the report says and shows.

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
    return Report(demo=report.demo, chapters=arrange(inputs, report.sections))


def render(inputs: Inputs, report: Report) -> str:
    """The whole page; the same tables give the same bytes.

    Args:
        inputs: The study.
        report: From `compose`.
    """
    scripts = [get_plotlyjs(), _source("page.js")]
    return (
        _environment()
        .get_template("page.html")
        .render(
            study=inputs.study,
            state=inputs.standing.state,
            ended=inputs.ended,
            progress=None if inputs.ended else progress(inputs),
            demo=report.demo,
            answer=answer(inputs),
            facts=settings_sections.facts(inputs),
            command=settings_sections.command(inputs),
            galleries=galleries(inputs),
            warnings=report.chapters.warnings,
            chapters=report.chapters.chapters,
            panels=_json(
                {chart.key: [interactive.draw(p) for p in chart.panels] for chart in report.charts}
            ),
            colours=_json({mode: style.colours(dark=mode == "dark") for mode in ("light", "dark")}),
            style=_source("page.css") + _palette(),
            scripts=scripts,
            policy=_policy(scripts),
            legend=interactive.legend,
            is_number=_is_number,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _palette() -> str:
    """The colours as custom properties, for either preference and either choice."""

    def block(mode: str) -> str:
        values = style.colours(dark=mode == "dark").items()
        return f"color-scheme:{mode};" + "".join(f"--{name}:{value};" for name, value in values)

    return (
        f":root{{{block('light')}}}"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{block('dark')}}}}}"
        f":root[data-theme=dark]{{{block('dark')}}}"
        f"@media print{{:root,:root[data-theme=dark]{{{block('light')}}}}}"
    )


def _policy(scripts: Sequence[str]) -> str:
    """What the browser may do with the page: run these scripts, and load nothing."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element, whatever names are in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _is_number(cell: str) -> bool:
    """Whether a cell of a table is to be aligned as a number."""
    return cell == MISSING or re.fullmatch(r"[-+\d.,%±\[\] ]+", cell) is not None
