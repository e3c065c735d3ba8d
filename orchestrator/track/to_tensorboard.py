"""A study in TensorBoard: a folder of event files for each trial, under its study and search.

Read first is what event files say already, so nothing is written twice; a file that a killed
process left torn is read up to there, and what it lacks goes into another.
"""

import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from orchestrator.results.states import MAY_WIN, State
from orchestrator.track.tracked_study import TrackedRun, TrackedStudy

DEFAULT: Final = "runs"
IDENTITY: Final = ".study"
EVENTS: Final = "events.out.tfevents."


def open_at(place: str) -> "TensorboardTracker":
    """TensorBoard's `--logdir`; empty: `runs`, as PyTorch's writer has it."""
    return TensorboardTracker(Path(place or DEFAULT).expanduser().absolute())


class TensorboardTracker:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder; nothing is read yet."""
        self._folder = folder
        self._runs: dict[Path, _EventFile] = {}

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`."""
        root = self._root(study)
        for run in study.runs:
            _send(self._run(root / run.search / run.name), run)
        own = self._run(root)
        at = time.time() if study.ended_at is None else study.ended_at.timestamp()
        own.add(0, at, _scalars(study.comparison))
        for path in study.files:
            if path.suffix == ".md":
                own.add(0, at, [_text(path.stem, path.read_text(encoding="utf-8"))])

    def close(self) -> None:
        """Nothing is open: each event is appended by itself."""

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

    def _run(self, folder: Path) -> "_EventFile":
        if folder not in self._runs:
            self._runs[folder] = _EventFile(folder)
        return self._runs[folder]


class _EventFile:
    """What the event files of a run have, and one more that is appended to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there = set(_tags_in(folder))
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
        event = Event(wall_time=at, step=step, summary=Summary(value=new))
        if self._path is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{EVENTS}{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self._path = self._folder / name
            self._append(Event(wall_time=at, file_version="brain.Event:2"))
        self._append(event)
        self._there |= {(value.tag, step) for value in new}

    def _append(self, event: Event) -> None:
        assert self._path is not None
        with self._path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())


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
    file.add(step, at, [*_scalars(run.summary), *texts, _session_end(run, at)])


def _seconds(run: TrackedRun) -> float:
    return run.started_at.timestamp() if run.started_at else time.time()


def _tags_in(folder: Path) -> Iterator[tuple[str, int]]:
    """The tags in the event files of a folder, with their steps."""
    for path in sorted(folder.glob(f"{EVENTS}*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                yield value.tag, event.step


def _scalars(metrics: Mapping[str, float]) -> Iterator[Summary.Value]:
    for name, number in metrics.items():
        yield Summary.Value(tag=name, simple_value=number)


def _text(name: str, text: str) -> Summary.Value:
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    return Summary.Value(tag=name, metadata=about, tensor=tensor)


def _session_start(run: TrackedRun) -> Summary.Value:
    """What the plugin of hyperparameters begins a run with."""
    start = SessionStartInfo(group_name=run.name, start_time_secs=_seconds(run))
    for name, value in run.params.items():
        entry = start.hparams[name]
        if isinstance(value, bool):
            entry.bool_value = value
        elif isinstance(value, str):
            entry.string_value = value
        else:
            entry.number_value = value
    data = HParamsPluginData(session_start_info=start)
    return _of_plugin(metadata.SESSION_START_INFO_TAG, data)


def _session_end(run: TrackedRun, at: float) -> Summary.Value:
    good = run.status in MAY_WIN
    end = SessionEndInfo(status=STATUS_SUCCESS if good else STATUS_FAILURE, end_time_secs=at)
    data = HParamsPluginData(session_end_info=end)
    return _of_plugin(metadata.SESSION_END_INFO_TAG, data)


def _of_plugin(tag: str, data: HParamsPluginData) -> Summary.Value:
    about = metadata.create_summary_metadata(data)
    return Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)
