"""A study in TensorBoard: a folder of event files for each trial, under its study and search.

Read first is what event files say already, so nothing is written twice; a file that a killed
process left torn is read up to there, and what it lacks goes into another.
"""

import os
import socket
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

from orchestrator.results.states import MAY_WIN, State
from orchestrator.track.tracked_study import TrackedRun, TrackedStudy, Tracker

DEFAULT: Final = "runs"
IDENTITY: Final = ".study"
EVENTS: Final = "events.out.tfevents."


class TensorboardTracker(Tracker):
    """See the module."""

    def __init__(self, place: str) -> None:
        """Takes TensorBoard's `--logdir`; empty: `runs`, as PyTorch's writer has it."""
        self._folder = Path(place or DEFAULT).expanduser().absolute()
        self._file = cache(_EventFile)

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`."""
        root = self._root(study)
        for run in study.runs:
            _send(self._file(root / run.search / run.name), run)
        own = self._file(root)
        at = time.time() if study.ended_at is None else study.ended_at.timestamp()
        own.add(0, at, _scalars(study.comparison))
        for path in study.files:
            if path.suffix == ".md":
                own.add(0, at, [_text(path.stem, path.read_text(encoding="utf-8"))])

    def _root(self, study: TrackedStudy) -> Path:
        """The study's folder, of its own where another study of its name has that."""
        for name in (study.name, f"{study.name}-{study.identity}"):
            root = self._folder / name
            root.mkdir(parents=True, exist_ok=True)
            mark = root / IDENTITY
            if not mark.exists():
                mark.write_text(study.identity, encoding="utf-8")
            if mark.read_text(encoding="utf-8") == study.identity:
                break
        return root


class _EventFile:
    """What the event files of a run have, and one more that is appended to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there = {
            (value.tag, event.step)
            for path in sorted(folder.glob(f"{EVENTS}*"))
            for event in EventFileLoader(str(path)).Load()
            for value in event.summary.value
        }
        self._path: Path | None = None

    def add(self, step: int, at: float, values: Iterable[Summary.Value]) -> None:
        """Appends one event with those values that no event of the run has at this step.

        Args:
            step: The epoch.
            at: Seconds since the epoch of clocks.
            values: With different tags.
        """
        new = [value for value in values if (value.tag, step) not in self._there]
        if not new:
            return
        events = [Event(wall_time=at, step=step, summary=Summary(value=new))]
        if self._path is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{EVENTS}{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self._path = self._folder / name
            events.insert(0, Event(wall_time=at, file_version="brain.Event:2"))
        with self._path.open("ab") as file:
            for event in events:
                RecordWriter(file).write(event.SerializeToString())
        self._there |= {(value.tag, step) for value in new}


def _send(file: _EventFile, run: TrackedRun) -> None:
    if run.params:
        file.add(0, _seconds(run), [_session_start(run)])
    for epoch in run.epochs:
        file.add(epoch.epoch, epoch.at.timestamp(), _scalars(epoch.metrics))
    if run.status == State.RUNNING:
        return
    step = run.epochs[-1].epoch if run.epochs else 0
    at = run.ended_at.timestamp() if run.ended_at else _seconds(run)
    texts = [_text(name, text) for name, text in run.tags.items()]
    status = STATUS_SUCCESS if run.status in MAY_WIN else STATUS_FAILURE
    end = HParamsPluginData(session_end_info={"status": status, "end_time_secs": at})
    session_end = _of_plugin(metadata.SESSION_END_INFO_TAG, end)
    file.add(step, at, [*_scalars(run.summary), *texts, session_end])


def _seconds(run: TrackedRun) -> float:
    return run.started_at.timestamp() if run.started_at else time.time()


def _scalars(metrics: Mapping[str, float]) -> list[Summary.Value]:
    return [Summary.Value(tag=name, simple_value=number) for name, number in metrics.items()]


def _text(name: str, text: str) -> Summary.Value:
    shape = {"dim": [{"size": 1}]}
    tensor = {"dtype": DT_STRING, "string_val": [text.encode()], "tensor_shape": shape}
    return Summary.Value(tag=name, metadata={"plugin_data": {"plugin_name": "text"}}, tensor=tensor)


def _session_start(run: TrackedRun) -> Summary.Value:
    """What the plugin of hyperparameters begins a run with."""
    about = {"group_name": run.name, "start_time_secs": _seconds(run)}
    start = HParamsPluginData(session_start_info=about)
    for name, value in run.params.items():
        kind = {bool: "bool", str: "string"}.get(type(value), "number")
        setattr(start.session_start_info.hparams[name], f"{kind}_value", value)
    return _of_plugin(metadata.SESSION_START_INFO_TAG, start)


def _of_plugin(tag: str, data: HParamsPluginData) -> Summary.Value:
    about = metadata.create_summary_metadata(data)
    return Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)
