"""A command that is run in an empty folder, and what it prints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.verdict.__main__ import main

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verdict(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command and reads its JSON."""

    def run(*arguments: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        page = ("--output", str(place / "verdict.html"))
        ended = main([*map(str, arguments), "--slices", "none", "--format", "json", *page])
        out, error = capsys.readouterr()
        assert ended == code, error
        found: dict[str, Any] = json.loads(out)
        return found

    return run


@pytest.fixture
def refusal(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command, which must refuse its input, and reads why."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        before = sorted(place.rglob("*"))
        try:
            ended = main([*map(str, arguments)])
        except SystemExit as error:
            ended = error.code
        out, error = capsys.readouterr()
        assert ended == 2, out
        assert out == ""
        assert sorted(place.rglob("*")) == before
        assert "Traceback" not in error
        assert error
        return error

    return run
