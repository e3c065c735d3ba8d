"""The time left is one number: terminal, metrics, `status` and page say the same at one moment."""

import contextlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import in_process
import pandas as pd
import pytest
from in_process import Driver, InProcessExecutor
from rich.console import Console

from orchestrator.forecast.remaining import TimeLeft
from orchestrator.report import inputs, study_page
from orchestrator.results.lock import holding
from orchestrator.run import progress
from orchestrator.run.metrics import SECONDS_LEFT
from orchestrator.run.phase import Phase
from orchestrator.run.progress import ProgressTable
from orchestrator.status import __main__ as status

SENTENCE = re.compile(r"about ([\d.]+ (?:s|min|h))")


@dataclass(frozen=True)
class Snapshot:
    """What is told at one moment.

    Attributes:
        seconds: By `status --json` and the metrics; None where they have no number.
        words: By the others: name to what they say is left.
    """

    seconds: tuple[float | None, float | None]
    words: dict[str, str | None]


class WatchedExecutor(InProcessExecutor):
    """Has somebody look at the study after each step."""

    look: Any = None

    def _step(self, phase: Phase, running: dict[str, Any], tune_id: str) -> None:
        super()._step(phase, running, tune_id)
        assert self.writer is not None
        self.writer.write()
        type(self).look(phase, self.samples)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, curve_family: None) -> Driver:
    """A driver of studies whose epochs say that they took half a minute."""
    del curve_family
    monkeypatch.setenv("STUDY_CURVE_EPOCH_SECONDS", "30")
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(in_process, "InProcessExecutor", WatchedExecutor)
    settings = {"trials": 5, "epochs": 6, "grace_period": 1, "seeds": 2}
    return Driver(tmp_path, monkeypatch, {**settings, "train_fractions": "0.5,1.0"})


def test_terminal_metrics_status_and_page_tell_one_time_left(
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables: list[ProgressTable] = []
    seen: list[tuple[str, Snapshot]] = []

    @contextlib.contextmanager
    def shown(console: Console, table: ProgressTable) -> Iterator[None]:
        del console
        tables.append(table)
        yield

    monkeypatch.setattr("orchestrator.run.session.shown", shown)
    for setting in ("LEAST_SECONDS", "REST_FACTOR"):  # what is told is not older than the files
        monkeypatch.setattr(progress, setting, 0.0)

    def look(phase: Phase, samples: Any) -> None:
        later = 7.0 * (len(seen) % 2)
        with holding(driver.folder), monkeypatch.context() as patch:
            now = last_report(driver.folder) + timedelta(seconds=later)
            patch.setattr(time, "time", now.timestamp)
            each = snapshot(driver.folder, tables[-1], samples, capsys)
        if later:
            del each.words["page"]  # it is of the last moment in its files
        seen.append((phase.name, each))

    monkeypatch.setattr(WatchedExecutor, "look", staticmethod(look))
    assert driver.start()
    known = [phase for phase, each in seen if each.seconds[0] is not None]
    assert {*known} == {"search", "finals"}
    assert len(known) > len(seen) / 2
    for _, each in seen:
        by_status, by_metrics = each.seconds
        assert by_status == pytest.approx(by_metrics, abs=1e-6)
        assert len({*each.words.values()}) == 1, each


def last_report(folder: Path) -> datetime:
    """When the last epoch was reported of which the tables tell; else when the study began."""
    found: list[datetime] = []
    for name in ("final_epochs", "epochs"):
        path = folder / f"{name}.parquet"
        rows = pd.read_parquet(path) if path.is_file() else ()
        if len(rows):
            found.append(rows.sort_values("sequence").reported_at.iloc[-1].to_pydatetime())
    if found:
        return max(found)
    return datetime.fromisoformat(json.loads((folder / "study.json").read_text())["started_at"])


def snapshot(
    folder: Path, table: ProgressTable, samples: Any, capsys: pytest.CaptureFixture[str]
) -> Snapshot:
    """What each of the four tells now."""
    console = Console(record=True, width=140, file=io.StringIO())
    console.print(table)
    capsys.readouterr()
    assert status.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert status.main([str(folder), "--json"]) == 0
    by_status = json.loads(capsys.readouterr().out)["time_left_seconds"]
    (by_metrics,) = [s.value for s in samples() if s.metric is SECONDS_LEFT] or [None]
    page = study_page.progress(inputs.read(folder))
    texts = {"terminal": console.export_text(), "status": printed, "page": page}
    found = {name: SENTENCE.search(text) for name, text in texts.items()}
    return Snapshot(
        seconds=(by_status, by_metrics),
        words={name: each and each.group(1) for name, each in found.items()},
    )


def test_it_is_forecast_anew_at_most_every_five_seconds_and_counted_down_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = datetime(2026, 3, 1, tzinfo=UTC)
    clock = SimpleNamespace(passed=0.0)
    clock.monotonic = lambda: clock.passed
    clock.time = lambda: began.timestamp() + clock.passed
    monkeypatch.setattr(progress, "time", clock)
    forecasts = iter([TimeLeft(seconds=60.0, at=began), TimeLeft(seconds=90.0, at=began), None])
    remaining = progress.Remaining(lambda: next(forecasts))
    estimates = []
    for clock.passed in (0.0, 2.0, 4.0, 5.0, 9.0, 11.0):
        estimates.append(remaining.seconds())
    assert estimates == [60, 58, 56, 85, 81, None]
