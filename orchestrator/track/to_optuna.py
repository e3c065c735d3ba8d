"""A study's search as an Optuna journal, which Optuna and optuna-dashboard open, also live."""

import json
import logging
import warnings
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

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
from orchestrator.search.optuna_states import OptunaState, optuna_state
from orchestrator.terminal import log_level
from orchestrator.track.tracked_study import TrackedStudy, Tracker
from search_spaces.baseline import Params
from search_spaces.dimension import outside

# What the objective is called, by the setting of that name.
OBJECTIVES: Final = {
    "accuracy": "validation_accuracy",
    "balanced_accuracy": "validation_balanced_accuracy",
    "macro_f1": "validation_f1",
}


class OptunaTracker(Tracker):
    """A journal that grows with the study: `optuna-dashboard FILE` follows it."""

    def __init__(self, place: str) -> None:
        """Takes the file; one that is there is appended to."""
        self._path = Path(place).expanduser().absolute()

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`; the search's own Optuna study has no trial outside its space either."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        update_journal(study.folder, files.read_study(study.folder), self._path)


def write_journal(folder: Path, study: StudyRecord, path: Path) -> list[str]:
    """Writes one Optuna study per search, with each trial as the search's own Optuna study had it.

    A journal that is there is replaced.

    Returns:
        A sentence for each trial that Optuna cannot hold.

    Raises:
        ValueError: The study has no table of trials, or says no space of a family.
    """
    with files.whole(path) as temporary:
        return update_journal(folder, study, temporary)


def update_journal(folder: Path, study: StudyRecord, path: Path) -> list[str]:
    """Appends to a journal what it lacks; see `write_journal`."""
    rows: list[TrialRow] = files.read_table(folder, "trials").to_pylist()
    trials = sorted(rows, key=lambda row: trial_order(row["trial_id"]))
    epochs: dict[str, list[EpochRow]] = defaultdict(list)
    for epoch in files.read_table(folder, "epochs").sort_by("epoch").to_pylist():
        epochs[epoch["trial_id"]].append(epoch)
    cuts, left_out = _first_cuts(folder), []
    with (
        log_level("optuna", logging.WARNING),
        # Naming the objective is an experiment of theirs.
        warnings.catch_warnings(action="ignore", category=ExperimentalWarning),
    ):
        storage = JournalStorage(JournalFileBackend(str(path)))
        for search in study.searches:
            study.check_said(folder / "study.json", [("spaces", search.family)])
            space = {
                name: json_to_distribution(json.dumps(values))
                for name, values in study.spaces[search.family].items()
            }
            journal = _Journal(storage, study, search)
            for row in (row for row in trials if search_of(row["trial_id"]) == search.name):
                trial_id, params = row["trial_id"], json.loads(row["params_json"])
                if wrong := outside(space, params):  # nor could the search tell Optuna of it
                    names = ", ".join(wrong)
                    left_out.append(f"{trial_id} is not in it: outside the space in {names}")
                else:
                    known = optuna_state(row["status"], epochs[trial_id], cuts.get(trial_id))
                    journal.tell(_frozen(row, params, space, known))
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


def _frozen(
    row: TrialRow, params: Params, space: Mapping[str, BaseDistribution], known: OptunaState
) -> FrozenTrial:
    value, ended = known.value, known.state.is_finished()
    if value is None and ended and known.best_so_far:
        # Optuna itself gives a pruned trial its last intermediate value.
        value = known.best_so_far[max(known.best_so_far)]
    started = row["started_at"] or row["ended_at"] or datetime.now().astimezone()
    return FrozenTrial(
        number=-1,  # this and the next are given by the storage
        trial_id=-1,
        state=known.state,
        value=value,
        datetime_start=_local(started),
        datetime_complete=_local(row["ended_at"] or started) if ended else None,
        params=dict(params),
        distributions=dict(space),
        user_attrs={name: row[name] for name in ("trial_id", "role", "status", "stop_reason")},
        system_attrs={},
        intermediate_values=dict(known.best_so_far),
    )


def _first_cuts(folder: Path) -> dict[str, int]:
    """Baseline to the epoch at which ASHA would have stopped it."""
    latest_first = files.read_table(folder, "rungs").sort_by([("sequence", "descending")])
    rows = latest_first.to_pylist()
    return {row["trial_id"]: row["epoch"] for row in rows if row["decision"] == "protected"}


def _local(moment: datetime) -> datetime:
    """A time as Optuna has it: local, without a zone."""
    return moment.astimezone().replace(tzinfo=None)
