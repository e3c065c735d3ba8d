"""How a study stands, from made-up folders as a study leaves them at various moments."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import made_up_rows
import pytest
from made_up_rows import event, final_run, trial

from orchestrator.results.lock import holding
from orchestrator.status import __main__ as status
from orchestrator.status.study_status import read_standing

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "families": ["cnn", "resnet50_transfer"],
    "dataset": "digits",
    "trials": 4,
    "epochs": 10,
    "seeds": 2,
    "train_fractions": [0.5, 1.0],
}
CLUSTER = {"cpus_per_trial": 2, "gpus_per_trial": 0.0, "max_concurrent": 2}
CHOICE = {
    "cnn": {
        "trial_id": "cnn-001",
        "params": {},
        "validation_accuracy": 0.625,
        "baseline_won": False,
    },
    "resnet50_transfer": {
        "trial_id": "resnet50_transfer-000",
        "params": {},
        "validation_accuracy": 0.75,
        "baseline_won": True,
    },
}
HOLD = """
import sys
from pathlib import Path
from orchestrator.results.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def write_study(
    folder: Path,
    *,
    outcome: str = "running",
    trials: Sequence[Mapping[str, Any]] | None = (),
    events: Sequence[Mapping[str, Any]] = (),
    final_epochs: Sequence[Mapping[str, Any]] = (),
    final: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Path:
    """Writes a study as it leaves it; `trials` None: before any table is written."""
    content = {
        "name": folder.name,
        "outcome": outcome,
        "started_at": "2026-05-04T12:00:00+00:00",
        "ended_at": None if outcome == "running" else "2026-05-04T13:30:00+00:00",
        "settings": SETTINGS,
        "demo": [],
        "cluster": CLUSTER,
        **more,
    }
    tables = {"trials": trials, "events": events, "final_epochs": final_epochs, "final": final}
    return made_up_rows.write_study(folder, content, {} if trials is None else tables)


SEARCHED = (
    trial("cnn-000", "completed", 10, 0.5),
    trial("cnn-001", "stopped", 5, 0.625),
    trial("cnn-002", "running", 5, 0.25),
    trial("resnet50_transfer-000", "running", 8, 0.75),
    trial("resnet50_transfer-001", "failed", 1, 0.9, validation_loss=0.1),
    trial("resnet50_transfer-002", "diverged", 2, 0.8),
)
ENDED = tuple(row for row in SEARCHED if row["status"] != "running")


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


def test_a_completed_study_shows_its_finals_and_times(tmp_path: Path, shown: Any) -> None:
    runs = [
        final_run(role, seed, fraction)
        for role in ("baseline", "tuned")
        for seed in (0, 1)
        for fraction in (0.5, 1.0)
    ]
    # A family whose baseline won is trained once and stands for both roles.
    both = [
        {**final_run("baseline", seed, fraction, "resnet50_transfer"), "role": role}
        for role in ("baseline", "tuned")
        for seed in (0, 1)
        for fraction in (0.5, 1.0)
    ]
    trained = runs + [run for run in both if run["role"] == "baseline"]
    folder = write_study(
        tmp_path / "mine",
        outcome="completed",
        final=runs + both,
        final_epochs=[{**run, "epoch": n} for run in trained for n in range(1, 11)],
        choice=CHOICE,
        halted={},
    )
    text = shown(folder)
    assert text.startswith(
        "Study mine: completed; started 2026-05-04 12:00:00 UTC; ended 2026-05-04 13:30:00 UTC\n"
    )
    assert "Finals: 12 of 12 re-trainings done, 120 of 120 epochs\nFaults: none" in text


def test_finals_in_progress_are_named_with_their_epochs(tmp_path: Path, shown: Any) -> None:
    done, begun = final_run("baseline", 0, 0.5), final_run("tuned", 1, 1.0)
    folder = write_study(
        tmp_path / "mine",
        trials=ENDED,
        final=[done],
        final_epochs=[{**done, "epoch": n} for n in range(1, 11)]
        + [{**begun, "epoch": n} for n in range(1, 4)],
        choice=CHOICE,
        settings={**SETTINGS, "trials": 2},
    )
    expected = "Finals: 1 of 12 re-trainings done, 13 of 120 epochs\n"
    with holding(folder):
        assert f"{expected}in progress: cnn-tuned-s1-f1 (epoch 3)\n" in shown(folder)
    assert f"{expected}not finished: cnn-tuned-s1-f1 (epoch 3)\n" in shown(folder)
    assert json.loads(shown(folder, "--json"))["finals"] == {
        "done": 1,
        "expected": 12,
        "epochs": 13,
        "epochs_expected": 120,
        "unfinished": [{**begun, "epochs": 3, "done": False, "failed": False}],
        "failed": [],
    }


def test_finals_of_an_earlier_choice_do_not_count_while_an_extended_study_searches(
    tmp_path: Path, shown: Any
) -> None:
    done = final_run("baseline", 0, 0.5)
    folder = write_study(tmp_path / "mine", trials=SEARCHED, final=[done], choice=CHOICE, halted={})
    with holding(folder):
        assert "Finals: not begun\n" in shown(folder)


def test_finals_of_an_earlier_choice_do_not_count_before_an_extended_study_has_a_new_trial(
    tmp_path: Path, shown: Any
) -> None:
    study = {"trials": ENDED, "choice": CHOICE, "halted": {}}
    done = final_run("baseline", 0, 0.5)
    fewer = {**SETTINGS, "trials": 2}
    folder = write_study(tmp_path / "mine", final=[done], settings=fewer, **study)
    assert "Finals: 1 of 12 re-trainings done" in shown(folder)
    write_study(folder, final=[done], **study)  # killed when four trials were asked for
    assert "Finals: not begun\n" in shown(folder)


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


def test_a_study_without_any_winner_has_no_finals(tmp_path: Path, shown: Any) -> None:
    folder = write_study(tmp_path / "mine", outcome="incomplete", choice={}, halted={})
    assert "Finals: none, since no family has a winner" in shown(folder)


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
    best = read_standing(folder, now=0).families[0]
    assert (best.best_trial_id, best.best_validation_accuracy) == ("cnn-002", 0.7)


def test_the_age_of_the_tables_is_that_of_the_newest(tmp_path: Path, shown: Any) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    for number, path in enumerate(sorted(folder.glob("*.parquet"))):
        os.utime(path, (1000, 1000 + number))
    (folder / ".trials.parquet.17").touch()
    assert read_standing(folder, now=1003 + 60).tables_age_seconds == 60
    assert read_standing(folder, now=900).tables_age_seconds == 0
    ago = time.time() - 300
    for path in folder.glob("*.parquet"):
        os.utime(path, (ago, ago))
    with holding(folder):
        assert "\nTables written 5 min ago" in shown(folder)


def left_at(folder: Path, age: float) -> float | None:
    """The estimate some seconds after the tables were written."""
    written = max(path.stat().st_mtime for path in folder.glob("*.parquet"))
    with holding(folder):
        return read_standing(folder, now=written + age).time_left_seconds


def test_the_time_left_is_what_is_to_come_at_the_pace_so_far(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    # Wall seconds: 10 an epoch, 4 to start. To come: cnn-002 has had 5 epochs, further than any
    # that ended, so 5 more; cnn-003 is taken to have 5; resnet50_transfer-000 lacks 2; -003 is
    # taken to have 1.5. Finals: 2 families x 2 roles x 2 seeds, 10 epochs at half cost and whole.
    search = 50 + (4 + 50) + 20 + (4 + 15)
    finals = 8 * (4 + 50) + 8 * (4 + 100)
    assert left_at(folder, 0) == pytest.approx((search + finals) / 2)
    assert left_at(folder, 60) == pytest.approx((search + finals) / 2 - 60)
    assert left_at(folder, 10_000) is None  # overdue


def test_the_time_left_in_the_finals_counts_only_what_is_not_done(tmp_path: Path) -> None:
    begun = final_run("tuned", 0, 0.5)
    folder = write_study(
        tmp_path / "mine",
        trials=[trial("cnn-000", "completed", 10, 0.5)],
        final=[final_run("baseline", 0, 0.5), final_run("baseline", 0, 1.0)],
        final_epochs=[{**begun, "epoch": n} for n in range(1, 4)],
        settings={**SETTINGS, "families": ["cnn"], "trials": 1, "seeds": 1},
        choice={"cnn": CHOICE["cnn"]},
        cluster={**CLUSTER, "max_concurrent": 1},
    )
    # Seven epochs at half cost, and a whole run with its start.
    assert left_at(folder, 0) == pytest.approx(7 * 5 + (4 + 10 * 10))


def test_the_time_left_knows_that_validation_takes_as_long_at_each_fraction(
    tmp_path: Path,
) -> None:
    images = {"train_images_by_fraction": {"0.01": 10, "1.0": 1000}, "validation_images": 300}
    folder = write_study(
        tmp_path / "mine",
        trials=[trial("cnn-000", "completed", 10, 0.5)],
        final=[final_run("baseline", 0, 1.0), final_run("tuned", 0, 1.0)],
        settings={
            **SETTINGS,
            "families": ["cnn"],
            "trials": 1,
            "seeds": 1,
            "train_fractions": [0.01, 1.0],
        },
        dataset=images,
        choice={"cnn": CHOICE["cnn"]},
        cluster={**CLUSTER, "max_concurrent": 1},
    )
    # Ten seconds for 1,000 images and a third of 300; to come are two runs with 10 and that third.
    assert left_at(folder, 0) == pytest.approx(2 * (4 + 10 * 10 * (10 + 100) / (1000 + 100)))


@pytest.mark.parametrize(
    "trials",
    [SEARCHED[:3], [SEARCHED[0], SEARCHED[3]]],
    ids=["a family without an epoch", "no trial of the search has ended"],
)
def test_nothing_is_said_of_the_time_left_where_nothing_can_be(
    tmp_path: Path, trials: Sequence[Mapping[str, Any]]
) -> None:
    assert left_at(write_study(tmp_path / "mine", trials=trials), 0) is None


def test_the_time_left_leaves_out_a_family_that_was_given_up(tmp_path: Path) -> None:
    halt = event("family_halted", "ValueError: bad", family="resnet50_transfer")
    folder = write_study(tmp_path / "mine", trials=SEARCHED[:3], events=[halt])
    # The search ends with cnn-003, which is longer than half of the 50 + 54 s to come.
    assert left_at(folder, 0) == pytest.approx(54 + (4 * 54 + 4 * 104) / 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "10 s"), (44, "40 s"), (130, "2 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_an_estimate_is_told_in_round_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any, seconds: float, text: str
) -> None:
    monkeypatch.setattr("orchestrator.status.study_status.seconds_left", lambda *_: seconds + 1)
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    written = max(path.stat().st_mtime for path in folder.glob("*.parquet"))
    monkeypatch.setattr(time, "time", lambda: written + 1)
    with holding(folder):
        assert shown(folder).endswith(
            f"Tables written 1 s ago; if it goes on as so far, about {text} left, finals included"
        )


def test_json_is_one_object_with_the_same_content(tmp_path: Path, shown: Any) -> None:
    events = [event("error", "why", trial_id="cnn-001")]
    folder = write_study(tmp_path / "mine", trials=SEARCHED, events=events)
    with holding(folder):
        content = json.loads(shown(folder, "--json"))
    assert content.pop("tables_age_seconds") < 60
    assert content.pop("time_left_seconds") > 60
    assert content.pop("families")[1] == {
        "family": "resnet50_transfer",
        "best_validation_accuracy": 0.75,
        "best_trial_id": "resnet50_transfer-000",
        "running": 1,
        "interrupted": 0,
        "stopped": 0,
        "completed": 0,
        "failed": 1,
        "diverged": 1,
        "trials": 4,
        "epochs": 11,
        "device_seconds": 220.0,
        "given_up": None,
    }
    assert content == {
        "study": "mine",
        "folder": str(folder.resolve()),
        "demo": [],
        "state": "running",
        "run": 1,
        "driver": {"host": socket.gethostname(), "pid": os.getpid(), "alive": True},
        "started_at": "2026-05-04T12:00:00+00:00",
        "run_started_at": "2026-05-04T12:00:00+00:00",
        "ended_at": None,
        "resume_command": None,
        "finals": None,
        "faults": {
            "counts": {"error": 1},
            "latest": [
                {
                    "at": "2026-05-04T12:00:00+00:00",
                    "kind": "error",
                    "trial_id": "cnn-001",
                    "detail": "why",
                }
            ],
        },
    }


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


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "RESULTS must be a study's folder, but {folder} has no study.json"),
        ({"study.json": "{"}, "study.json must be JSON, but {folder}/study.json is not"),
        ({"study.json": '{"name": "x", "settings": {}}'}, "must be as a study writes it"),
        ({"study.json": '{"name": "x", "settings": 3}'}, "must be as a study writes it"),
        ({"trials.parquet": "no table"}, "Parquet"),
    ],
)
def test_what_is_no_study_or_damaged_is_one_line_and_exit_2(
    awkward_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: Mapping[str, str],
    message: str,
) -> None:
    if "trials.parquet" in files:
        write_study(awkward_path)
    for name, text in files.items():
        (awkward_path / name).write_text(text)
    assert status.main([str(awkward_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("status: ")
    assert message.replace("{folder}", str(awkward_path)) in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--wach"]])
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        status.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [(["--help"], ("torch", "ray", "pyarrow", "optuna")), ([], ("torch", "torchvision", "ray"))],
)
def test_it_imports_neither_torch_nor_ray_and_for_help_nothing_slow(
    tmp_path: Path, arguments: list[str], absent: tuple[str, ...]
) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED, choice=CHOICE)
    program = (
        "import contextlib, sys\n"
        "from orchestrator.status.__main__ import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    assert main(sys.argv[1:]) == 0\n"
        f"print([name for name in {absent} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_a_command(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "mine", outcome="completed")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.status", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Study mine: completed; ")
