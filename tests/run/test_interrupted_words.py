"""What an interrupted study says last: how to go on, or that there is nothing to go on with."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up_study import ComparedStudy

from orchestrator.run import opening
from orchestrator.run.opening import say_how_to_resume
from orchestrator.terminal import Terminal

RUN = {"started_at": "2026-11-30T08:00:00+00:00"}


@pytest.mark.parametrize(
    ("outcome", "runs_before", "said"),
    [
        ("interrupted", None, "python -m orchestrator.study --resume renamed --results-dir {}"),
        ("completed", None, "Interrupted after the study had ended; to write its page:"),
        ("completed", 1, "Interrupted after the study had ended; to write its page:"),
        # It had ended before this run, which has not begun.
        ("completed", 2, "python -m orchestrator.study --resume renamed --results-dir {}"),
    ],
)
def test_the_last_words_of_an_interrupted_study_say_what_is_to_be_done(
    outcome: str,
    runs_before: int | None,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = ComparedStudy(entries={"outcome": outcome, "runs": [{**RUN, "outcome": outcome}] * 2})
    folder = made.write(tmp_path / "renamed")
    resumed: Any = runs_before and SimpleNamespace(study=SimpleNamespace(runs=[RUN] * runs_before))
    checked: Any = SimpleNamespace(folder=folder, resumed=resumed)
    say_how_to_resume(checked, Terminal())
    printed = capsys.readouterr().out
    assert said.format(tmp_path) in printed
    if "page" in said:
        assert printed.endswith(f"  python -m orchestrator.report {folder}\n")


def test_a_lost_cluster_is_said_though_the_rows_do_not_reach_the_disk_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said, hung = [], threading.Event()

    def end(_: int) -> None:
        said.append(capsys.readouterr().err)
        hung.set()

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(opening, "LEAVE_SECONDS", 0.01)
    session: Any = SimpleNamespace(note_lost_cluster=lambda _: hung.wait(5))
    checked: Any = SimpleNamespace(folder=Path("/nowhere/mine"))
    watch: Any = SimpleNamespace(kill_processes=lambda: None)
    opening._leave(session, checked, watch, "nothing answers")
    assert "the Ray cluster was lost, nothing answers; all finished epochs are kept" in said[0]
