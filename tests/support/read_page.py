"""A report page, taken apart."""

import html.parser
from pathlib import Path

from orchestrator.report import study_page

# Names of classes of which none may be mark-up.
HOSTILE = ("<script>alert(1)</script>", "a & b", "$x$ %{y} <b>c</b>", "d" * 200)


class Page(html.parser.HTMLParser):
    """The page as a browser reads it: text by topic, attributes, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, list[str]] = {"": []}
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._topic, self._inside = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in named.items()]
        if tag == "section":
            self._topic = named["id"]
        if tag in {"script", "style"}:
            self._inside = tag
        self.text.setdefault(self._topic, []).append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.text[self._topic].append(data)

    def topic(self, key: str) -> str:
        return "".join(self.text[key])

    @property
    def everything(self) -> str:
        return "".join(self.topic(key) for key in self.text)


def build(folder: Path) -> Page:
    study_page.write_report(folder)
    return Page((folder / "report.html").read_text(encoding="utf-8"))
