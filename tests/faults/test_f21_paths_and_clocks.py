"""F21: odd paths work, folders that cannot be written are refused, clocks may be set back."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_study import ComparedStudy
from made_up_trials import row_of, spec_of
from ordinary import ordinary_user

from orchestrator import study
from orchestrator.compare import __main__ as compare
from orchestrator.compare import within_study
from orchestrator.forecast.remaining import TimeLeft
from orchestrator.results import schema as results
from orchestrator.results.files import check_writable
from orchestrator.results.lock import holding
from orchestrator.run import progress
from orchestrator.trials import recorder as recording
from orchestrator.trials import table_writer as writing
from orchestrator.trials import trial
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import TableWriter
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.training.trainer import Trainer

DIGITS = ["--dataset", "digits", "--families", "cnn"]
AWKWARD = ("étude d'images (1)", "100% #1?x=1&y;2", "数据 [🧪]", "-rf", "a:b\\c", ' "q" ')


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everyone may come to, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp()).resolve()
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def contents(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


# Folders that can be written


@pytest.mark.parametrize("name", AWKWARD)
def test_f21_a_folder_with_any_name_is_writable_and_the_check_leaves_no_trace(
    tmp_path: Path, name: str
) -> None:
    check_writable(tmp_path / name / "results" / "mine")
    assert contents(tmp_path) == []
    (tmp_path / name).mkdir()
    check_writable(tmp_path / name)
    assert contents(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize("name", AWKWARD)
def test_f21_a_study_is_planned_for_a_folder_with_any_name(tmp_path: Path, name: str) -> None:
    arguments = [*DIGITS, f"--results-dir={tmp_path / name}", f"--name={name}", "--dry-run"]
    assert study.main(arguments) == 0
    assert contents(tmp_path) == []


@pytest.mark.parametrize("name", ["[red]a", "a[/b]", "a:cat:b"])
def test_f21_a_path_is_printed_as_it_is(
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(checked: Any, *others: Any, **_: Any) -> int:
        others[-1].print(f"Results: {checked.folder}")  # the console
        return 0

    monkeypatch.setattr(study, "_start", run)
    assert study.main([*DIGITS, f"--results-dir={tmp_path / name}", "--name=x"]) == 0
    printed = capsys.readouterr().out.replace("\n", "")
    assert printed.endswith(f"Results: {tmp_path / name / 'x'}")


@pytest.mark.parametrize("name", AWKWARD)
def test_f21_tables_are_written_read_and_compared_in_a_folder_with_any_name(
    tmp_path: Path, name: str
) -> None:
    folder = ComparedStudy(families=("cnn",)).write(tmp_path / name)
    with holding(folder):
        within_study.write_comparison(folder, None)
    assert len(pd.read_parquet(folder / "comparison.parquet")) == 4 * 3
    assert "cnn tuned" in (folder / "comparison.md").read_text(encoding="utf-8")


def test_f21_studies_that_make_the_same_folders_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(check_writable, [tmp_path / "results" / "mine"] * 100))
    assert contents(tmp_path) == []


# Folders that cannot


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the study is refused with, before its data are looked for."""
    # The data are missing too; that they are is not what is said.
    missing = ["--dataset", "folder", "--data-dir", "/no/such", "--families", "cnn"]
    assert study.main([*missing, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("below", ["", "a", "a/b c/é"])
def test_f21_results_below_a_file_are_refused_before_anything_is_done(
    tmp_path: Path, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "file" / below
    error = refusal(["--results-dir", str(folder), "--name", "x"], capsys)
    assert f"the folder must be writable, but {folder / 'x'} is not: Not a directory" in error
    assert contents(tmp_path) == [tmp_path / "file"]


@pytest.mark.parametrize("below", ["", "a/b"])
def test_f21_results_where_even_root_may_not_write_are_refused(
    below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("/sys/kernel") / below
    if not Path("/sys/kernel").is_dir():
        pytest.skip("no /sys/kernel here")
    error = refusal(["--results-dir", str(folder), "--name", "x"], capsys)
    assert f"the folder must be writable, but {folder / 'x'} is not" in error


@pytest.mark.parametrize("below", ["", "a/b"])
def test_f21_results_in_a_read_only_folder_are_refused(
    public: Path, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    public.chmod(0o555)
    with ordinary_user():
        error = refusal(["--results-dir", str(public / below), "--name", "x"], capsys)
    assert f"but {public / below / 'x'} is not: Permission denied" in error
    assert contents(public) == []


def test_f21_results_in_a_folder_that_may_not_be_entered_are_refused(
    public: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = public / "closed"
    closed.mkdir(mode=0o000)
    with ordinary_user():
        error = refusal(["--results-dir", str(closed), "--name", "x"], capsys)
    closed.chmod(0o755)
    assert f"but {closed / 'x'} is not: Permission denied" in error


def test_f21_a_name_too_long_for_the_disk_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refusal(["--results-dir", str(tmp_path), "--name", "x" * 300], capsys)
    assert "is not: File name too long" in error
    assert contents(tmp_path) == []


@pytest.mark.parametrize(
    ("results_dir", "message"),
    [
        ("s3://bucket/studies", "results_dir must be a path, where a shared folder is mounted"),
        ("file:///tmp/studies", "not an address, but got 'file:///tmp/studies'"),
        ("~no-such-user/studies", "results_dir must be a path, but got '~no-such-user/studies'"),
        ("{circle}/studies", "results_dir must be a path, but got"),
    ],
)
def test_f21_results_at_an_address_or_nowhere_are_refused(
    results_dir: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    error = refusal(["--results-dir", results_dir.replace("{circle}", str(circle))], capsys)
    assert message in error


def test_f21_the_demo_is_refused_where_its_weights_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert study.main(["--preset", "demo", "--results-dir", str(tmp_path / "results")]) == 2
    cache = tmp_path / "file" / "transfer-study"
    assert f"the folder must be writable, but {cache} is not" in capsys.readouterr().err
    assert contents(tmp_path) == [tmp_path / "file"]


def test_f21_a_read_only_study_is_not_compared_again_and_keeps_its_comparison(
    public: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ComparedStudy(families=("cnn",)).write(public)
    within_study.write_comparison(folder, None)
    before = {path: path.read_bytes() for path in contents(folder)}
    folder.chmod(0o555)
    with ordinary_user():
        assert compare.main([str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Permission denied" in error
    assert {path: path.read_bytes() for path in contents(folder)} == before


# Clocks


class Clocks:
    """A wall clock that is set back an hour at each look, and a monotonic one that is told."""

    def __init__(self) -> None:
        self.seconds, self.wall = 100.0, datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.now().timestamp()

    def now(self, zone: object = None) -> datetime:
        del zone
        self.wall -= timedelta(hours=1)
        return self.wall


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """The clocks that the study reads."""
    clocks = Clocks()
    for module in (recording, trial, writing, progress):
        monkeypatch.setattr(module, "time", clocks)
    monkeypatch.setattr(recording, "datetime", clocks)
    return clocks


def test_f21_device_seconds_are_right_while_the_clock_is_set_back(
    recorder: Recorder, clocks: Clocks
) -> None:
    recorder.propose(spec_of("cnn-000", "baseline"))
    record = recorder.trials["cnn-000"]
    for seconds in (30.0, 12.0):  # two attempts; between them it waits for a device
        recorder.attempt_began("cnn-000")
        clocks.seconds += seconds
        assert recorder.device_seconds(record) == pytest.approx(record.spent_seconds + seconds)
        recorder.attempt_ended("cnn-000")
        clocks.seconds += 1000
    recorder.epoch("cnn-000", row_of(1, 0.5))
    recorder.end("cnn-000", "completed")
    (row,) = recorder.trial_rows()
    assert row["device_seconds"] == pytest.approx(42.0)
    assert row["ended_at"] < row["started_at"]  # what the clock said, and nothing is made of it


def test_f21_an_epoch_and_its_speed_are_measured_while_the_clock_is_set_back(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", Clocks().time)
    family = load_family("cnn")
    trainer = Trainer(
        family,
        {**family.baseline, "width": 16},
        made_up_images,
        train=np.arange(40),
        validation=np.arange(40, 60),
        num_classes=3,
        weights=None,
        seed=1,
        epochs=1,
        device="cpu",
        threads=1,
    )
    started = time.monotonic()
    row = trainer.train_epoch()
    took = time.monotonic() - started
    assert 0 < row["epoch_seconds"] <= took
    assert row["images_per_second"] >= 40 / took


def test_f21_the_writers_pauses_follow_its_writes_and_not_the_clock(
    tmp_path: Path, clocks: Clocks
) -> None:
    writer = TableWriter(tmp_path, results.schemas([]), {})
    durations, pauses = iter((0.1, 1.0, 0.0)), []

    def write() -> None:
        clocks.seconds += next(durations)

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) > 3

    writer.write = write
    writer._stop = SimpleNamespace(wait=wait)
    writer._run()
    assert pauses == pytest.approx([5.0, 5.0, 20.0, 5.0])


def test_f21_the_time_left_is_told_while_the_clock_is_set_back(clocks: Clocks) -> None:
    seconds = iter((180.0, 120.0))
    at = clocks.wall
    remaining = progress.Remaining(lambda: TimeLeft(seconds=next(seconds), at=at))
    assert remaining.seconds() == 180  # by the clock it is before the moment of the forecast
    clocks.seconds += 60
    assert remaining.seconds() == 120
