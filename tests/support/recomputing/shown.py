"""The tables of a page and of a Markdown document as a reader sees them."""

import html.parser
import re

Table = list[list[str]]
"""Rows of cells, headings first."""


class Page(html.parser.HTMLParser):
    """A page's tables by their ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, Table] = {}
        self._rows: Table = []
        self._cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows = self.tables[str(dict(attrs)["id"])] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._cell = []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._rows[-1].append(one_line("".join(self._cell or [])))
            self._cell = None


def markdown_tables(text: str) -> list[Table]:
    """In their order."""
    lines = [line for line in text.split("\n") if not line.startswith("| ---")]
    blocks = "\n".join(lines).split("\n\n")
    return [
        [[*map(_unescaped, re.split(r"(?<!\\)\|", line)[1:-1])] for line in block.split("\n")]
        for block in blocks
        if block.startswith("| ")
    ]


def one_line(text: str) -> str:
    """Text with one space between words."""
    return " ".join(text.split())


def _unescaped(cell: str) -> str:
    return one_line(re.sub(r"\\([|`])", r"\1", cell))
