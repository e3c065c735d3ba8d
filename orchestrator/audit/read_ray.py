"""Results folders of Ray Tune, read without Ray: JSON and CSV alone, never a pickle."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.audit.foreign import (
    COMPLETED,
    FAILED,
    RUNNING,
    ForeignStudyError,
    RawStudy,
    RawTrial,
    reading,
)

RESULTS: Final = ("result.json", "progress.csv")
_STATES: Final = {"TERMINATED": COMPLETED, "ERROR": FAILED}
# What Tune adds to each report.
_TUNES_OWN: Final = (
    *("timestamp", "checkpoint_dir_name", "done", "trial_id", "date", "pid", "hostname", "node_ip"),
    *("config", "experiment_tag", "should_checkpoint", "experiment_id", "time_this_iter_s"),
    *("time_since_restore", "iterations_since_restore", "timesteps_since_restore"),
)
ITERATION: Final = "training_iteration"


def read_ray(path: Path) -> RawStudy:
    """Reads an experiment.

    Args:
        path: The experiment's folder, or the one above it where that holds no other.

    Raises:
        ForeignStudyError: There is no experiment, there are several, or a file is damaged.
    """
    folder = _experiment(path)
    folders = sorted(each for each in folder.iterdir() if _is_trial(each))
    states = _states(folder)
    return RawStudy(
        form="Ray Tune results folder",
        path=folder,
        trials=[_read_trial(each, states.get(each.name)) for each in folders],
        # Tune's generator of grids and random points keeps its state under this name.
        independent=any(folder.glob("basic-variant-state-*.json")),
    )


def _is_trial(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).is_file() for name in (*RESULTS, "params.json"))


def _is_experiment(folder: Path) -> bool:
    return folder.is_dir() and any(map(_is_trial, folder.iterdir()))


def _experiment(path: Path) -> Path:
    if _is_experiment(path):
        return path
    below = sorted(each for each in path.iterdir() if _is_experiment(each))
    if len(below) == 1:
        return below[0]
    if below:
        raise ForeignStudyError(
            f"PATH must be one experiment of Ray Tune, but {path} holds "
            f"{', '.join(each.name for each in below)}; name one of them"
        )
    raise ForeignStudyError(
        f"PATH must be a folder of Ray Tune with trials in it ({' or '.join(RESULTS)} in a folder "
        f"each), but {path} has none"
    )


def _states(folder: Path) -> dict[str, str]:
    """The state of each trial by its folder's name, from the newest snapshot."""
    snapshots = sorted(p for p in folder.glob("experiment_state-*.json") if p.is_file())
    if not snapshots:
        return {}
    with reading(snapshots[-1], "a snapshot must be Ray Tune's state of an experiment"):
        content = json.loads(snapshots[-1].read_text(encoding="utf-8"))
        trials = [json.loads(entry[0]) for entry in content["trial_data"]]
        return {each["relative_logdir"]: _STATES.get(each["status"], RUNNING) for each in trials}


def _read_trial(folder: Path, state: str | None) -> RawTrial:
    with reading(folder, "a trial's folder must hold reports of Ray Tune"):
        return _trial(folder, state)


def _trial(folder: Path, state: str | None) -> RawTrial:
    reports: dict[Any, dict[str, Any]] = {}
    for report in _reports(folder):  # one that was restored reports some iterations again
        reports[report.get(ITERATION, len(reports))] = report
    rows = [reports[key] for key in sorted(reports)]
    last = rows[-1] if rows else {}
    params = dict(_flat(_params(folder) or last.get("config") or {}))
    flat = [dict(_flat(row)) for row in rows]
    return RawTrial(
        name=str(last.get("trial_id") or folder.name),
        fields=params | (flat[-1] if flat else {}),
        params=params,
        curves={
            name: [row[name] for row in flat]
            for name in (flat[0] if flat else ())
            if name != ITERATION and all(isinstance(row.get(name), float) for row in flat)
        },
        state=FAILED if (folder / "error.txt").is_file() else state or COMPLETED,
    )


def _reports(folder: Path) -> Iterator[dict[str, Any]]:
    lines, table = (folder / name for name in RESULTS)
    if lines.is_file() and lines.stat().st_size:
        for line in lines.read_text(encoding="utf-8").splitlines():
            report = json.loads(line)
            if not isinstance(report, dict):
                raise ValueError(f"{lines.name} has a line that is no object: {line[:40]}")
            yield report
    elif table.is_file():
        with table.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                yield {name: _number(text) for name, text in row.items()}


def _params(folder: Path) -> dict[str, Any]:
    path = folder / "params.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _flat(row: Mapping[str, object], before: str = "") -> Iterator[tuple[str, Any]]:
    """Entries with their names from the top, as Tune writes them; numbers as floats."""
    for name, value in row.items():
        if before == "" and name in _TUNES_OWN:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)
        else:
            yield f"{before}{name}", value


def _number(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text
