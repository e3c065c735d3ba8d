"""Machines that fail for real: memory, frozen processes, dead nodes, lost and absent clusters."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, StudyFolder

from orchestrator.run.cluster_watch import descendants, start_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]
FAMILIES = os.pathsep.join(map(str, (ROOT / "tests/families", ROOT / "tests/faults/families")))
FLAGS = (
    *("--families", "machine", "--dataset", "digits", "--trials", "2", "--epochs", "4"),
    *("--grace-period", "4", "--seeds", "1"),
)


class Study(StudyFolder):
    """A study of the family `machine`, with more in its environment."""

    def __init__(self, folder: Path, fault: str, address: str, **variables: str) -> None:
        flags = (*FLAGS, "--set", f"space.machine.fault={fault}")
        super().__init__(folder, flags, address, epoch_seconds=0.3)
        self.variables = variables

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "STUDY_FAMILY_PATH": FAMILIES, **self.variables}

    def states(self) -> list[tuple[Any, ...]]:
        columns = ["status", "stop_reason", "attempts"]
        return list(self.table("trials")[columns].itertuples(index=False, name=None))

    def kinds(self) -> list[str]:
        return self.table("events").kind.tolist()


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@pytest.mark.parametrize("process", ["gcs_server", "raylet"])
def test_f18_a_cluster_that_is_lost_ends_the_study_with_the_command_to_go_on(
    process: str, tmp_path: Path
) -> None:
    study = Study(tmp_path, "none", "local")
    study.epoch_seconds = 600
    driver = study.start()
    assert study.wait_for_epoch(driver, 1), driver.communicate()[0]
    below = {pid: start_of(pid) for pid in descendants(driver.pid)}
    os.kill(next(pid for pid in below if name_of(pid) == process), signal.SIGKILL)
    killed = time.monotonic()
    printed, _ = driver.communicate(timeout=60)
    assert driver.returncode == 3, printed
    assert time.monotonic() - killed < 30
    last = printed.splitlines()[-1]
    assert "the Ray cluster was lost" in last
    assert f"orchestrator.study --resume mine --results-dir {tmp_path}" in last
    assert "Traceback" not in printed
    while any(start_of(pid) == began for pid, began in below.items()):
        assert time.monotonic() - killed < 60, {pid: name_of(pid) for pid in below}
    assert study.study()["outcome"] == "interrupted"
    assert "cluster_lost" in study.kinds()
