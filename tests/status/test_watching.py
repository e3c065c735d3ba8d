"""A watched study: drawn until nothing runs it, and what is printed where nobody can draw."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from made_up_status import SEARCHED, write_study

from orchestrator.results.lock import holding
from orchestrator.status import __main__ as status


def passing(monkeypatch: pytest.MonkeyPatch, *steps: Any) -> None:
    """Each pause between two looks does the next step."""
    left = iter(steps)

    def sleep(seconds: float) -> None:
        assert seconds == 5
        next(left)()

    monkeypatch.setattr(time, "sleep", sleep)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("arguments", [["--watch"], ["--watch", "--json"]])
def test_a_watch_goes_on_until_the_study_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any, arguments: list[str]
) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)

    def end() -> None:
        write_study(folder, trials=SEARCHED, outcome="completed")

    with holding(folder):
        passing(monkeypatch, lambda: None, end)
        text = shown(folder, *arguments)
    if "--json" in arguments:
        states = [json.loads(line)["state"] for line in text.splitlines()]
        assert states == ["running", "running", "completed"]
    else:  # without a terminal only news is printed
        assert (text.count("mine: running"), text.count("mine: completed")) == (1, 1)


def test_on_a_terminal_a_watch_ends_with_the_whole_picture_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    hold = holding(folder)
    hold.__enter__()
    passing(monkeypatch, lambda: hold.__exit__(None, None, None))
    assert status.main([str(folder), "--watch"]) == 0
    printed = capsys.readouterr().out
    drawn, _, last = printed.partition("mine: interrupted")
    assert "\x1b[1A\x1b[2K" in drawn.rpartition("mine: running")[2]  # erased
    assert last.count("interrupted") == 1  # the column
    # Not wrapped, so that it can be copied.
    assert f"--resume mine --results-dir {folder.resolve().parent}\n" in last


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_ends_a_watch_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    passing(monkeypatch, interrupt)
    with holding(folder):
        assert "mine: running" in shown(folder, "--watch", code=130)
