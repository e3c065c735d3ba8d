"""F9: a disk that is too small is refused, one that becomes full is said, and nothing is lost."""

import contextlib
import errno
import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from in_process import Driver
from made_up_trials import spec_of
from ray.tune import TuneError
from rich.console import Console
from small_disk import mounted

from orchestrator import study
from orchestrator.config.settings import Settings
from orchestrator.plan import disk_space
from orchestrator.run import opening, phase
from orchestrator.run.signals import Interruption
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import WritingError
from orchestrator.verify.runner import verify
from trainables import checkpoints
from trainables.trial_error import described

KIB = 1024


@pytest.mark.usefixtures("curve_family")
@pytest.mark.parametrize("free", [40 * KIB, 330 * KIB, 356 * KIB])
def test_f9_a_disk_that_becomes_full_ends_the_study_which_goes_on_once_there_is_space(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"trials": 3, "epochs": 3, "grace_period": 1, "seeds": 2}
    with mounted(tmp_path / "small", 2048 * KIB) as small:
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
    with mounted(tmp_path / "small", 256 * KIB) as small:
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
    with mounted(tmp_path / "small", 512 * KIB) as small:
        line = ["--dataset", "digits", "--families", "cnn", "--results-dir", str(small / "r")]
        assert study.main(line) == 2
        assert not list(small.iterdir())
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "must fit onto the disk, but of 1 trial at a time they take" in error
    assert "512.0 KiB are free" in error


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 3, "the disk is full: No space left"),
        (_caused(WritingError("no"), OSError(errno.EDQUOT, "Quota exceeded")), 3, "Quota exceeded"),
        (OSError(errno.EROFS, "Read-only file system", "a"), 3, "keep: Read-only file system: a;"),
        (OSError(errno.EACCES, "Permission denied", "a.parquet"), 1, "denied: 'a.parquet'; put"),
        (checkpoints.NotKeptError(errno.EIO, "a.pt"), 1, "not be read or written, so"),
        (WritingError("the tables could not be written"), 1, "not be written; put"),
    ],
)
def test_whatever_keeps_a_study_from_its_files_is_one_line_that_says_how_to_go_on(
    error: Exception,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(disk_space, "check_disk_space", fail)
    checked: Any = SimpleNamespace(folder=Path("/nowhere/mine"), settings=Settings())
    with contextlib.ExitStack() as held:
        assert study._start(checked, held, Console(), debug=False) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
    assert "go on: python -m orchestrator.study --resume mine --results-dir /nowhere\n" in said


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (checkpoints.DiskFullError, errno.ENOSPC),
        (checkpoints.DiskFullError, errno.EROFS),
        (checkpoints.NotKeptError, errno.ENOENT),
    ],
)
def test_f9_a_disk_that_takes_nothing_or_loses_what_it_has_fails_no_trial(
    kind: type[OSError], number: int, recorder: Recorder, tmp_path: Path
) -> None:
    found = described(kind(number, "for .epoch-00001.pt"))
    (tmp_path / "error").write_bytes(pickle.dumps(found))
    recorder.propose(spec_of("cnn-001"))
    trial: Any = SimpleNamespace(
        config={"trial_id": "cnn-001"}, pickled_error_file=str(tmp_path / "error")
    )
    with pytest.raises(kind, match=r"for \.epoch-00001\.pt") as caught:
        RecordingScheduler(recorder).on_trial_error(None, trial)
    assert caught.value.errno == number
    assert recorder.trials["cnn-001"].failures == []


def test_f9_what_a_report_raises_ends_a_phase_though_tune_hides_it_in_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fit() -> None:
        try:
            raise checkpoints.DiskFullError(errno.ENOSPC, "no space is left")
        except OSError:
            raise TuneError("a stack") from None

    monkeypatch.setattr(phase, "_make_tuner", lambda _: SimpleNamespace(fit=fit))
    kept: Any = SimpleNamespace(used_by=lambda *_, **__: contextlib.nullcontext())
    reservation = SimpleNamespace(bundle={}, max_concurrent=1)
    given: Any = SimpleNamespace(
        name="search", references=None, reservation=reservation, interruption=Interruption()
    )
    with pytest.raises(checkpoints.DiskFullError):
        phase.run(given, kept)


def test_f9_a_full_disk_that_nobody_names_may_be_that_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    with mounted(tmp_path / "small", 64 * KIB) as small:
        monkeypatch.setenv("RAY_TMPDIR", str(small))
        full = OSError(errno.ENOSPC, "No space left on device")
        said = disk_space.machine_fault(full, tmp_path / "study")
    assert said is not None
    assert f"64.0 KiB are free in {small}; make space" in said


def test_f9_a_full_disk_is_known_by_its_number_alone() -> None:
    assert checkpoints.is_full(OSError(errno.EDQUOT, "quota"))
    assert not checkpoints.is_full(OSError(errno.EACCES, "denied"))
    assert not checkpoints.is_full(ValueError("28"))
