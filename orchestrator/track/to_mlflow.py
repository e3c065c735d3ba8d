"""A study in MLflow: an experiment, in it a run for the study, its searches, and each trial.

Asked is MLflow itself what it has, by the metric `epoch`, so nothing is sent twice.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from orchestrator.config.trackers import SQLITE
from orchestrator.results.states import Outcome, State
from orchestrator.track.tracked_study import TrackedStudy, Tracker
from search_spaces.baseline import Params

STATUSES: Final[dict[str, str]] = {
    State.RUNNING: "RUNNING",
    State.COMPLETED: "FINISHED",
    **dict.fromkeys((State.STOPPED, Outcome.INTERRUPTED), "KILLED"),
    **dict.fromkeys((State.DIVERGED, State.FAILED, Outcome.INCOMPLETE), "FAILED"),
}
IDENTITY: Final = "transfer_study.id"
NAME: Final = "transfer_study.run"
PARENT: Final = "mlflow.parentRunId"
MOST_RUNS: Final = 1_000
# Of metrics: with a hundred parameters and tags each, MLflow takes a thousand things.
MOST_AT_A_TIME: Final = 800


@dataclass
class _There:
    """What MLflow has of a run."""

    run_id: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    params: set[str]


class MlflowTracker(Tracker):
    """See the module."""

    def __init__(self, place: str) -> None:
        """Takes a tracking URI; empty: where MLFLOW_TRACKING_URI says, or its own default."""
        # What fails is tried again by whoever follows the study, so that it need not wait here.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        self._client = MlflowClient(tracking_uri=place or None)
        self._experiment = ""
        self._there: dict[str, _There] = {}

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`."""
        if not self._experiment:
            self._experiment = self._experiment_of(study)
            self._there = dict(self._found(study))
        root = self._run(study, "study", study.name, study.started_at, None)
        parents = {
            name: self._run(study, f"search {name}", name, study.started_at, root)
            for name in study.searches
        }
        for run in study.runs:
            there = self._run(study, run.name, run.name, run.started_at, parents[run.search])
            last = there.metrics.get("epoch", 0)
            metrics = [
                Metric(name, value, _milliseconds(epoch.at), epoch.epoch)
                for epoch in run.epochs
                if epoch.epoch > last
                for name, value in epoch.metrics.items()
            ]
            step = run.epochs[-1].epoch if run.epochs else 0
            metrics += _changed(there, run.summary, run.ended_at, step)
            self._log(there, metrics, {**run.tags, "search": run.search}, run.params)
            self._end(there, run.status, run.ended_at)
        self._log(root, [*_changed(root, study.comparison, study.ended_at, 0)], study.tags)
        for path in study.files:
            digest, tag = hashlib.sha256(path.read_bytes()).hexdigest(), f"{path.name}.sha256"
            if root.tags.get(tag) != digest:  # else the same is there
                self._client.log_artifact(root.run_id, str(path))
                self._log(root, [], {tag: digest})
        self._end(root, study.outcome, study.ended_at)
        for name, parent in parents.items():
            self._log(parent, [], {"study": study.name, "search": name})
            self._end(parent, study.outcome, study.ended_at)

    def _experiment_of(self, study: TrackedStudy) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or study.name
        uri = self._client.tracking_uri
        if known := self._client.get_experiment_by_name(name):
            return str(known.experiment_id)
        artifacts = None  # where a server has them
        if uri.startswith(SQLITE):  # beside a database, else in the folder one is in
            place = Path(uri.removeprefix(SQLITE)).absolute().parent / "mlruns"
            artifacts = place.as_uri()
        return str(self._client.create_experiment(name, artifacts))

    def _found(self, study: TrackedStudy) -> Iterator[tuple[str, _There]]:
        """Each run of the study that MLflow has, by our name of it."""
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`{IDENTITY}` = '{study.identity}'",
                max_results=MOST_RUNS,
                page_token=token,
            )
            for run in page:
                yield run.data.tags[NAME], _there(run)
            token = page.token
            if not token:
                return

    def _run(
        self, study: TrackedStudy, key: str, name: str, at: datetime | None, parent: _There | None
    ) -> _There:
        """What is there of a run; it is made where nothing is."""
        if key not in self._there:
            nested = {} if parent is None else {PARENT: parent.run_id}
            run = self._client.create_run(
                self._experiment,
                start_time=at and _milliseconds(at),
                tags={IDENTITY: study.identity, NAME: key, **nested},
                run_name=name,
            )
            self._there[key] = _there(run)
        return self._there[key]

    def _log(
        self,
        there: _There,
        metrics: Sequence[Metric],
        tags: Mapping[str, str],
        params: Params = MappingProxyType({}),
    ) -> None:
        """Sends metrics, then, with the last of them, what is new of tags and parameters."""
        new_tags = {name: text for name, text in tags.items() if there.tags.get(name) != text}
        new_params = {name: v for name, v in params.items() if name not in there.params}
        if not (metrics or new_tags or new_params):
            return
        whole = max(0, len(metrics) - 1) // MOST_AT_A_TIME * MOST_AT_A_TIME
        for start in range(0, whole, MOST_AT_A_TIME):
            self._client.log_batch(there.run_id, metrics=metrics[start : start + MOST_AT_A_TIME])
        self._client.log_batch(
            there.run_id,
            metrics=metrics[whole:],
            params=[Param(name, str(value)) for name, value in new_params.items()],
            tags=[RunTag(name, text) for name, text in new_tags.items()],
        )
        for metric in metrics:
            there.metrics[metric.key] = metric.value
        there.tags |= new_tags
        there.params |= new_params.keys()

    def _end(self, there: _There, status: str, at: datetime | None) -> None:
        wanted = STATUSES[status]
        if there.status == wanted:
            return
        if wanted == "RUNNING":  # it was resumed
            self._client.update_run(there.run_id, status=wanted)
        else:
            ended = at and _milliseconds(at)
            self._client.set_terminated(there.run_id, status=wanted, end_time=ended)
        there.status = wanted


def _there(run: Any) -> _There:
    info, data = run.info, run.data
    tags, params = dict(data.tags), set(data.params)
    return _There(info.run_id, info.status, dict(data.metrics), tags, params)


def _changed(
    there: _There, summary: Mapping[str, float], at: datetime | None, step: int
) -> Iterator[Metric]:
    """The numbers of a summary that are not there as they are."""
    moment = 0 if at is None else _milliseconds(at)
    for name, value in summary.items():
        if there.metrics.get(name) != value:
            yield Metric(name, value, moment, step)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
