"""Each tracker has every row of a study, once, whatever was sent before and by whom."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Place
from in_trackers import Found, expected_points
from made_up_study import MadeUpStudy

from orchestrator.config.trackers import Target
from orchestrator.track.tracked_study import TrackedStudy, open_tracker, read_tracked

pytestmark = [
    # What the trackers' packages do themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def send(study: TrackedStudy, target: Target, *, close: bool = True) -> None:
    tracker = open_tracker(target)
    tracker.update(study)
    if close:
        tracker.close()


def check_all_there(place: Place, study: TrackedStudy) -> Mapping[str, Found]:
    found, tracker = place.read(), place.target.tracker
    for run in study.runs:
        there, points = found[run.name], expected_points(run, summary=tracker != "wandb")
        points = {point: [v] for point, v in in_its_bits(place, points)}
        assert dict(there.points) == points, run.name
        for name, value in run.params.items():
            kept = there.params[name]
            assert kept == (str(value) if tracker == "mlflow" else value), (run.name, name)
        if tracker == "wandb":
            kept = {name: there.params[f"summary {name}"] for name in run.summary}
            assert kept == run.summary
        texts = there.tags if tracker in {"mlflow", "tensorboard"} else there.params
        assert {name: texts[name] for name in run.tags} == run.tags
    return found


def in_its_bits(place: Place, numbers: Mapping[Any, float]) -> Iterator[tuple[Any, float]]:
    """Numbers as the tracker keeps them: TensorBoard in 32 bits."""
    bits = np.float32 if place.target.tracker == "tensorboard" else float
    return ((name, float(bits(value))) for name, value in numbers.items())


def first_epochs(study: TrackedStudy, epochs: int) -> TrackedStudy:
    """The study as it was after so many epochs of each trial, none of which had ended."""
    early = [
        replace(r, epochs=r.epochs[:epochs], status="running", summary={}, ended_at=None)
        for r in study.runs
        if r.phase == "search"
    ]
    return replace(study, runs=early, outcome="running", comparison={}, files=(), ended_at=None)


def test_a_study_that_is_sent_live_and_caught_up_by_another_is_there_whole_and_once(
    place: Place, whole: Path
) -> None:
    study = read_tracked(whole)
    tracker = open_tracker(place.target)
    tracker.update(first_epochs(study, 1))
    tracker.update(first_epochs(study, 2))
    # Its process is killed here: nothing is closed, and who goes on knows nothing of it.
    send(study, place.target)
    send(study, place.target)
    found = check_all_there(place, study)
    if place.target.tracker == "mlflow":
        check_nesting(found, study)
    if place.target.tracker != "wandb":
        own = found["study" if place.target.tracker == "mlflow" else study.name].points
        assert own == {(name, 0): [value] for name, value in in_its_bits(place, study.comparison)}


def check_nesting(found: Mapping[str, Found], study: TrackedStudy) -> None:
    states = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
    for run in study.runs:
        assert found[run.name].state == states[run.status]
    assert found["study"].files == {"study.json", "comparison.md", "report.html"}
    assert "mlflow.parentRunId" not in found["study"].tags
    searches = {found[f"search {name}"].tags["mlflow.parentRunId"] for name in study.searches}
    assert len(searches) == 1
    parents = {(run.search, found[run.name].tags["mlflow.parentRunId"]) for run in study.runs}
    assert len(parents) == len(study.searches)


@pytest.mark.parametrize("place", ["wandb"], indirect=True)
def test_wandb_keeps_the_report_as_an_artefact(place: Place, whole: Path) -> None:
    study = read_tracked(whole)
    send(replace(study, runs=()), place.target)
    found = place.read()[study.name]
    assert found.files == {"study.json", "comparison.md", "report.html"}
    kept = {name: found.params[f"summary {name}"] for name in study.comparison}
    assert kept == study.comparison


@pytest.mark.parametrize("place", ["tensorboard"], indirect=True)
def test_two_studies_of_one_name_are_kept_apart(place: Place, tmp_path: Path) -> None:
    sizes = {"families": ("cnn",), "trials": 1, "epochs": 1, "finished": False}
    one = read_tracked(MadeUpStudy(**sizes).write(tmp_path / "one"))
    send(one, place.target)
    send(replace(one, identity="of another"), place.target)
    folders = {path.name for path in Path(place.target.place).iterdir()}
    assert folders == {one.name, f"{one.name}-of another"}


@pytest.mark.parametrize("place", ["tensorboard"], indirect=True)
def test_what_a_killed_process_left_torn_is_written_again(place: Place, whole: Path) -> None:
    study = read_tracked(whole)
    send(first_epochs(study, 2), place.target)
    for path in Path(place.target.place).rglob("events.*"):
        path.write_bytes(path.read_bytes()[:-5])
    send(study, place.target)
    check_all_there(place, study)
