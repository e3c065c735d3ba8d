"""Ways to damage a results folder, each drawn from a generator and told in a few words."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, 1e308, "", "x" * 5000, "../../victim", "\x1b[2J", "=1+1", [], {}),
    *([[]], {"a": {}}, "nan", "<b>", "a|b`c", 0.5, [None], "é\u202e", ["cnn"], {"trials": None}),
)
TABLES = ("trials", "epochs", "rungs", "events", "final", "final_epochs", "predictions")
Damage = Callable[[Path, random.Random], str]


def _file(folder: Path, draw: random.Random) -> Path:
    return draw.choice(sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()))


def cut(folder: Path, draw: random.Random) -> str:
    path = _file(folder, draw)
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) + 1)])
    return f"{path.name} cut"


def empty(folder: Path, draw: random.Random) -> str:
    path = _file(folder, draw)
    path.write_bytes(b"")
    return f"{path.name} emptied"


def flip(folder: Path, draw: random.Random) -> str:
    path = _file(folder, draw)
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 8))):
        if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return f"{path.name} with bits flipped"


def garbage(folder: Path, draw: random.Random) -> str:
    path = _file(folder, draw)
    path.write_bytes(draw.randbytes(draw.choice((3, 4096))))
    return f"{path.name} overwritten"


def gone(folder: Path, draw: random.Random) -> str:
    path = _file(folder, draw)
    path.unlink()
    return f"{path.name} gone"


def turned(folder: Path, draw: random.Random) -> str:
    """A folder in a file's place."""
    path = _file(folder, draw)
    path.unlink()
    path.mkdir()
    return f"{path.name} a folder"


def stray(folder: Path, draw: random.Random) -> str:
    names = (".DS_Store", "checkpoints/lost+found", ".trials.parquet.1", "winners/x/config.json")
    more = ("checkpoints/curve-000/attempt.json", "x\ny", "warm_start/trials.parquet")
    name = draw.choice((*names, *more))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(draw.randbytes(5))
    return f"a stray {name!r}"


LINKED = (
    *("tune", "checkpoints", "report.html", "comparison.md", "export", "examples", "logs"),
    *("study.json", "trials.parquet", "winners/curve", ".driver.lock", ".driver.lease"),
)


def linked(folder: Path, draw: random.Random) -> str:
    """A link that leads out of the folder."""
    name = draw.choice(LINKED)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    target = folder.parents[1] / "victim"
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        shutil.move(path, target / path.name)
        target /= path.name
    path.symlink_to(target)
    return f"{name} a link"


def noted(folder: Path, draw: random.Random) -> str:
    """Another value, or none, somewhere in `study.json`."""
    path = folder / "study.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return "nothing"
    inner, names = content, []
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return "nothing"
        names.append(draw.choice(keys))
        if not isinstance(inner[names[-1]], dict | list) or draw.random() < 0.3:
            break
        inner = inner[names[-1]]
    said = ".".join(map(str, names))
    if draw.random() < 0.25:
        del inner[names[-1]]
        said += " left out"
    else:
        inner[names[-1]] = draw.choice(STRANGE)
        said += f" = {str(inner[names[-1]])[:20]!r}"
    path.write_text(json.dumps(content))
    return f"study.json: {said}"


def _readable(path: Path) -> pa.Table | None:
    """A table, unless it is damaged or gone already."""
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None


def column(folder: Path, draw: random.Random) -> str:
    """A table that lacks a column, or has it in another type, twice or empty."""
    path = folder / f"{draw.choice(TABLES)}.parquet"
    table = _readable(path)
    if table is None:
        return "nothing"
    chosen = draw.choice(table.column_names)
    index, how = table.column_names.index(chosen), draw.choice(("gone", "text", "null", "twice"))
    if how == "gone":
        table = table.drop_columns([chosen])
    elif how == "twice":
        table = table.append_column(chosen, table[chosen])
    else:
        kind = pa.string() if how == "text" else table.schema.field(index).type
        values = pa.nulls(table.num_rows, kind)
        if how == "text":
            values = pa.array([str(v) for v in table[chosen].to_pylist()])
        table = table.set_column(index, pa.field(chosen, kind), values)
    pq.write_table(table, path)
    return f"{path.stem}.{chosen} {how}"


def value(folder: Path, draw: random.Random) -> str:
    """A row of a table with another value, or twice, or gone."""
    path = folder / f"{draw.choice(TABLES)}.parquet"
    table = _readable(path)
    if table is None:
        return "nothing"
    rows = table.to_pylist()
    if not rows:
        return "nothing"
    at, how = draw.randrange(len(rows)), draw.choice(("value", "value", "value", "twice", "gone"))
    chosen = draw.choice(table.column_names)
    if how == "twice":
        rows.append(rows[at])
    elif how == "gone":
        del rows[at]
    else:
        kind = table.schema.field(chosen).type
        values: tuple[Any, ...] = ("../../../victim", "x", "", "{}", "[]", "curve-999", "running")
        if pa.types.is_integer(kind):
            values = (-1, 0, 2**15 - 1)
        elif pa.types.is_floating(kind):
            values = (float("nan"), float("inf"), -1.0, 1e300, 0.0)
        rows[at][chosen] = draw.choice(values)
    try:
        schema = pa.schema([field.with_nullable(True) for field in table.schema])
        changed = pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError):
        return "nothing"
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    return f"{path.stem}.{chosen} {how} {str(rows[at % len(rows)].get(chosen))[:20]!r}"


DAMAGES: tuple[Damage, ...] = (
    *(cut, empty, flip, flip, garbage, gone, turned, stray, linked),
    *(noted, noted, noted, noted, column, column, value, value, value),
)
