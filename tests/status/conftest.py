"""The command `status`, run and read."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.status import __main__ as status


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command and gives back what it printed, with runs of spaces as one."""
    monkeypatch.setenv("COLUMNS", "300")  # narrower ones: test_terminal.py

    def run(*arguments: str | Path, code: int = 0) -> str:
        assert status.main([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        assert bool(printed.err) == (code == 2)
        return "\n".join(" ".join(line.split()) for line in printed.out.splitlines())

    return run
