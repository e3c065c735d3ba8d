"""What a study stored and said, as digests that do not depend on how long anything took.

The clocks of a copy of its folder are set to fixed times, then the comparison and the page are made
from the copy's tables by the commands that users have.
"""

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

ROOT: Final = Path(__file__).resolve().parents[2]
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
SIGNIFICANT_DIGITS: Final = 12
"""Two processors may differ in a number's last bits."""


def digests_of(folder: Path, scratch: Path) -> dict[str, str]:
    """The first 16 digits of the SHA-256 of each table, of `comparison.md`, and of the page.

    Args:
        folder: A finished study; nothing in it is changed.
        scratch: An empty folder.
    """
    copy = scratch / "results" / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("tune", "winners", "logs"))
    _stop_clocks(copy)
    for command in ("compare", "report"):
        program = [sys.executable, "-m", f"orchestrator.{command}", str(copy)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        # From where it is in `results`, so that no command that is printed names the scratch.
        subprocess.run(program, cwd=scratch, check=True, stdout=subprocess.DEVNULL, env=environment)
    found = {path.name: _of_table(pq.read_table(path)) for path in sorted(copy.glob("*.parquet"))}
    found["comparison.md"] = _sha256((copy / "comparison.md").read_text(encoding="utf-8"))
    found["report.html"] = _sha256(_content((copy / "report.html").read_text(encoding="utf-8")))
    return found


def _stop_clocks(folder: Path) -> None:
    """Sets all that depends on the machine, the moment and the code to fixed values."""
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        for index, column in enumerate(table.schema):
            values = _fixed(table, column.name)
            if values is not None:
                filled = pa.array(values, column.type)
                table = table.set_column(index, column, filled)
        pq.write_table(table, path)
    path = folder / "study.json"
    study = json.loads(path.read_text(encoding="utf-8"))
    text = str(BEGAN.isoformat(timespec="seconds"))
    times = {"started_at": text, "ended_at": text}
    code = {"code_sha256": "0" * 64, "git_commit": "0" * 40}
    study.update(times, **code, environment={"python": "3"}, choice_sha256="0" * 64)
    study["settings"]["results_dir"] = "results"
    study["runs"] = [{**run, **times, **code, "host": "here", "pid": 1} for run in study["runs"]]
    study.pop("forecast", None)
    path.write_text(json.dumps(study), encoding="utf-8")


def _fixed(table: pa.Table, column: str) -> list[Any] | None:
    """A clock column's new values: a second an epoch, in the order of the rows; else None."""
    rows = table.to_pylist() if column in CLOCKS else []
    if column == "detail":  # an opening of the test set is told by a hash of all settings
        rows = table.select(["kind", "detail"]).to_pylist()
        return ["0" * 64 if r["kind"] == "test_opened" else r["detail"] for r in rows]
    if column.endswith("_at") or column == "at":
        values = table.column(column).to_pylist()
        return [v and BEGAN + timedelta(seconds=i) for i, v in enumerate(values)]
    return [CLOCKS[column](row) for row in rows] if column in CLOCKS else None


CLOCKS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("epoch_seconds", "images_per_second", "train_seconds"), lambda _: 1.0),
    "device_seconds": lambda row: float(row.get("epochs_run") or 1),
    "node": lambda row: row["node"] and "here",
}


def _of_table(table: pa.Table) -> str:
    """A table's digest: names, types and values in their order."""
    rows = [[_rounded(value) for value in row.values()] for row in table.to_pylist()]
    columns = [[field.name, str(field.type)] for field in table.schema]
    return _sha256(json.dumps([columns, rows], default=str))


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    if isinstance(value, float) and value and math.isfinite(value):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return value


def _content(page: str) -> str:
    """What a page says, shows and offers as CSV: its body without the programs in it."""
    body = re.sub(r"<script>.*?</script>", "", page[page.index("<body>") :], flags=re.DOTALL)
    plain = re.sub(
        r"(?<=csv;charset=utf-8;base64,)[\w+/=]+", lambda text: b64decode(text[0]).decode(), body
    )
    return re.sub(r"\d+\.\d{9,}(e-?\d+)?", lambda number: str(_rounded(float(number[0]))), plain)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
