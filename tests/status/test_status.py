"""How a study stands in its search, from made-up folders as it leaves them at various moments."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from made_up_rows import event, trial
from made_up_status import CHOICE, ENDED, ROOT, SEARCHED, SETTINGS, write_study

from orchestrator.results.lock import holding
from orchestrator.status.study_status import read_status

HOLD = """
import sys
from pathlib import Path
from orchestrator.results.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, int]:
    """A study whose driver was killed, and that driver's process id."""
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return folder, process.pid


def test_a_running_study_names_its_driver_and_counts_each_familys_trials(
    tmp_path: Path, shown: Any
) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    with holding(folder):
        lines = shown(folder).splitlines()
    assert lines[0] == (
        f"Study mine: running; driver: process {os.getpid()} on {socket.gethostname()}; "
        "started 2026-05-04 12:00:00 UTC"
    )
    assert "cnn 62.5% 1 1 1 0 0 4 20 400 cnn-001" in lines
    assert "resnet50_transfer 75.0% 1 0 0 1 1 4 11 220 resnet50_transfer-000" in lines
    assert "Finals: not begun" in lines
    assert "To go on" not in "".join(lines)


def test_a_killed_study_says_who_was_killed_and_how_to_go_on_and_that_nothing_runs(
    killed: tuple[Path, int], shown: Any
) -> None:
    folder, pid = killed
    text = shown(folder)
    assert text.startswith(f"Study mine: interrupted; driver: process {pid} on ")
    assert ", which was killed; started 2026-05-04 12:00:00 UTC\n" in text
    assert (
        f"python -m orchestrator.study --resume mine --results-dir {folder.resolve().parent}"
        in text.splitlines()[1]
    )
    assert " interrupted stopped " in " ".join(text.split())
    assert "running" not in text
    assert "ago" not in text
    first = json.loads(shown(folder, "--json"))["families"][0]
    assert (first["running"], first["interrupted"]) == (0, 1)


def test_a_study_that_was_interrupted_says_when_and_has_no_driver(
    tmp_path: Path, shown: Any
) -> None:
    folder = write_study(tmp_path / "mine", outcome="interrupted", trials=SEARCHED)
    assert shown(folder).startswith(
        "Study mine: interrupted; started 2026-05-04 12:00:00 UTC; ended 2026-05-04 13:30:00 UTC\n"
        "To go on: "
    )


def test_the_command_to_go_on_reads_back_as_the_very_path(awkward_path: Path, shown: Any) -> None:
    folder = write_study(awkward_path / "my study's", outcome="interrupted")
    command = shown(folder).splitlines()[1].removeprefix("To go on: ")
    assert shlex.split(command) == [
        *("python", "-m", "orchestrator.study", "--resume", "my study's"),
        *("--results-dir", str(awkward_path.resolve())),
    ]


def test_the_command_to_go_on_leaves_out_the_folder_where_studies_are_kept_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "results" / "mine", outcome="interrupted")
    text = shown("results/mine")
    assert "To go on: python -m orchestrator.study --resume mine\n" in text
    monkeypatch.chdir(tmp_path / "results" / "mine")
    assert f"--resume mine --results-dir {tmp_path.resolve()}/results" in shown(".")


def test_an_incomplete_study_names_the_family_that_was_given_up_and_why(
    tmp_path: Path, shown: Any
) -> None:
    folder = write_study(
        tmp_path / "mine",
        outcome="incomplete",
        trials=ENDED,
        choice={"cnn": CHOICE["cnn"]},
        halted={"resnet50_transfer": "RuntimeError: no [such]\nlayer"},
    )
    text = shown(folder)
    assert text.startswith("Study mine: incomplete; ")
    assert "resnet50_transfer was given up: RuntimeError: no [such] layer\n" in text
    assert "Finals: 0 of 8 re-trainings done" in text
    assert json.loads(shown(folder, "--json"))["families"][0]["given_up"] is None


def test_a_family_that_is_given_up_is_named_while_the_search_still_runs(
    tmp_path: Path, shown: Any
) -> None:
    halts = [
        event("family_halted", "ValueError: bad", family=family) for family in SETTINGS["families"]
    ]
    folder = write_study(
        tmp_path / "mine", trials=SEARCHED[3:], events=halts, halted={"cnn": "of an earlier run"}
    )
    text = shown(folder)
    assert "cnn was given up: ValueError: bad\n" in text
    # It was given up in an earlier run, and is tried again in this one.
    assert "resnet50_transfer was given up" not in text


def test_faults_are_counted_by_kind_and_the_latest_three_are_told_in_a_line_each(
    tmp_path: Path, shown: Any
) -> None:
    events = [
        event("process_died", "gone", 1, trial_id="cnn-001"),
        event("error", "first", 2, trial_id="cnn-002"),
        event("error", "two\nlines", 3, trial_id="cnn-002"),
        event("error", "x" * 200, 4),
        event("test_opened", "a digest", 5),
        event("resumed", "run 2, after one that was killed", 6),
        event("images_fed", "in parts of 128 MB", 7, trial_id="cnn-001"),
    ]
    text = shown(write_study(tmp_path / "mine", outcome="completed", events=events))
    assert text.endswith(
        "Faults: error 3, process_died 1\n"
        f"2026-05-04 12:04:00 error: {'x' * 200}\n"
        "2026-05-04 12:03:00 error cnn-002: two lines\n"
        "2026-05-04 12:02:00 error cnn-002: first"
    )


def test_a_resumed_study_says_which_run_it_is(tmp_path: Path, shown: Any) -> None:
    runs = [{"started_at": f"2026-05-04T12:{minute}:00+00:00"} for minute in ("00", "10", "20")]
    folder = write_study(tmp_path / "mine", runs=runs, outcome="completed")
    assert (
        "completed; started 2026-05-04 12:00:00 UTC; run 3 since 2026-05-04 12:20:00 UTC; ended "
        in shown(folder)
    )
    folder = write_study(tmp_path / "mine", runs=runs[:1], outcome="completed")
    assert "run 1" not in shown(folder)


def test_a_study_whose_driver_failed_says_how_to_go_on(tmp_path: Path, shown: Any) -> None:
    text = shown(write_study(tmp_path / "mine", outcome="failed"))
    assert text.startswith("Study mine: failed; started ")
    assert "\nTo go on: python -m orchestrator.study --resume mine" in text


def test_the_demo_says_so(tmp_path: Path, shown: Any) -> None:
    folder = write_study(tmp_path / "mine", outcome="completed", demo=["This is the demo.", "So."])
    lines = shown(folder).splitlines()
    assert lines[0].startswith("Study mine (demo): completed; ")
    assert lines[1:3] == ["This is the demo.", "So."]


@pytest.mark.parametrize("trials", [(), None], ids=["empty tables", "no tables"])
def test_a_study_that_has_just_begun_is_shown(tmp_path: Path, shown: Any, trials: Any) -> None:
    folder = write_study(tmp_path / "mine", trials=trials)
    with holding(folder):
        text = shown(folder)
        content = json.loads(shown(folder, "--json"))
    assert "cnn - 0 0 0 0 0 4 0 0 -\n" in text
    assert "Faults: none\n" in text
    assert "left" not in text
    assert ("No table has been written yet" in text) == (trials is None)
    assert content["time_left_seconds"] is None
    assert (content["tables_age_seconds"] is None) == (trials is None)


def test_the_best_is_the_one_that_would_be_chosen(tmp_path: Path) -> None:
    folder = write_study(
        tmp_path / "mine",
        trials=[
            trial("cnn-000", "completed", 10, 0.5),
            trial("cnn-001", "stopped", 10, 0.7, validation_loss=0.9),
            trial("cnn-002", "stopped", 10, 0.7, validation_loss=0.8),
            trial("cnn-003", "diverged", 1, 0.9),
        ],
    )
    best = read_status(folder, now=0).families[0]
    assert (best.best_trial_id, best.best_validation_accuracy) == ("cnn-002", 0.7)


def test_the_accuracy_of_the_best_by_another_objective_is_called_that(
    tmp_path: Path, shown: Any
) -> None:
    rows = [
        trial("cnn-000", "completed", 10, 0.8, objective=0.3),
        trial("cnn-001", "completed", 10, 0.6, objective=0.5),
    ]
    settings = {**SETTINGS, "objective": "macro_f1"}
    folder = write_study(tmp_path / "mine", trials=rows, settings=settings)
    text = shown(folder)
    assert "accuracy of the best by macro F1" in text
    assert "best validation accuracy" not in text
    assert "cnn 60.0%" in text


def test_the_age_of_the_tables_is_that_of_the_newest(tmp_path: Path, shown: Any) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    for number, path in enumerate(sorted(folder.glob("*.parquet"))):
        os.utime(path, (1000, 1000 + number))
    (folder / ".trials.parquet.17").touch()
    assert read_status(folder, now=1004 + 60).tables_age_seconds == 60
    assert read_status(folder, now=900).tables_age_seconds == 0
    ago = time.time() - 300
    for path in folder.glob("*.parquet"):
        os.utime(path, (ago, ago))
    with holding(folder):
        assert "\nTables written 5 min ago" in shown(folder)
