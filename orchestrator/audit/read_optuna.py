"""Optuna's journal files and SQLite databases: a copy is read, so that they stay as they are."""

import contextlib
import logging
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from orchestrator.audit import names
from orchestrator.audit.foreign import (
    COMPLETED,
    FAILED,
    RUNNING,
    STOPPED,
    ForeignStudyError,
    RawStudy,
    RawTrial,
)
from orchestrator.terminal import log_level

SQLITE: Final = b"SQLite format 3\x00"
LOCK_SECONDS: Final = 3.0
"""That a database may be locked by somebody who writes into it."""
STUDY: Final = "study"
VALUE: Final = "value"
_STATES: Final = {
    TrialState.COMPLETE: COMPLETED,
    TrialState.PRUNED: STOPPED,
    TrialState.FAIL: FAILED,
    TrialState.RUNNING: RUNNING,
    TrialState.WAITING: RUNNING,
}


def is_sqlite(path: Path) -> bool:
    """Whether a file is an SQLite database."""
    with path.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE


def read_optuna(path: Path, *, study: str | None, metric: str | None) -> RawStudy:
    """Reads a study, or all in a file: then each is a group.

    Args:
        path: Of a journal or an SQLite database.
        study: Its name; None for all.
        metric: The objective, where a study has several.

    Raises:
        ForeignStudyError: It lacks the study, or its studies have other directions.
    """
    form = "Optuna database (SQLite)" if is_sqlite(path) else "Optuna journal"
    with (
        tempfile.TemporaryDirectory() as folder,
        log_level("optuna", logging.ERROR),
        _no_logging_set_up(),
        warnings.catch_warnings(action="ignore"),  # of what is experimental
        _copied(path, Path(folder)) as storage,
    ):
        chosen = _chosen(sorted(optuna.get_all_study_names(storage)), study, path)
        studies = [optuna.load_study(study_name=name, storage=storage) for name in chosen]
        objectives = [_objective(each, metric) for each in studies]
        if len({objective[1:] for objective in objectives}) > 1:
            raise ForeignStudyError(
                "studies of one file must have one objective to be audited together, but "
                f"{', '.join(chosen)} have several; choose one by --study"
            )
        trials = [
            _trial(trial, place, name if len(studies) > 1 else None, label)
            for each, (place, label, _), name in zip(studies, objectives, chosen, strict=True)
            for trial in each.get_trials(deepcopy=False)
        ]
        grids = all("grid_id" in t.system_attrs for s in studies for t in s.trials)
    _, label, direction = objectives[0]
    return RawStudy(
        form=form,
        path=path,
        trials=trials,
        objective=label,
        direction=direction.name.lower(),
        group=STUDY if len(studies) > 1 else None,
        independent=bool(trials) and grids,
    )


@contextlib.contextmanager
def _no_logging_set_up() -> Iterator[None]:
    """Alembic, which knows the tables' versions, logs to the terminal where nobody else logs."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def _copied(path: Path, folder: Path) -> Iterator[BaseStorage]:
    """The storage of a copy: Optuna writes into what it opens, if only its tables' version."""
    if not is_sqlite(path):
        copy = folder / "journal"
        shutil.copyfile(path, copy)
        yield JournalStorage(JournalFileBackend(str(copy)))
        return
    copy = folder / "study.db"
    with (
        contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS)
        ) as old,
        contextlib.closing(sqlite3.connect(copy)) as new,
    ):
        old.execute("BEGIN")  # else a copy would wait for ever where it is locked
        tables = {row[0] for row in old.execute("SELECT name FROM sqlite_master")}
        old.backup(new)  # what stands in its write-ahead log too
    if "studies" not in tables:
        raise ValueError("it has no table `studies`")
    storage = RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
    try:
        storage.upgrade()
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _chosen(known: Sequence[str], study: str | None, path: Path) -> list[str]:
    if not known:
        raise ForeignStudyError(f"PATH must hold a study, but {path} holds none")
    if study is not None and study not in known:
        raise ForeignStudyError(f"--study must be one of {', '.join(known)}, but got {study!r}")
    return list(known) if study is None else [study]


def _objective(study: optuna.Study, metric: str | None) -> tuple[int, str, StudyDirection]:
    """Place, name and direction of what a study was about."""
    directions, labels = study.directions, study.metric_names
    if len(directions) == 1:
        return 0, labels[0] if labels else VALUE, directions[0]
    known = list(labels) if labels else [f"{VALUE}s_{n}" for n in range(len(directions))]
    if metric not in known:
        raise ForeignStudyError(
            f"--metric must name one of the objectives {', '.join(known)} of the study "
            f"{study.study_name}, but {'is not given' if metric is None else f'got {metric!r}'}"
        )
    place = known.index(metric)
    return place, metric, directions[place]


def _trial(trial: FrozenTrial, place: int, study: str | None, label: str) -> RawTrial:
    curve = [value for _, value in sorted(trial.intermediate_values.items())]
    values = trial.values or ()
    value = values[place] if place < len(values) else (curve[-1] if curve else None)
    seconds = trial.duration.total_seconds() if trial.duration is not None else None
    return RawTrial(
        name=f"{study} {trial.number}" if study else str(trial.number),
        fields={
            **trial.params,
            **trial.user_attrs,
            label: value,
            **_epochs(trial),
            **({} if seconds is None else {"seconds": seconds}),
            **({STUDY: study} if study else {}),
        },
        params=trial.params,
        curves={label: curve} if curve else {},
        state=_STATES[trial.state],
        given="fixed_params" in trial.system_attrs,
    )


def _epochs(trial: FrozenTrial) -> dict[str, int]:
    """Epochs by the last step that was reported, where no attribute says how many there were."""
    steps = trial.intermediate_values
    if not steps or names.first_of([*trial.user_attrs, *trial.params], names.EPOCHS):
        return {}
    return {"epochs_run": max(steps) + (min(steps) == 0)}
