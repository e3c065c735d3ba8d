"""A process that hangs ends itself and leaves behind where it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainables import watchdog

# A search that never ends and holds Python's lock: no other thread of Python's can run.
HANGS = """
import re, sys
from pathlib import Path
from trainables import watchdog
with watchdog.epoch_time_limit(0.3, Path(sys.argv[1])):
    re.match("(a+)+b", "a" * 60)
"""


def test_what_holds_pythons_lock_is_ended_too_and_its_traceback_goes_to_the_trials_log(
    awkward_path: Path,
) -> None:
    file = watchdog.file_of(awkward_path, "cnn-003")
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", HANGS, str(file)], cwd=root, check=False)
    assert ended.returncode == 1
    log = awkward_path / "logs" / "cnn-003.log"
    log.write_text("attempt 1\n")
    traceback = watchdog.take_traceback(awkward_path, "cnn-003")
    assert traceback.startswith("Timeout (0:00:00.3")
    assert "re/__init__.py" in traceback
    assert log.read_text() == f"attempt 1\n{traceback}"
    assert [path.name for path in log.parent.iterdir()] == ["cnn-003.log"]
    assert not watchdog.take_traceback(awkward_path, "cnn-003")


def test_what_ends_in_time_well_or_badly_leaves_nothing(tmp_path: Path) -> None:
    file = watchdog.file_of(tmp_path, "cnn-003")
    with watchdog.epoch_time_limit(60, file):
        assert file.exists()
    with pytest.raises(ZeroDivisionError), watchdog.epoch_time_limit(60, file):
        _ = 1 / 0
    assert list(file.parent.iterdir()) == []
    assert not watchdog.take_traceback(tmp_path, "cnn-003")


def test_each_epoch_that_begins_is_seen_from_outside(tmp_path: Path) -> None:
    assert watchdog.epoch_began(tmp_path, "cnn-003") == 0
    with watchdog.epoch_time_limit(60, watchdog.file_of(tmp_path, "cnn-003")) as epoch_begins:
        first = watchdog.epoch_began(tmp_path, "cnn-003")
        os.utime(watchdog.file_of(tmp_path, "cnn-003"), ns=(0, 1))  # a while ago
        epoch_begins()
        assert watchdog.epoch_began(tmp_path, "cnn-003") >= first > 0
