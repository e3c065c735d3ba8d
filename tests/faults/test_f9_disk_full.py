"""F9: a disk that is too small is refused, one that becomes full is said, and nothing is lost."""

import contextlib
import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import Driver

from orchestrator import study
from orchestrator.run import opening
from orchestrator.verify.runner import verify
from trainables import checkpoints

KIB = 1024


@contextlib.contextmanager
def _mounted(folder: Path, size: int) -> Iterator[Path]:
    """A real file system of so many bytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"mounting needs rights that are not here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.usefixtures("curve_family")
@pytest.mark.parametrize("free", [40 * KIB, 330 * KIB, 356 * KIB])
def test_f9_a_disk_that_becomes_full_ends_the_study_which_goes_on_once_there_is_space(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"trials": 3, "epochs": 3, "grace_period": 1, "seeds": 2}
    with _mounted(tmp_path / "small", 2048 * KIB) as small:
        (small / "others").write_bytes(b"x" * (2048 * KIB - free))
        driver = Driver(small / "results", monkeypatch, settings)
        driver.writes = 1.0
        with pytest.raises(OSError, match=r"space|Errno 28") as caught:
            driver.start()
        assert checkpoints.is_full(caught.value)
        assert json.loads((driver.folder / "study.json").read_text())["outcome"] == "failed"
        (small / "others").unlink()
        assert driver.resume()
        assert verify(driver.folder, sources=False).problems == []


def test_f9_a_checkpoint_that_does_not_fit_leaves_the_one_before_it_and_nothing_half_written(
    tmp_path: Path,
) -> None:
    with _mounted(tmp_path / "small", 256 * KIB) as small:
        folder, state = small / "cnn-001", b"x" * 100 * KIB
        mine = checkpoints.claim(folder, attempt=1, trial={"trial_id": "cnn-001"})
        checkpoints.save(folder, epoch=1, state=[state], rows=[{"epoch": 1}], claim=mine)
        with pytest.raises(checkpoints.DiskFullError, match=r"no space is left for .*epoch-00002"):
            checkpoints.save(folder, epoch=2, state=[2 * state], rows=[{"epoch": 1}], claim=mine)
        found, damaged = checkpoints.newest(folder)
        assert found is not None
        assert (found.epoch, found.state, damaged) == (1, state, [])
        assert not list(folder.glob(".*"))


def test_f9_a_study_that_cannot_fit_is_refused_before_anything_is_started_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "open_study", lambda *_: pytest.fail("it was started"))
    with _mounted(tmp_path / "small", 512 * KIB) as small:
        line = ["--dataset", "digits", "--families", "cnn", "--results-dir", str(small / "r")]
        assert study.main(line) == 2
        assert not list(small.iterdir())
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "must fit onto the disk, but 1 trial(s) at a time ask for" in error
    assert "512.0 KiB are free" in error


def test_f9_a_full_disk_is_known_by_its_number_alone() -> None:
    assert checkpoints.is_full(OSError(errno.EDQUOT, "quota"))
    assert not checkpoints.is_full(OSError(errno.EACCES, "denied"))
    assert not checkpoints.is_full(ValueError("28"))
