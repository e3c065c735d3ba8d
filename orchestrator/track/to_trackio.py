"""A study in Trackio: a run for each trial in the study's group of one project.

Each row has a `log_id` that follows from what it is; Trackio keeps one row of an id, so nothing is
there twice, whoever sent it again.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from trackio.remote_client import RemoteClient
from trackio.sqlite_storage import SQLiteStorage
from trackio.utils import parse_trackio_server_url

from orchestrator.results.states import State
from orchestrator.track.tracked_study import TrackedRun, TrackedStudy, Tracker

DEFAULT: Final = "transfer-study"
SECONDS: Final = 10.0


class _Row(NamedTuple):
    """A row of Trackio's: metrics at a step; of a run there is one of each kind and step."""

    kind: str
    step: int
    at: datetime
    metrics: Mapping[str, float]


class TrackioTracker(Tracker):
    """See the module."""

    def __init__(self, place: str) -> None:
        """Takes a project; empty: that of TRACKIO_PROJECT, else `transfer-study`.

        It is kept in TRACKIO_DIR, or by the server that TRACKIO_SERVER_URL names, which gives rows
        the time at which they come.
        """
        self._project = place or os.environ.get("TRACKIO_PROJECT") or DEFAULT
        self._server: RemoteClient | None = None
        if address := os.environ.get("TRACKIO_SERVER_URL"):
            base, token = parse_trackio_server_url(address)
            token = token or os.environ.get("TRACKIO_WRITE_TOKEN")
            timeout = {"timeout": SECONDS}
            self._server = RemoteClient(
                base, write_token=token, verbose=False, httpx_kwargs=timeout
            )
        self._sent: dict[str, set[tuple[str, int]]] = {}

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`."""
        for run in study.runs:
            about = {**run.params, **run.tags, "search": run.search}
            self._log(study, run.name, about, [*_rows(run)])
        if study.comparison:
            at = study.ended_at or datetime.now(UTC)
            self._log(study, study.name, study.tags, [_Row("comparison", 0, at, study.comparison)])

    def _log(
        self, study: TrackedStudy, name: str, about: Mapping[str, object], rows: Sequence[_Row]
    ) -> None:
        sent = self._sent.setdefault(name, set())
        new = [row for row in rows if (row.kind, row.step) not in sent]
        if not new:
            return
        run_id = f"{study.identity}-{name}"
        config = {**about, "_Group": study.name, "study": study.name}
        run = {"project": self._project, "run": name, "run_id": run_id, "config": config}
        texts = [f"{run_id} {row.kind} {row.step}" for row in new]
        ids = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        if self._server is None:
            SQLiteStorage.bulk_log(
                **run,
                metrics_list=[dict(row.metrics) for row in new],
                steps=[row.step for row in new],
                timestamps=[row.at.astimezone(UTC).isoformat() for row in new],
                log_ids=ids,
            )
        else:
            logs = [
                {**run, "metrics": dict(row.metrics), "step": row.step, "log_id": log_id}
                for row, log_id in zip(new, ids, strict=True)
            ]
            self._server.predict(api_name="/bulk_log", logs=logs, hf_token=None)
        sent |= {(row.kind, row.step) for row in new}


def _rows(run: TrackedRun) -> Iterator[_Row]:
    for epoch in run.epochs:
        yield _Row("epoch", epoch.epoch, epoch.at, epoch.metrics)
    if run.status != State.RUNNING:
        step = run.epochs[-1].epoch if run.epochs else 0
        at = run.ended_at or run.started_at or datetime.now(UTC)
        yield _Row(run.status, step, at, run.summary)
