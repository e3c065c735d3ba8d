"""What the gate never runs, cluster tests and benchmarks, still imports names that exist."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = ("orchestrator", "trainables", "search_spaces")
SCRIPTS = sorted(
    path
    for folder in ("benchmarks", "tests/cluster", "tests/support")
    for path in (ROOT / folder).rglob("*.py")
)


def _imported(path: Path) -> list[tuple[str, str]]:
    """Module and name of each import from the project's packages."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        if node.module.partition(".")[0] in OWN
        for alias in node.names
    ]


def _exists(module: str, name: str) -> bool:
    found = importlib.import_module(module)
    if hasattr(found, name):
        return True
    return hasattr(found, "__path__") and bool(importlib.util.find_spec(f"{module}.{name}"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_name_that_a_script_imports_exists(path: Path) -> None:
    missing = [f"{module}.{name}" for module, name in _imported(path) if not _exists(module, name)]
    assert not missing
