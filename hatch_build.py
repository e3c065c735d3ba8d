"""Builds the wheel: the three packages of the checkout, moved into `transfer_study`.

Names as common as `orchestrator` must not be installed at the top of somebody's environment. What
imports one of the packages gets `transfer_study.` before its name, and so does a module that a
text names (`"trainables.training.trainer:Trainer"`); nothing else is changed, and no line moves.
"""

import ast
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMESPACE: Final = "transfer_study"
PACKAGES: Final = ("orchestrator", "trainables", "search_spaces")
_DOTTED: Final = re.compile(rf"(?<![\w./])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")

Place = tuple[int, int]
"""Row, from 1, and column, from 0, in characters."""


class WheelHook(BuildHookInterface[Any]):
    """Puts the moved packages into a wheel; an editable install has the checkout as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes them to a folder of their own, from which they are packed."""
        if version == "editable":
            return
        self._moved = Path(tempfile.mkdtemp(prefix=f"{NAMESPACE}-"))
        move_packages(Path(self.root), self._moved)
        build_data["force_include"][str(self._moved / NAMESPACE)] = NAMESPACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes the folder."""
        del build_data, artifact_path
        if version != "editable":
            shutil.rmtree(self._moved)


def move_packages(root: Path, target: Path) -> None:
    """Writes the package `transfer_study`, with the others inside, into a folder.

    Raises:
        ValueError: A file binds the name of a package to something else.
    """
    shutil.copytree(root / NAMESPACE, target / NAMESPACE, ignore=_compiled)
    for package in PACKAGES:
        shutil.copytree(root / package, target / NAMESPACE / package, ignore=_compiled)
    modules = {
        module_name(path.relative_to(root))
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
    }
    for path in (target / NAMESPACE).rglob("*.py"):
        try:
            text = moved(path.read_text(encoding="utf-8"), modules)
        except ValueError as error:
            message = f"{path.relative_to(target)}: {error}"
            raise ValueError(message) from error
        path.write_text(text, encoding="utf-8")


_compiled = shutil.ignore_patterns("__pycache__")


def module_name(path: Path) -> str:
    """That of the module in a file, whose path is from where packages lie."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def moved(source: str, modules: Collection[str]) -> str:
    """The source of a module that finds the packages inside the namespace.

    Args:
        source: As it is in the checkout.
        modules: The names of all modules there, which texts may name.

    Raises:
        ValueError: The name of a package is bound to something else, or stands by itself in an
            f-string, where Python 3.11 does not say its place.
    """
    lines = source.splitlines(keepends=True)
    nodes = list(ast.walk(ast.parse(source)))
    texts = [node for node in nodes if _is_text(node)]
    bound = _imported_names(nodes)
    places = {*_in_texts(texts, lines, modules), *_in_imports(nodes, lines)}
    used = [node for node in nodes if _name(node) in bound]
    if not all(isinstance(getattr(node, "ctx", None), ast.Load) for node in used):
        message = f"{', '.join(sorted(bound))} must not be bound to anything but the package"
        raise ValueError(message)
    in_code = [_start(node, lines) for node in used]
    places |= {place for place in in_code if not _is_inside(place, texts, lines)}
    for row, column in sorted(places, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = f"{line[:column]}{NAMESPACE}.{line[column:]}"
    text = "".join(lines)
    if any(_name(node) in bound for node in ast.walk(ast.parse(text))):
        message = f"{', '.join(sorted(bound))} must not stand in an f-string without a module of it"
        raise ValueError(message)
    return text


def _imported_names(nodes: list[ast.AST]) -> set[str]:
    """The packages that are imported under their own names."""
    names = [each for node in nodes if isinstance(node, ast.Import) for each in node.names]
    return {each.name.partition(".")[0] for each in names if each.asname is None} & set(PACKAGES)


def _name(node: ast.AST) -> str | None:
    """The name that code uses or binds."""
    if isinstance(node, ast.Name):
        return node.id
    return node.arg if isinstance(node, ast.arg) else None


def _in_imports(nodes: list[ast.AST], lines: list[str]) -> Iterator[Place]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (_start(each, lines) for each in node.names if _is_ours(each.name))
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(str(node.module)):
            row, column = _start(node, lines)
            yield row, column + len("from ")


def _in_texts(texts: list[ast.AST], lines: list[str], modules: Collection[str]) -> Iterator[Place]:
    """Where a string names a module; code inside an f-string does it in the same way."""
    for node in texts:
        (first, begin), (last, end) = _start(node, lines), _end(node, lines)
        for row in range(first, last + 1):
            for match in _DOTTED.finditer(lines[row - 1]):
                inside = (first, begin) <= (row, match.start()) < (last, end)
                if inside and ".".join(match[0].split(".")[:2]) in modules:
                    yield row, match.start()


def _is_text(node: ast.AST) -> bool:
    is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return isinstance(node, ast.JoinedStr) or (is_string and hasattr(node, "end_lineno"))


def _is_inside(place: Place, texts: list[ast.AST], lines: list[str]) -> bool:
    return any(_start(each, lines) <= place < _end(each, lines) for each in texts)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def _start(node: Any, lines: list[str]) -> Place:
    return node.lineno, _characters(lines[node.lineno - 1], node.col_offset)


def _end(node: Any, lines: list[str]) -> Place:
    return node.end_lineno, _characters(lines[node.end_lineno - 1], node.end_col_offset)


def _characters(line: str, size: int) -> int:
    """Python counts the bytes of a line."""
    return len(line.encode()[:size].decode())
