"""What the README says is so: its tree, its links, its commands."""

import ast
import re
from pathlib import Path

import pytest

from orchestrator.config.flags import make_parser
from orchestrator.results.schema import FIXED_SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "docs/CLUSTER.md", "docs/RELIABILITY.md", "docs/STATISTICS.md"]
MODULES = sorted(
    path
    for package in ("search_spaces", "trainables", "orchestrator")
    for path in (ROOT / package).rglob("*.py")
    # A new family or data set is one new file and no edit elsewhere.
    if path.name != "__init__.py" and path.parent.name not in {"families", "datasets"}
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_tree_has_a_line_for_each_file_with_the_sentence_it_opens_with(path: Path) -> None:
    document = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert document
    inside = path.relative_to(ROOT / path.relative_to(ROOT).parts[0])
    assert f"  {inside} - {document.partition(chr(10))[0]}\n" in README


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_of_the_study_it_names_exists(page: str) -> None:
    flags = {text for action in make_parser()._actions for text in action.option_strings}
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        command = line.partition("orchestrator.study")[2]
        if command or line.startswith("| "):
            named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", command or line)
            assert set(named) <= flags, line


def test_it_names_every_table() -> None:
    for name in (*FIXED_SCHEMAS, "trials", "final"):
        assert f"`{name}.parquet`" in README
