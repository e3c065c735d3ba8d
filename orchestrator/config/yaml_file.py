"""A YAML file of the user, read strictly: nothing in it is changed or dropped without a word."""

import functools
import math
import os
import re
from pathlib import Path
from typing import Any, Final

import yaml

MOST_VALUES: Final = 10_000
MOST_CHARACTERS: Final = 1 << 20


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, but what it would change without a word is an error.

    Of a name given twice it would keep the last, `14:00` would be 840, and `010` eight. Aliases of
    aliases, of which a few lines can stand for more than memory holds, are refused too.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _count(node, {}) > MOST_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"found aliases that stand for more than {MOST_VALUES:,} values",
                problem_mark=node.start_mark,
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"found {key.value!r} twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number as people write it."""
        value = str(node.value)
        if ":" in value or re.fullmatch(r"[-+]?0[\d_]+", value):
            raise yaml.MarkedYAMLError(
                problem=f"found {value}, which YAML takes for another number",
                problem_mark=node.start_mark,
            )
        make = self.construct_yaml_int if node.tag.endswith(":int") else self.construct_yaml_float
        number: int | float = make(node)
        return number


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _StrictLoader.construct_number)


def read(name: str, path: Path) -> Any:
    """What a YAML file holds, or a pipe that somebody writes to.

    Args:
        name: What names the file, for messages.
        path: Where it is.

    Raises:
        ValueError: It cannot be read, or is no YAML.
    """
    rule = f"{name} must be a readable YAML file, but {path}"
    if path.exists() and not (path.is_file() or path.is_fifo()):  # a device may have no end
        raise ValueError(f"{rule} is no file")
    try:
        text = _of_pipe(path) if path.is_fifo() else path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_StrictLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{rule}: {' '.join(str(error).split())}") from error


@functools.cache
def _of_pipe(path: Path) -> str:
    """What is written to a pipe, which can be read once; a `ValueError` where that is nothing."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else a pipe without a writer has no end
    with os.fdopen(opened, encoding="utf-8") as pipe:
        os.set_blocking(opened, True)
        text = pipe.read(MOST_CHARACTERS + 1)
    if not text or len(text) > MOST_CHARACTERS:
        raise ValueError(f"a pipe must say something, of at most {MOST_CHARACTERS:,} characters")
    return text


def _count(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for, each alias written out; of one within itself no end."""
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = (
            part for child in children for part in (child if isinstance(child, tuple) else [child])
        )
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]
