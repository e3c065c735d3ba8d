"""The page: one HTML file with its style, its script and Plotly inside, that asks for nothing."""

import base64
import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
from plotly.offline import get_plotlyjs

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.section import Section, table_csv
from orchestrator.cli import without_control
from orchestrator.report import draw_plotly, style
from orchestrator.report.chart import Chart
from orchestrator.report.gallery import Gallery
from orchestrator.results import files

TEMPLATES: Final = Path(__file__).parent / "templates"
ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    # A name may turn the order of letters round; mark-up is ours.
    finalize=lambda value: without_control(value) if type(value) is str else value,
)


@dataclass(frozen=True)
class Topic:
    """A topic of a page; the sections of an open one are shown at once, not on a click."""

    key: str
    title: str
    charts: Sequence[Chart]
    sections: Sequence[Section]
    open: bool


def arrange(
    sections: Iterable[Section],
    titles: Mapping[str, str],
    charts: Mapping[str, Sequence[Chart]],
    *,
    shown: Container[str],
) -> list[Topic]:
    """Puts sections and figures into their topics, of which those that stay empty are left out.

    Args:
        sections: In their order; of one that no topic asks for the topic is `further`.
        titles: Heading of each topic, in their order.
        charts: The figures of each.
        shown: Topics whose sections are shown at once.
    """
    of_topic: dict[str, list[Section]] = {}
    for section in sections:
        key = section.topic if section.topic in {*titles, "warnings"} else "further"
        of_topic.setdefault(key, []).append(section)
    found = [
        Topic(key, title, charts.get(key, ()), of_topic.get(key, ()), key in shown)
        for key, title in titles.items()
    ]
    return [each for each in found if each.charts or each.sections]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page says and shows, before it is HTML.

    Attributes:
        name: Of what it is about.
        state: How that stands, in a word; empty where there is no such thing.
        demo: What stands in for what; empty unless it is a demonstration.
        warnings: Sentences that stand above all topics.
        facts: Names and values of the few things to know at once.
        galleries: Example images, in the topic of the classes.
        command: What runs it again; empty for none.
    """

    name: str
    state: str
    question: str
    answer: Answer
    demo: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: Sequence[tuple[str, str]]
    topics: Sequence[Topic]
    galleries: Sequence[Gallery] = ()
    galleries_title: str = "Examples of the worst confusions"
    command: str = ""

    @property
    def charts(self) -> list[Chart]:
        """All figures in their order."""
        return [chart for topic in self.topics for chart in topic.charts]


def write_page(page: Page, path: Path, figures: Path | None) -> list[Path]:
    """Writes a page, and its figures as SVG and PNG where they have a folder; returns the files.

    Raises:
        ValueError: The page cannot be written.
        OSError: A figure cannot be.
    """
    files.write_output(path, render(page))
    if figures is None:
        return [path]
    from orchestrator.report.draw_matplotlib import write_figures  # noqa: PLC0415 (takes a second)

    return [path, *write_figures(page.charts, figures)]


def render(page: Page, *, live: str = "") -> str:
    """The page as HTML; the same content gives the same bytes.

    Args:
        page: What it says.
        live: What tells it from the page before, where it is to ask its server for news; else it
            asks nobody for anything.
    """
    panels = {each.key: [draw_plotly.draw(panel) for panel in each.panels] for each in page.charts}
    themes = {mode: style.colours(dark=mode == "dark") for mode in ("light", "dark")}
    return _filled(
        "page.html",
        scripts=[get_plotlyjs(), *([_source("live.js")] if live else []), _source("page.js")],
        mark=live,
        page=page,
        panels=_json(panels),
        colours=_json(themes),
        legend=draw_plotly.legend,
        csv_address=csv_address,
        whole=whole,
    )


def render_plain(name: str, message: str, live: str) -> str:
    """A page that has nothing to show yet but a message, and asks its server for news."""
    scripts = [_source("live.js")]
    return _filled("plain.html", scripts=scripts, mark=live, name=name, message=message)


def _filled(template: str, *, scripts: Sequence[str], mark: str, **content: object) -> str:
    return ENVIRONMENT.get_template(template).render(
        scripts=scripts,
        mark=mark,
        style=_source("page.css") + _palette(),
        policy=_policy(scripts, asks=bool(mark)),
        **content,
    )


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _palette() -> str:
    """The colours as custom properties, by preference and choice; on paper the light ones."""

    def block(mode: str) -> str:
        values = style.colours(dark=mode == "dark").items()
        return f"color-scheme:{mode};" + "".join(f"--{name}:{value};" for name, value in values)

    return (
        f":root{{{block('light')}}}"
        "@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{{block('dark')}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{block('dark')}}}}}"
    )


def _policy(scripts: Sequence[str], *, asks: bool) -> str:
    """What the browser may do with the page: run these scripts, and ask its server or nobody."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    server = "connect-src 'self'; " if asks else ""
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        f"{server}base-uri 'none'; form-action 'none'"
    )


def _json(value: Mapping[str, object]) -> str:
    """JSON that may stand inside a script element, whatever names are in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def whole(cell: str) -> str:
    """A number that breaks nowhere but before its interval."""
    return cell.replace(" ", "\u00a0").replace("\u00a0[", " [")


def csv_address(section: Section) -> str:
    """A table, unrounded, as an address from which a browser saves a file."""
    text = table_csv(section.table).encode()
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text).decode()}"
