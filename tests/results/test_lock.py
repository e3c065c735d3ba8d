"""One driver per study: the second is refused and told who holds it; the dead hold nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.results import lock as locking
from orchestrator.results.lock import HeldError, holder_of, holding

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from orchestrator.results.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(awkward_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(awkward_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def lease_of_another_machine(folder: Path) -> Path:
    """A lease as a driver on another machine leaves it."""
    path = folder / locking.LEASE
    lease = locking._lease(folder)
    lease.acquire()
    text = path.read_text().replace(f"host={socket.gethostname()}", "host=elsewhere")
    lease.release()
    path.write_text(text)
    return path


def test_f13_a_second_driver_is_refused_within_5_seconds_and_told_who_holds_the_study(
    other: subprocess.Popen[str], awkward_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(HeldError) as caught, holding(awkward_path):
        pass
    assert time.monotonic() - started < 5
    assert f"process {other.pid} on {socket.gethostname()} holds it" in str(caught.value)


def test_f13_a_dead_holders_study_is_taken_over_at_once(
    other: subprocess.Popen[str], awkward_path: Path
) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    left = holder_of(awkward_path)
    assert left is not None
    assert (left.pid, left.alive) == (other.pid, False)
    started = time.monotonic()
    with holding(awkward_path):
        mine = holder_of(awkward_path)
    assert time.monotonic() - started < 5
    assert mine is not None
    assert (mine.pid, mine.alive) == (os.getpid(), True)


def test_a_driver_that_ends_by_itself_leaves_no_holder(tmp_path: Path) -> None:
    with holding(tmp_path):
        pass
    assert holder_of(tmp_path) is None


def test_a_lease_on_another_machine_is_respected_while_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lease_of_another_machine(tmp_path)
    times = iter(range(1, 1000))
    monkeypatch.setattr(locking, "_renewed_at", lambda _: float(next(times)))
    with pytest.raises(HeldError, match="on elsewhere holds it"), holding(tmp_path):
        pass
    assert path.exists()


def test_a_lease_on_another_machine_that_is_not_renewed_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(locking, "RENEWAL_SECONDS", 0.1)
    lease_of_another_machine(tmp_path)
    with holding(tmp_path):
        holder = holder_of(tmp_path)
    assert holder is not None
    assert holder.host == socket.gethostname()


def test_a_driver_whose_lease_was_taken_while_it_slept_writes_no_more(tmp_path: Path) -> None:
    with holding(tmp_path) as hold:
        hold.check()
        hold._lease._on_compromise(None)  # what filelock's heartbeat calls
        mine = (tmp_path / locking.LEASE).read_text()
        other = mine.replace(f"host={socket.gethostname()}", "host=elsewhere")
        (tmp_path / locking.LEASE).write_text(other)
        with pytest.raises(HeldError, match=r"lost its lease .* on elsewhere holds it"):
            hold.check()
        (tmp_path / locking.LEASE).unlink()
        with pytest.raises(HeldError, match=r"lost its lease .* was removed, or could not be rene"):
            hold.check()


def test_a_folder_that_cannot_be_written_is_an_error_of_its_own() -> None:
    with pytest.raises(OSError, match="/sys"), holding(Path("/sys/kernel")):
        pass
