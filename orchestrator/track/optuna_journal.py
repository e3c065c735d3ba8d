"""A study's search as an Optuna journal, which Optuna and optuna-dashboard open, also live."""

import contextlib
import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from orchestrator.config.searches import Search, search_of, trial_order
from orchestrator.results import files
from orchestrator.results.rows import EpochRow, TrialRow
from orchestrator.results.study_record import StudyRecord
from orchestrator.search.optuna_states import optuna_state
from search_spaces.dimension import outside

# What the objective is called, by the setting of that name.
OBJECTIVES: Final = {
    "accuracy": "validation_accuracy",
    "balanced_accuracy": "validation_balanced_accuracy",
    "macro_f1": "validation_f1",
}


def write_journal(folder: Path, study: StudyRecord, path: Path) -> list[str]:
    """Writes one Optuna study per search, with each trial as the search's own Optuna study had it.

    Args:
        folder: The study's.
        study: The study.
        path: The journal; one that is there is replaced.

    Returns:
        A sentence for each trial that Optuna cannot be told of.

    Raises:
        ValueError: The study has no table of trials, or says no space of a family.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        left_out = update_journal(folder, study, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return left_out


def update_journal(folder: Path, study: StudyRecord, path: Path) -> list[str]:
    """Appends to a journal what it lacks; see `write_journal`."""
    rows: list[TrialRow] = files.read_table(folder, "trials").to_pylist()
    trials = sorted(rows, key=lambda row: trial_order(row["trial_id"]))
    epochs, cuts = _epochs(folder), _first_cuts(folder)
    left_out = []
    with _quiet():
        storage = JournalStorage(JournalFileBackend(str(path)))
        for search in study.searches:
            study.check_said(folder / "study.json", [("spaces", search.family)])
            space = _space(study, search.family)
            journal = _Journal(storage, study, search)
            for row in (row for row in trials if search_of(row["trial_id"]) == search.name):
                trial_id, wrong = row["trial_id"], outside(space, _params(row))
                if wrong:  # neither was the search able to tell Optuna of it
                    names = ", ".join(wrong)
                    left_out.append(f"{trial_id} is not in it: outside the space in {names}")
                else:
                    journal.tell(_frozen(row, space, epochs[trial_id], cuts.get(trial_id)))
    return left_out


class _Journal:
    """The Optuna study of one search."""

    def __init__(self, storage: JournalStorage, study: StudyRecord, search: Search) -> None:
        if search.name in optuna.get_all_study_names(storage):
            own = optuna.load_study(study_name=search.name, storage=storage)
        else:
            own = optuna.create_study(study_name=search.name, storage=storage, direction="maximize")
            objective = OBJECTIVES[study.settings.objective]
            own.set_metric_names([objective])
            own.set_user_attr("objective", f"{objective}, the best so far")
            own.set_user_attr("study", study.name)
        self._storage, self._study_id = storage, storage.get_study_id_from_name(search.name)
        self._trials = {trial.user_attrs["trial_id"]: trial for trial in own.trials}

    def tell(self, trial: FrozenTrial) -> None:
        """Adds a trial, or what is new of one that ran; one that had ended stays as it is."""
        there = self._trials.get(trial.user_attrs["trial_id"])
        if there is None:
            self._storage.create_new_trial(self._study_id, template_trial=trial)
            return
        if there.state.is_finished():
            return
        number = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, there.number)
        for step, value in trial.intermediate_values.items():
            if step not in there.intermediate_values:
                self._storage.set_trial_intermediate_value(number, step, value)
        for name, value in trial.user_attrs.items():
            if there.user_attrs.get(name) != value:
                self._storage.set_trial_user_attr(number, name, value)
        if trial.state.is_finished():
            values = None if trial.value is None else [trial.value]
            self._storage.set_trial_state_values(number, trial.state, values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():  # naming the objective is an experiment of theirs
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _frozen(
    row: TrialRow,
    space: Mapping[str, BaseDistribution],
    epochs: Sequence[EpochRow],
    cut: int | None,
) -> FrozenTrial:
    """A trial as Optuna keeps it."""
    what = optuna_state(row["status"], epochs, cut)
    value = what.value
    if value is None and what.state.is_finished() and what.best_so_far:
        # Optuna itself gives a pruned trial its last intermediate value.
        value = what.best_so_far[max(what.best_so_far)]
    started = row["started_at"] or row["ended_at"] or datetime.now().astimezone()
    ended = (row["ended_at"] or started) if what.state.is_finished() else None
    return FrozenTrial(
        number=-1,  # this and the next are given by the storage
        trial_id=-1,
        state=what.state,
        value=value,
        datetime_start=_local(started),
        datetime_complete=None if ended is None else _local(ended),
        params=_params(row),
        distributions=dict(space),
        user_attrs={
            "trial_id": row["trial_id"],
            "role": row["role"],
            "status": row["status"],
            "stop_reason": row["stop_reason"],
        },
        system_attrs={},
        intermediate_values=dict(what.best_so_far),
    )


def _params(row: TrialRow) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(row["params_json"])
    return params


def _space(study: StudyRecord, family: str) -> dict[str, BaseDistribution]:
    """A family's space as the study narrowed it."""
    return {
        name: json_to_distribution(json.dumps(values))
        for name, values in study.spaces[family].items()
    }


def _epochs(folder: Path) -> Mapping[str, list[EpochRow]]:
    """Each trial's epochs in order."""
    epochs: dict[str, list[EpochRow]] = defaultdict(list)
    for row in files.read_table(folder, "epochs").sort_by("epoch").to_pylist():
        epochs[row["trial_id"]].append(row)
    return epochs


def _first_cuts(folder: Path) -> dict[str, int]:
    """Baseline to the epoch at which ASHA would have stopped it."""
    cuts: dict[str, int] = {}
    for row in files.read_table(folder, "rungs").sort_by("sequence").to_pylist():
        if row["decision"] == "protected":
            cuts.setdefault(row["trial_id"], row["epoch"])
    return cuts


def _local(moment: datetime) -> datetime:
    """A time as Optuna has it: local, without a zone."""
    return moment.astimezone().replace(tzinfo=None)
