"""What the site has besides the pages in docs/: the files that they link to, and the notebooks."""

import json
import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent
_OUTSIDE: Final = re.compile(r"(?<=\]\()(?:\.\./)+[^)#\s]+")
"""A link that leads out of docs/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what pages link to outside docs/, and a page for each notebook."""
    for page in list(files.documentation_pages()):
        text = Path(str(page.abs_src_path)).read_text(encoding="utf-8")
        for place in {_place(page.src_uri, link) for link in _OUTSIDE.findall(text)}:
            _add(files, config, place)
    for notebook in ROOT.glob("docs/notebooks/*.ipynb"):
        place = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, place, content=_page(notebook)))
    return files


def _add(files: Files, config: MkDocsConfig, place: str) -> None:
    """Of what was measured all: its pages link to each other."""
    measured = place.startswith("benchmarks/")
    for path in sorted((ROOT / place).parent.iterdir()) if measured else [ROOT / place]:
        found = path.relative_to(ROOT).as_posix()
        if files.get_file_from_path(found) is None:
            files.append(File.generated(config, found, abs_src_path=str(path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Has links out of docs/ lead to the copies, and those to notebooks to their pages."""
    del config, files
    here = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        place = _place(here, link[0])
        inside = place.removeprefix("docs/")  # of a page in a folder of docs/
        return posixpath.relpath(inside, posixpath.dirname(here))

    inside = _OUTSIDE.sub(moved, markdown)
    return re.sub(r"(\]\([\w./-]+)\.ipynb\)", r"\1.md)", inside)


def _place(page: str, link: str) -> str:
    """A path from the repository's root, of a link in a page of docs/."""
    return posixpath.relpath(posixpath.join("docs", posixpath.dirname(page), link), ".")


def _page(notebook: Path) -> str:
    """A notebook's texts, programs and what they print, as Markdown."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _parts(cell))


def _parts(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    printed = [
        "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    ]
    return [f"```python\n{source}\n```", *[f"```text\n{text.rstrip()}\n```" for text in printed]]
