"""What trackers have of a study, read back by each one's own means, in one shape."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.results.states import State
from orchestrator.track.tracked_study import TrackedRun


@dataclass
class Found:
    """A run as a tracker has it.

    Attributes:
        points: Metric and step to the values that were sent: more than one is a duplicate.
        params: What it was made with.
        tags: Its texts.
        files: Names of its artefacts.
    """

    points: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    state: str = ""
    files: set[str] = field(default_factory=set)


def expected_points(run: TrackedRun, *, summary: bool = True) -> dict[tuple[str, int], float]:
    """What the points of a run must be."""
    points = {(name, e.epoch): value for e in run.epochs for name, value in e.metrics.items()}
    if summary and run.status != State.RUNNING:
        last = run.epochs[-1].epoch if run.epochs else 0
        points |= {(name, last): value for name, value in run.summary.items()}
    return points


def in_mlflow(uri: str) -> dict[str, Found]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    runs = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], max_results=1000)
    ]
    found = {}
    for run in runs:
        key = run.data.tags["transfer_study.run"]
        assert key not in found, f"{key} is there twice"
        found[key] = there = Found(params=run.data.params, tags=run.data.tags)
        there.state = run.info.status
        for name in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, name):
                there.points[name, metric.step].append(metric.value)
        if key == "study":
            there.files = {each.path for each in client.list_artifacts(run.info.run_id)}
    return found


def in_tensorboard(folder: Path) -> dict[str, Found]:
    """Runs by their folder's name; each event file by TensorBoard's own loader."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found: dict[str, Found] = defaultdict(Found)
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        there = found[path.parent.name]
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data
                if plugin.plugin_name == "scalars":
                    there.points[value.tag, event.step].append(value.tensor.float_val[0])
                elif plugin.plugin_name == "text":
                    there.tags[value.tag] = value.tensor.string_val[0].decode()
                elif plugin.plugin_name == "hparams":
                    data = HParamsPluginData.FromString(plugin.content)
                    if data.HasField("session_end_info"):
                        there.state = str(data.session_end_info.status)
                    else:
                        for name, given in data.session_start_info.hparams.items():
                            there.params[name] = getattr(given, given.WhichOneof("kind"))
    return found


def in_trackio(project: str) -> dict[str, Found]:
    """Runs of a project in TRACKIO_DIR, by Trackio's own reader."""
    from trackio import Api
    from trackio.sqlite_storage import SQLiteStorage

    found = {}
    for run in Api().runs(project):
        found[run.name] = there = Found(params=dict(run.config or {}))
        for row in SQLiteStorage.get_logs(project, run.name, max_points=None, run_id=run.id):
            step = row.pop("step")
            row.pop("timestamp")
            for name, value in row.items():
                there.points[name, step].append(value)
    return found


def in_wandb(folder: Path) -> dict[str, Found]:
    """Runs that lie offline below a folder, from the records of their `.wandb` files."""
    from orchestrator.track.to_wandb import records

    found: dict[str, Found] = defaultdict(Found)
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        own = list(records(path))
        names = {record.run.display_name for record in own} - {""}
        assert len(names) <= 1, names
        if not names:  # its service was killed before it wrote anything
            continue
        there = found[names.pop()]
        for record in own:
            there.params |= _values(record.run.config.update)
            there.params |= _values(record.config.update)
            summary = _values(record.summary.update)
            there.params |= {f"summary {name}": value for name, value in summary.items()}
            there.files |= {entry.path for entry in record.artifact.manifest.contents}
            for name, value in _values(record.history.item).items():
                if not name.startswith("_"):
                    there.points[name, record.history.step.num].append(value)
    return found


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
