"""What the README and docs/ say is so: links, map, files, tables, settings and flags."""

import ast
import re
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pyarrow.parquet as pq
import pytest
from documented import (
    COMMANDS,
    PAGES,
    ROOT,
    anchors,
    check_settings,
    filled,
    flags_of,
    links,
    shown_files,
    spans,
    write_shown_files,
)
from packaging.requirements import Requirement

from docs import generated
from orchestrator.results.schema import columns_of_all

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PACKAGES = ("search_spaces", "trainables", "orchestrator")
FOLDERS = (*PACKAGES, "tests", "docs", "deploy", "benchmarks", "examples")
MOST_LINES = 180
FIRST_SCREEN = 25
"""Lines."""
of_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_stands_in_the_index_and_the_readme_leads_there() -> None:
    index = DOCS / "README.md"
    inside = {str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)}
    assert inside - {index.name} <= set(links(index))
    assert "docs/README.md" in links(README)


def test_the_readme_fits_on_a_few_screens_and_the_first_has_the_picture() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES
    assert any("](docs/report.png)" in line for line in lines[:FIRST_SCREEN])
    assert (DOCS / "report.png").stat().st_size < 250_000


def test_a_cpu_only_torch_is_enough_from_the_version_on_that_the_readme_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        need.name: need.specifier
        for need in map(Requirement, project["optional-dependencies"]["run"])
    }
    for name in ("torch", "torchvision"):
        (version,) = re.findall(rf"{name} (\d\.\d+) or newer", README.read_text(encoding="utf-8"))
        assert str(wanted[name]) == f">={version}"
        assert wanted[name].contains(f"{version}.0+cpu")


def packages() -> list[Path]:
    """The packages, and those right inside them."""
    folders = (folder for top in PACKAGES for folder in (ROOT / top, *(ROOT / top).iterdir()))
    return sorted(folder for folder in folders if (folder / "__init__.py").exists())


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.name)
def test_the_map_has_a_line_for_each_package_with_the_sentence_it_opens_with(package: Path) -> None:
    line = f"{package.relative_to(ROOT)}/ - {document(package / '__init__.py')}"
    assert line in README.read_text(encoding="utf-8").splitlines()


def document(module: Path) -> str:
    """The text that a module opens with."""
    return ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""


def test_every_module_opens_with_a_sentence() -> None:
    modules = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(modules) > len(packages())
    sentence = re.compile(r"[^\n]+[.?](\n\n|\Z)")
    assert [str(path) for path in modules if not sentence.match(document(path))] == []


@of_each_page
def test_every_file_module_and_test_it_names_is_there(page: Path) -> None:
    for span in spans(page):
        name = span.text
        if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]*", name):
            assert (ROOT / name).exists() or name.removeprefix("trainables/") in shown_files(), (
                f"{span}: {name}"
            )
        elif re.fullmatch(r"test_[\w*]+\.py", name):
            assert list((ROOT / "tests").rglob(name)), f"{span}: {name}"
        elif re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", name):
            resolve_name(name)


@of_each_page
def test_every_table_it_names_is_one(page: Path) -> None:
    named = set(re.findall(r"`([a-z_]+)\.parquet`", page.read_text(encoding="utf-8")))
    assert named <= set(columns_of_all())
    assert page != README or named == set(columns_of_all())


@pytest.mark.parametrize("name", generated.PAGES)
def test_a_page_that_is_made_from_the_code_is_current(name: str) -> None:
    said = "run `python docs/generated.py`"
    assert (DOCS / name).read_text(encoding="utf-8") == generated.PAGES[name](), said


def test_every_stored_column_says_in_its_file_what_it_means(finished_study: Path) -> None:
    for table in columns_of_all():
        for column in pq.read_schema(finished_study / f"{table}.parquet"):
            assert column.metadata[b"description"], (table, column.name)


@of_each_page
def test_every_flag_it_names_is_one_and_takes_the_value_it_names(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shown_files(tmp_path, monkeypatch)
    for span in spans(page):
        words = [filled(word) for word in span.text.split()]
        if not re.match(r"--\w", words[0]):
            continue
        named = {word for word in words if word.startswith("--")}
        owners = [name for name in COMMANDS if named <= flags_of(name)]
        assert owners, f"{span}: {span.text}"
        if owners[0] == "study" and len(words) > len(named):
            check_settings(words)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_usage_names_every_flag(name: str) -> None:
    text = "".join((DOCS / page).read_text("utf-8") for page in ("USAGE.md", "SETTINGS.md"))
    for flag in flags_of(name) - {"-h", "--help"}:
        setting = flag.removeprefix("--").replace("-", "_")
        assert re.search(rf"{flag}\b|`{setting}`", text), flag
