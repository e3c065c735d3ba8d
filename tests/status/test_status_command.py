"""The command itself: JSON, wrong input, what it imports, and that it is one."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from made_up_rows import START, event
from made_up_status import CHOICE, ROOT, SEARCHED, write_study

from orchestrator.results.lock import holding
from orchestrator.status import __main__ as status


def test_json_is_one_object_with_the_same_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any
) -> None:
    monkeypatch.setattr(time, "time", lambda: START.timestamp() + 110)
    events = [event("error", "why", trial_id="cnn-001")]
    folder = write_study(tmp_path / "mine", trials=SEARCHED, events=events)
    with holding(folder):
        content = json.loads(shown(folder, "--json"))
    assert content.pop("tables_age_seconds") < 60
    assert content.pop("time_left_seconds") > 60
    assert content.pop("more_trials") is None  # too few have ended
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
        "objective": "accuracy",
        "state": "running",
        "run": 1,
        "driver": {"host": socket.gethostname(), "pid": os.getpid(), "alive": True},
        "started_at": "2026-05-04T12:00:00+00:00",
        "run_started_at": "2026-05-04T12:00:00+00:00",
        "ended_at": None,
        "resume_command": None,
        "finals": None,
        "finals_begun": 0,
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


def test_a_file_is_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trials.parquet"
    file.touch()
    assert status.main([str(file)]) == 2
    assert (
        capsys.readouterr().err
        == f"status: RESULTS must be a study's folder, but {file} is a file\n"
    )


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
