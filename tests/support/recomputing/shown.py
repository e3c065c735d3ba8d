"""What a report shows: its tables by title, and all other text piece by piece."""

import html.parser
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

NUMBER = r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?"
ANY_NUMBER = re.compile(rf"(?<![\w.]){NUMBER}(?!\w)")


@dataclass
class Table:
    """A table with the heading it stands under."""

    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def cells(self, keys: int) -> Iterator[tuple[tuple[str, ...], str]]:
        """Each cell behind the columns that name its row, with the row's names and the column."""
        for row in self.rows:
            for column, cell in zip(self.columns[keys:], row[keys:], strict=True):
                yield (*row[:keys], column), cell


class Digits(float):
    """A value of which so many significant digits are shown."""

    digits: int

    def __new__(cls, value: float, digits: int) -> "Digits":
        """The value."""
        made = super().__new__(cls, value)
        made.digits = digits
        return made


def agrees(shown: str, value: float | None) -> bool:
    """Whether a number as it is printed is the rounding of a value."""
    if value is None or math.isnan(value):
        return False
    text = shown.replace(",", "")
    if isinstance(value, Digits):
        return math.isclose(float(text), float(f"{value:.{value.digits}g}"), rel_tol=1e-9)
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return abs(float(text) - value) <= 0.5 * 10.0**-decimals * (1 + 1e-6) + 1e-12


def read_markdown(text: str) -> tuple[list[Table], list[str]]:
    """Tables and sentences of a Markdown report; titles are among the sentences."""
    tables: list[Table] = []
    sentences: list[str] = []
    title = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("|"):
            cells = [cell.replace("\\|", "|") for cell in cells]
        if line.startswith("## "):
            title = line[3:]
            sentences.append(title)
        elif line.startswith("| ---"):
            tables.append(Table(title=title, columns=tables.pop().rows[0]))
        elif line.startswith("|"):
            if not tables or tables[-1].title != title:
                tables.append(Table(title=title))
            tables[-1].rows.append(cells)
        elif line.startswith(("- ", "> ", "**")):  # the answer is in bold
            sentences.append(line.removeprefix("- ").removeprefix("> ").strip("*"))
    return tables, sentences


def read_page(text: str) -> tuple[list[Table], list[str]]:
    """Tables and sentences of a report page, with what figures say in words and to a pointer."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.tables, page.sentences


class _Page(html.parser.HTMLParser):
    """Reads a page as a browser does: blocks of text, tables, labels, and the data of figures."""

    BLOCKS = frozenset(
        {"p", "li", "h1", "h2", "h3", "summary", "dt", "pre", "title", "button", "figcaption"}
    )

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.sentences: list[str] = []
        self._text: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        for name in ("aria-label", "alt", "title"):
            if name in named and not named[name].startswith("Table: "):
                self.sentences.append(named[name])
        if tag in {"script", "style", "caption"}:
            self._inside = tag
        if tag in self.BLOCKS:
            self._flush()
        if tag == "table":
            self._flush()
            self.tables.append(Table(title=""))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self.tables[-1].title = self._taken()
        elif tag in {"td", "th"}:
            self.tables[-1].rows[-1].append(self._taken())
        elif tag == "thead":
            self.tables[-1].columns = self.tables[-1].rows.pop()
        elif tag == "dt":  # a name stands with its value
            self._text.append(": ")
        elif tag in self.BLOCKS or tag == "dd":
            self._flush()
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            if data.startswith("{") and '"layout"' in data:
                self.sentences += _told(json.loads(data))
        elif self._inside != "style":
            self._text.append(data)

    def _taken(self) -> str:
        text, self._text = " ".join("".join(self._text).split()), []
        return text

    def _flush(self) -> None:
        text = self._taken()
        if text:
            self.sentences.append(text)


def _told(figures: dict[str, list[dict]]) -> Iterator[str]:
    """Titles, ticks and what a pointer is told, each after the title of its figure's panel."""
    for key, panels in figures.items():
        for panel in panels:
            layout = panel["layout"]
            title = _plain(layout.get("title", {}).get("text", ""))
            axes = [layout[name] for name in ("xaxis", "yaxis")]
            shown = [label for axis in axes for label in _ticks(axis)]
            shown += [axis.get("title", {}).get("text", "") for axis in axes]
            for trace in panel["data"]:
                written, told = (_strings(trace.get(name, ())) for name in ("text", "hovertext"))
                pairs = zip_longest(told, written, fillvalue="")  # what stands in a cell, if any
                shown += [f"{hover} = {cell}" if cell else hover for hover, cell in pairs]
            yield from (
                " ".join(f"{key} | {title} | {_plain(each)}".split()) for each in ["", *shown]
            )


def _ticks(axis: dict) -> Iterator[str]:
    """The labels of an axis; not those that are but the number at which they stand."""
    for place, label in zip(axis.get("tickvals", ()), axis.get("ticktext", ()), strict=True):
        if not re.fullmatch(NUMBER, label) or float(label.replace(",", "")) != place:
            yield label


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return []


def _plain(text: str) -> str:
    """Plotly's mark-up as text."""
    unmarked = re.sub(r"<[^<>]*>", " ", text.replace("<br>", " / "))
    return " ".join(html.unescape(unmarked).split())
