"""What a command prints with `--json`, read strictly and as docs/JSON.md has its schema."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from documented import ROOT, blocks
from jsonschema import Draft202012Validator, FormatChecker

PAGE = ROOT / "docs" / "JSON.md"
FORMATS = FormatChecker(())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment_in_utc(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).utcoffset() == timedelta(0)


def schemas() -> dict[str, Any]:
    """The schemas of the page, by their `$id`."""
    found = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    return {schema["$id"]: schema for schema in found}


def validated(text: str, name: str) -> dict[str, Any]:
    """The one object that a text is, as the schema of this name has it."""
    (line,) = text.splitlines()
    content: dict[str, Any] = json.loads(line, parse_constant=_refuse)
    Draft202012Validator(schemas()[name], format_checker=FORMATS).validate(content)
    return content


def printed_json(
    capsys: pytest.CaptureFixture[str],
    name: str,
    run: Callable[[Sequence[str]], int],
    *arguments: str,
    code: int = 0,
) -> dict[str, Any]:
    """What a command prints with `--json`, where it exits with this code."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return validated(capsys.readouterr().out, name)


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON"
    raise ValueError(message)
