"""What commands print with --json is valid by the schemas of docs/JSON.md."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_up_study import ComparedStudy

from orchestrator.compare import __main__ as compare

jsonschema = pytest.importorskip("jsonschema")
PAGE = Path(__file__).parents[2] / "docs" / "JSON.md"


def schema_of(command: str) -> dict[str, Any]:
    """The schema under a command's heading."""
    part = PAGE.read_text(encoding="utf-8").partition(f"## `{command}`")[2].partition("\n## ")[0]
    (text,) = re.findall(r"```json\n(.*?)```", part, flags=re.DOTALL)
    return json.loads(text)


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = ComparedStudy(families=("cnn",))
    study.given = {"events": []}
    studies = [study.write(tmp_path / name) for name in ("a", "b")]
    for folders in ([studies[0]], studies):
        assert compare.main([*map(str, folders), "--json"]) == 0
        jsonschema.validate(json.loads(capsys.readouterr().out), schema_of("compare"))
