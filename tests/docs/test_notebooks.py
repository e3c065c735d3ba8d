"""Every notebook in docs/notebooks runs, cell by cell, and names no place of a machine."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from documented import ROOT

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.rglob("*.ipynb"))
of_each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    """The cells of a kind, in their order."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    """A cell's text, which a notebook has whole or in lines."""
    return "".join(cell["source"])


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2


@of_each
def test_every_cell_runs(
    path: Path, finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished_study, tmp_path / "results" / "NAME")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells(path, "code"), 1):
        exec(compile(source(cell), f"{path.name}, cell {number}", "exec"), names)


@of_each
def test_it_was_stored_as_it_ran_in_order_without_errors_and_paths(path: Path) -> None:
    stored = cells(path, "code")
    assert [cell["execution_count"] for cell in stored] == [*range(1, len(stored) + 1)]
    for cell in stored:
        assert all(output["output_type"] != "error" for output in cell["outputs"])
        assert "/tmp/" not in json.dumps(cell["outputs"])
        assert "/home/" not in json.dumps(cell["outputs"])


@of_each
def test_its_links_lead_to_files(path: Path) -> None:

    for cell in cells(path, "markdown"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", source(cell)):
            assert (path.parent / link).exists(), link
