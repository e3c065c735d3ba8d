"""A study on Ray with one tracker that takes its rows and one where nobody listens."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from in_trackers import expected_points, in_tensorboard

from orchestrator.track.tracked_study import read_tracked
from orchestrator.verify.runner import verify

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_dead_tracker_is_said_and_costs_no_row_and_a_live_one_has_them_all(
    tmp_path: Path, shared_cluster: str
) -> None:
    for package in ("mlflow", "tensorboard"):
        pytest.importorskip(package)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"mlflow=http://127.0.0.1:{free.getsockname()[1]}"
    command = [
        *(sys.executable, "-m", "orchestrator.study", "--families", "curve"),
        *("--dataset", "digits", "--trials", "3", "--epochs", "2", "--grace-period", "1"),
        *("--seeds", "1", "--set", "space.curve.fault=none", "--address", shared_cluster),
        *("--results-dir", str(tmp_path), "--name", "mine"),
        *("--track", f"tensorboard={tmp_path}/runs", "--track", nobody),
    ]
    environment = {**os.environ, "STUDY_FAMILY_PATH": str(ROOT / "tests" / "families")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert f"Sent to tensorboard={tmp_path}/runs" in lines
    assert sum(line.startswith(f"Not all of it is in {nobody}: ") for line in lines) == 1
    assert verify(tmp_path / "mine", sources=False).problems == []
    study, found = read_tracked(tmp_path / "mine"), in_tensorboard(tmp_path / "runs")
    assert [run.status for run in study.runs if run.phase == "finals"] == ["completed"] * 2
    for run in study.runs:
        points = found[run.name].points
        assert points.keys() == expected_points(run).keys(), run.name
        assert {len(values) for values in points.values()} == {1}
