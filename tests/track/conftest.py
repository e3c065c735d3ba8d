"""A small made-up study, whole and while it ran, and each tracker with a place of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import in_trackers
import pytest
from in_trackers import Found
from made_up_study import MadeUpStudy

from orchestrator.config.trackers import Target

SMALL = {
    "families": ("cnn", "resnet50_transfer"),
    "trials": 3,
    "epochs": 3,
    "seeds": 1,
    "fractions": (1.0,),
    "grace": 1,
    "test_images": 40,
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two families, with its report."""
    folder = MadeUpStudy(**SMALL).write(tmp_path_factory.mktemp("whole") / "mine")
    (folder / "comparison.md").write_text("# Which one is better\n", encoding="utf-8")
    (folder / "report.html").write_text("<h1>Which one is better</h1>", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same while it searched."""
    return MadeUpStudy(**SMALL, finished=False).write(tmp_path_factory.mktemp("running") / "mine")


@dataclass
class Place:
    """A tracker with a place of its own, and what reads that back."""

    target: Target
    read: Callable[[], Mapping[str, Found]]


@pytest.fixture(params=["mlflow", "tensorboard", "trackio", "wandb"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Each tracker; where its package is not installed, none. The folder one is in stays empty."""
    pytest.importorskip(request.param)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield place_of(request.param, tmp_path, monkeypatch)
    assert list(here.iterdir()) == []


def place_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A tracker's place in a folder."""
    if name == "mlflow":
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        return Place(Target(tracker=name, place=uri), lambda: in_trackers.in_mlflow(uri))
    if name == "tensorboard":
        folder = tmp_path / "runs"
        target = Target(tracker=name, place=str(folder))
        return Place(target, lambda: in_trackers.in_tensorboard(folder))
    if name == "trackio":
        from trackio import sqlite_storage, utils

        for module in (sqlite_storage, utils):  # it reads TRACKIO_DIR when it is imported
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
        target = Target(tracker=name, place="project")
        return Place(target, lambda: in_trackers.in_trackio("project"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return Place(Target(tracker=name), lambda: in_trackers.in_wandb(tmp_path))
