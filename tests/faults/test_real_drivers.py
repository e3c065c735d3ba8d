"""Real drivers on real local Ray clusters: killed, refused, interrupted, and resumed to the end."""

import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import TABLES, StudyFolder, count

from orchestrator.results.lock import holder_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # a whole study, also on a busy machine
]
# Four trials of up to nine epochs of a third of a second, two finals.
FLAGS = (
    *("--families", "curve", "--dataset", "digits", "--set", "space.curve.fault=none"),
    *("--trials", "4", "--epochs", "9", "--grace-period", "3", "--seeds", "1"),
)
TRIALS = 4


class Killed:
    """What was seen of a study whose driver was killed, refused a second, and was asked to end."""

    def __init__(self, folder: Path, address: str) -> None:
        self.study = StudyFolder(folder, FLAGS, address, epoch_seconds=0.3)
        driver = self.study.start()
        assert self.study.wait(driver, self._has_two_checkpoints), driver.communicate()[0]
        self.study.kill(driver)
        self.study.check_that_no_row_is_lost()
        shutil.rmtree(self.study.folder / "tune")  # Tune's own state is never read
        self.damaged = self._truncate_a_checkpoint()
        self._be_terminated_in_the_finals()
        self._finish_while_pandas_reads()

    def _try_a_second_driver(self) -> None:
        started = time.monotonic()
        second = self.study.start()
        self.refusal, _ = second.communicate()
        self.refused_with, self.refused_after = second.returncode, time.monotonic() - started

    def _has_two_checkpoints(self) -> bool:
        """Whether a trial has: one to damage, and one to go on from."""
        return any((self.study.folder / "checkpoints").glob("*/epoch-00002.json"))

    def _truncate_a_checkpoint(self) -> str:
        """Halves the newest checkpoint of a trial that has two; its id."""
        for trial in sorted((self.study.folder / "checkpoints").iterdir()):
            states = sorted(trial.glob("epoch-*.pt"))
            if len(states) > 1:
                content = states[-1].read_bytes()
                states[-1].write_bytes(content[: len(content) // 2])
                return trial.name
        message = "no trial has two checkpoints"
        raise AssertionError(message)

    def _be_terminated_in_the_finals(self) -> None:
        """SIGTERM to a driver that resumes, once the finals have an epoch."""
        driver = self.study.start()
        assert self.study.wait(driver, self._is_held), driver.communicate()[0]
        self.first_pid = driver.pid
        self._try_a_second_driver()
        assert self.study.wait(driver, self._finals_have_begun), driver.communicate()[0]
        asked = time.monotonic()
        driver.send_signal(signal.SIGTERM)
        self.farewell, _ = driver.communicate()
        self.terminated_with = driver.returncode
        self.terminated_after = time.monotonic() - asked
        self.study.check_that_no_row_is_lost()

    def _finish_while_pandas_reads(self) -> None:
        driver, self.readings = self.study.start(), 0
        columns = {name: list(self.study.table(name)) for name in TABLES}
        while driver.poll() is None:
            self.study.check_that_no_row_is_lost()
            assert {name: list(self.study.table(name)) for name in TABLES} == columns
            self.readings += 1
        printed, _ = driver.communicate()
        assert driver.returncode == 0, printed
        self.study.check_that_no_row_is_lost()

    def _is_held(self) -> bool:
        holder = holder_of(self.study.folder)
        return holder is not None and holder.alive

    def _finals_have_begun(self) -> bool:
        return any((self.study.folder / "checkpoints").glob("curve-*-s0-f1/epoch-*.json"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, shared_cluster: str) -> Killed:
    return Killed(tmp_path_factory.mktemp("été with spaces"), shared_cluster)


def test_f1_the_study_completes_and_nothing_is_lost_or_there_twice(killed: Killed) -> None:
    counts = count(killed.study, trials=TRIALS)
    assert (counts.trials, counts.trials_lost) == (TRIALS, 0)
    assert (counts.epochs_twice, counts.epochs_missing) == (0, 0)
    assert counts.deaths == 1
    assert counts.begun_further_back <= 1  # the trial whose checkpoint was damaged
    assert "nothing wrong" in killed.study.verify()
    runs = killed.study.study()["runs"]
    assert [run["outcome"] for run in runs] == ["killed", "interrupted", "completed"]


def test_f10_a_truncated_checkpoint_is_an_event_and_the_one_before_it_is_gone_on_from(
    killed: Killed,
) -> None:
    events = killed.study.table("events")
    damaged = events[events.kind == "checkpoint_damaged"]
    assert damaged.trial_id.tolist() == [killed.damaged]
    assert re.search(r"checkpoint of epoch \d+ must have SHA-256", damaged.detail.iloc[0])
    log = (killed.study.folder / "logs" / f"{killed.damaged}.log").read_text()
    epoch = int(re.search(r"checkpoint of epoch (\d+)", damaged.detail.iloc[0])[1])
    assert f"goes on after epoch {epoch - 1}" in log


def test_f13_a_second_driver_is_told_who_holds_the_study_and_ends(killed: Killed) -> None:
    assert killed.refused_with == 3
    assert f"process {killed.first_pid} on {socket.gethostname()} holds it" in killed.refusal
    assert killed.refusal.count("\n") == 1
    assert killed.refused_after < 30  # as a process; what it waits for is in test_locking


def test_f14_sigterm_keeps_all_rows_and_says_how_to_go_on(killed: Killed) -> None:
    assert killed.terminated_with == 143
    assert killed.terminated_after < 30
    assert "orchestrator.study --resume mine --results-dir" in killed.farewell


@pytest.fixture
def in_a_long_epoch(
    tmp_path: Path, shared_cluster: str
) -> Iterator[tuple[StudyFolder, subprocess.Popen[str]]]:
    """A driver whose trials are in epochs of ten minutes."""
    study = StudyFolder(tmp_path, FLAGS, shared_cluster, epoch_seconds=600)
    driver = study.start()
    assert study.wait_for_epoch(driver, 1), driver.communicate()[0]
    yield study, driver
    driver.kill()
    driver.wait()


def test_f14_ctrl_c_does_not_wait_for_an_epoch_and_a_second_one_for_nothing(
    in_a_long_epoch: tuple[StudyFolder, subprocess.Popen[str]],
) -> None:
    study, driver = in_a_long_epoch
    asked = time.monotonic()
    driver.send_signal(signal.SIGINT)
    driver.communicate()
    assert driver.returncode == 130
    assert time.monotonic() - asked < 30
    assert study.study()["outcome"] == "interrupted"
    again = study.start()
    study.wait(again, lambda: study.study()["outcome"] == "running")
    assert study.wait_for_epoch(again, study.epochs_begun() + 1), again.communicate()[0]
    again.send_signal(signal.SIGINT)
    time.sleep(0.2)
    asked = time.monotonic()
    again.send_signal(signal.SIGINT)
    again.communicate()
    assert again.returncode == 130
    assert time.monotonic() - asked < 2


def test_pandas_reads_all_tables_at_any_moment_and_never_finds_less(killed: Killed) -> None:
    assert killed.readings > 20
