"""Writes the pages that are made from the code: every setting, and every stored column.

`python docs/generated.py` writes them; a test says which is not current.
"""

import re
from pathlib import Path

import pyarrow as pa

from orchestrator.config.settings import SAID, Settings, written
from orchestrator.results.schema import LATER, columns_of_all

HERE = Path(__file__).parent
SETTINGS_BEGIN = """\
# Settings

Every field of `orchestrator/config/settings.py`, as it says them itself. A setting is given by
its flag of `python -m orchestrator.study`, by `--set name=value`, or in a YAML file
([how](USAGE.md#settings)).

| setting | flag | default | means |
| --- | --- | --- | --- |
"""
COLUMNS_BEGIN = """\
# Columns

Every column of every table of a study. The same texts lie in the files, as metadata of the columns,
`pyarrow.parquet.read_schema("results/NAME/final.parquet").field("test_recall").metadata`. Fractions
are 0 to 1, epochs are counted from 1, timestamps are in UTC; the split is in every metric's name.
*May be null* says that a row may have none; *later*, that studies of earlier versions lack it, and
are read without ([which](FORMATS.md)). Besides these, `trials` and `final` have a column
`param_<name>` for each hyperparameter, null where a family has no such dimension.
"""


def settings_page() -> str:
    """All settings, in the order of their fields."""
    return SETTINGS_BEGIN + "".join(f"| {' | '.join(_setting(name))} |\n" for name in SAID)


def _setting(name: str) -> list[str]:
    said, default = SAID[name], getattr(Settings(), name)
    no = "no-" * (default is True)
    flag = f"`--{no}{name.replace('_', '-')}`" if said.flag else ""
    code = "`" * isinstance(default, str)
    return [f"`{name}`", flag, f"{code}{written(default)}{code}", said.means.replace("|", r"\|")]


def columns_page() -> str:
    """All tables with their columns."""
    tables = columns_of_all().items()
    return COLUMNS_BEGIN + "".join(_table(name, schema) for name, schema in tables)


def _table(name: str, schema: pa.Schema) -> str:
    rows = "\n".join(map(_row, schema))
    head = "| column | type | unit | may be null | means |\n| --- | --- | --- | --- | --- |"
    return f"\n## {name}.parquet\n\n{head}\n{rows}\n"


def _row(column: pa.Field) -> str:
    texts = {key.decode(): text.decode() for key, text in column.metadata.items()}
    kind = re.sub(r"^dictionary<.*", "string", str(column.type)).replace("[us, tz=UTC]", "")
    empty = ["yes"] * column.nullable + ["later"] * (column.name in LATER)
    unit, meaning = texts.get("unit", ""), texts["description"]
    return f"| `{column.name}` | {kind} | {unit} | {', '.join(empty)} | {meaning} |"


PAGES = {"SETTINGS.md": settings_page, "COLUMNS.md": columns_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
