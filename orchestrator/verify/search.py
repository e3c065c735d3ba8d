"""What must be true of a study's search: trials, epochs, rungs and the choice agree."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.config.rungs import all_rungs, offered_rungs
from orchestrator.config.searches import search_of
from orchestrator.config.settings import ENDS
from orchestrator.plan import warm_start
from orchestrator.results import schema
from orchestrator.results.rows import EpochRow, FinalRow, TrialRow
from orchestrator.results.states import ENDED, Outcome, State
from orchestrator.run.finals import choice_of, digest
from orchestrator.stats.asha import FINISHED, Arrival, FamilyRungs, decision
from orchestrator.trials.trial import BASELINE_ROLE, TrialRecord, spec_of_row, winner
from orchestrator.verify.tables import Tables, contiguous, differing, repeated, same, unmatched
from search_spaces.baseline import Params
from search_spaces.dimension import contains, describe, read_distribution
from trainables.epoch_rows import OBJECTIVES, best_row, objective
from trainables.training.seeding import derive_seed

BEST: Final = (*(f"validation_{name}" for name in schema.METRICS), "validation_f1")


def check_trials(tables: Tables) -> Iterator[str]:
    """Each trial is there once, as it was proposed, in one terminal state."""
    expected, found = _expected_trials(tables), [row["trial_id"] for row in tables.trials]
    why = f", since it is none of {tables.settings.trials} trials a search"
    yield from unmatched(expected, found, "trials.parquet", why, str)
    yield from repeated(found, "be one row of trials.parquet")
    for row in tables.trials:
        if row["status"] not in {*State} - {State.RUNNING}:
            yield f"{row['trial_id']} must have ended, but is {row['status']}"
        yield from differing(row["trial_id"], expected.get(row["trial_id"], {}), row)


def check_hyperparameters(tables: Tables) -> Iterator[str]:
    """A baseline has the study's hyperparameters, and any other trial some of its space."""
    for row in tables.trials:
        if row["family"] not in tables.settings.families:
            continue
        trial_id, params = row["trial_id"], json.loads(row["params_json"])
        baseline = tables.study.baselines[row["family"]]
        if row["role"] != BASELINE_ROLE:
            yield from _outside(row, params, tables)
        elif params != baseline:
            yield f"{trial_id} must have the baseline {baseline}, but has {params}"
    for row in tables.trials:
        yield from parameter_columns(row["trial_id"], row)


def check_epochs(tables: Tables) -> Iterator[str]:
    """A trial's epochs are contiguous and unique, and its row sums them up."""
    trials = {row["trial_id"]: row for row in tables.trials}
    for trial_id in sorted(tables.by_trial.keys() - trials.keys()):
        yield f"{trial_id} has epochs, but is not in trials.parquet"
    yield from contiguous("epochs.parquet", tables.epochs)
    for epoch in tables.epochs:
        where = f"epoch {epoch['epoch']} of {epoch['trial_id']}"
        known = trials.get(epoch["trial_id"])
        yield from differing(where, {"family": known["family"]} if known else {}, epoch)
        yield from wrong_objective(where, epoch, tables)
    for row in tables.trials:
        yield from _check_summary(row, tables)


def check_sequence(tables: Tables) -> Iterator[str]:
    """Epochs are numbered in the order in which they came, without a gap."""
    counts = Counter(row["sequence"] for row in tables.epochs)
    gaps = sorted(set(range(1, max(counts, default=0) + 1)) - counts.keys())
    twice = sorted(sequence for sequence, count in counts.items() if count > 1)
    if gaps:
        yield f"sequence in epochs.parquet must run from 1 without a gap, but lacks {gaps[:5]}"
    if twice:
        yield f"sequence in epochs.parquet must name each row once, but has {twice[:5]} again"


def check_warm_start(tables: Tables) -> Iterator[str]:
    """What the search learned from first is kept in the study's folder."""
    asked, kept = tables.settings.warm_start, (tables.folder / warm_start.FOLDER).is_dir()
    if asked is not None and not kept:
        yield f"{warm_start.FOLDER}/ must keep the trials of {asked} learned from, but is missing"
    if asked is None and kept:
        yield f"{warm_start.FOLDER}/ must not be there, since no warm start was asked for"


def check_rungs(tables: Tables) -> Iterator[str]:
    """The rungs are what a replay of the epochs through the rule gives; rounding decides ties."""
    named, known = tables.study.rungs, [f(tables.settings) for f in (offered_rungs, all_rungs)]
    if named not in known:
        yield f"the rungs of study.json must be {known[0]} by its settings, but are {named}"
    exempt = _baselines(tables.trials)
    expected = {(row["trial_id"], to.rung): (row, to) for row, to in replayed_rungs(tables)}
    found = {(row["trial_id"], row["rung"]): row for row in tables.rungs}
    names = (_rung((row["trial_id"], row["rung"])) for row in tables.rungs)
    yield from repeated(names, "be in rungs.parquet once", " times")
    why = ": a replay of the epochs has none"
    yield from unmatched(expected, found, "rungs.parquet", why, _rung)
    for key in sorted(expected.keys() & found.keys()):
        row, arrival = expected[key]
        again = {"family": row["family"], "sequence": row["sequence"], **vars(arrival)}
        at_a_tie = {decision(weak=weak, exempt=key[0] in exempt) for weak in (True, False)}
        if _is_tie(arrival) and found[key]["decision"] in at_a_tie:
            del again["decision"]
        yield from differing(_rung(key), again, found[key], " as in a replay")


def check_stops(tables: Tables) -> Iterator[str]:
    """The trials that were stopped are those that their rungs stopped, there and then."""
    stops = {row["trial_id"]: row["epoch"] for row in tables.rungs if row["decision"] == "stop"}
    for row in tables.trials:
        trial_id, at = row["trial_id"], stops.get(row["trial_id"])
        if row["status"] == State.STOPPED and at is None:
            yield f"{trial_id} is stopped, but no rung of its stopped it"
        elif row["status"] != State.STOPPED and at is not None:
            yield f"{trial_id} is {row['status']}, but was stopped at epoch {at}"
        elif at is not None and row["epochs_run"] != at:
            yield f"{trial_id} must end at epoch {at}, where it was stopped"


def replayed_rungs(tables: Tables) -> list[tuple[EpochRow, Arrival]]:
    """The arrivals at rungs that the epochs give, in their order."""
    searches = {search.name for search in tables.study.searches}
    epochs, factor = tables.settings.epochs, tables.settings.reduction_factor
    rungs = FamilyRungs(searches, rungs=tables.study.rungs, epochs=epochs, reduction_factor=factor)
    learned_from, learned = warm_start.kept(tables.folder)
    list(rungs.replay(learned, exempt=_baselines(learned_from), origin=warm_start.FOLDER))
    own = [row for row in tables.epochs if search_of(row["trial_id"]) in searches]
    return list(rungs.replay(own, exempt=_baselines(tables.trials)))


def check_choice(tables: Tables) -> Iterator[str]:
    """Each search's winner is the best of its trials on validation."""
    for search in sorted({*(each.name for each in tables.study.searches), *tables.choice}):
        own = [row for row in tables.trials if search_of(row["trial_id"]) == search]
        best = winner([_record(row, tables) for row in own])
        chosen, what = tables.choice.get(search), f"the winner of {search}"
        expected = None if best is None else best.spec.trial_id
        found = None if chosen is None else chosen.trial_id
        if found != expected:
            yield f"{what} must be {expected} by validation, but study.json has {found}"
        elif best is not None and chosen is not None:
            why = f" as that of {expected}"
            yield from differing(what, dict(choice_of(best)), dict(chosen), why)


def check_test_openings(tables: Tables) -> Iterator[str]:
    """The test part was opened for the choice on disk, once, and each opening is counted."""
    opened = Counter(row["detail"] for row in tables.events if row["kind"] == schema.TEST_OPENED)
    for sha256, count in opened.items():
        if count > 1:
            yield f"the test part must be opened once for a choice, but was {count} for {sha256}"
    counted, raw = tables.study.test_openings, tables.study.raw
    if counted != len(opened):
        yield f"study.json must count {len(opened)} openings of the test part, not {counted}"
    expected = digest(raw.get("choice") or {}, raw["settings"])
    found = tables.study.choice_sha256
    if found != expected:
        yield f"the choice must have SHA-256 {found} as it was frozen, but has {expected}"
    if tables.choice and expected not in opened:
        yield f"the test part must be opened for the choice {expected}, but was not"


def check_budget(tables: Tables) -> Iterator[str]:
    """Only what was set ends a search before all its trials, and an event says so."""
    said = [row["detail"] for row in tables.events if row["kind"] == "budget_reached"]
    for name, why in tables.study.closed.items():
        if why.setting not in ENDS or getattr(tables.settings, why.setting) is None:
            yield f"{name} must not be ended by {why.setting}, which is not set"
        if not any(detail.startswith(f"{name} ended after {why.trials} of") for detail in said):
            yield f"{name} must have an event where it was ended, but has none"


def check_outcome(tables: Tables) -> Iterator[str]:
    """A study is completed if no family was given up and each was tested whole."""
    settings, halted = tables.settings, tables.study.halted
    events = {(row["kind"], row["family"]) for row in tables.events}
    for family in sorted(halted):
        if ("family_halted", family) not in events:
            yield f"{family} must have an event where it was given up, but has none"
    asked = len(settings.families) * 2 * settings.seeds * len(settings.train_fractions)
    tested = len(tables.final) == asked
    expected = Outcome.COMPLETED if tested and not halted else Outcome.INCOMPLETE
    if tables.study.outcome in ENDED - {expected}:
        yield f"the outcome must be {expected} by the tables, but is {tables.study.outcome}"


def parameter_columns(what: str, row: TrialRow | FinalRow) -> Iterator[str]:
    """A row has the same hyperparameters in one column each as in `params_json`."""
    columns = [name for name in row if name.startswith("param_")]
    expected = schema.parameter_columns(json.loads(row["params_json"]))
    expected.pop("params_json")
    yield from differing(what, {**dict.fromkeys(columns), **expected}, row, " as in params_json")


def wrong_objective(what: str, row: EpochRow, tables: Tables) -> Iterator[str]:
    """An epoch is compared by the column that the settings name."""
    column = OBJECTIVES[tables.settings.objective]
    if not same(objective(row), row.get(column)):
        yield f"objective of {what} must be its {column}, but is {objective(row)}"


def _outside(row: TrialRow, params: Params, tables: Tables) -> Iterator[str]:
    space = tables.study.spaces[row["family"]]
    for name in sorted(params.keys() - space.keys()):
        yield f"{row['trial_id']} must have hyperparameters of its space, but has {name} too"
    for name, described in space.items():
        values = read_distribution(described)
        if name not in params or not contains(values, params[name]):
            found = params.get(name)
            yield f"{name} of {row['trial_id']} must lie in {describe(values)}, but is {found}"


def _expected_trials(tables: Tables) -> dict[str, dict[str, Any]]:
    """All trials asked for, and what is known of each.

    Of a family given up up to its last, of a search that a budget ended as many as it had.
    """
    settings, halted, closed = tables.settings, tables.study.halted, tables.study.closed
    known = {row["trial_id"] for row in tables.trials}
    expected = {}
    for search in tables.study.searches:
        trials = closed.get(search.name, settings).trials
        ids = [f"{search.name}-{number:03d}" for number in range(trials)]
        if search.family in halted:
            ids = ids[: max((n for n, name in enumerate(ids, 1) if name in known), default=0)]
        for number, trial_id in enumerate(ids):
            expected[trial_id] = {
                "family": search.family,
                "role": BASELINE_ROLE if number == 0 else "search",
                "seed": derive_seed(settings.seed, search.name, number),
                "train_fraction": search.train_fraction,
            }
    return expected


def _check_summary(row: TrialRow, tables: Tables) -> Iterator[str]:
    trial_id, rows = row["trial_id"], tables.by_trial.get(row["trial_id"], [])
    if len(rows) != row["epochs_run"]:
        yield f"{trial_id} must have {row['epochs_run']} epochs, but has {len(rows)}"
        return
    whole = len(rows) >= tables.settings.epochs
    if (row["status"] == State.COMPLETED) != whole and row["status"] != State.FAILED:
        yield f"{trial_id} is {row['status']}, but has {len(rows)} epochs"
    best: Mapping[str, Any] = best_row(rows) if rows else {}
    expected = {"best_epoch": best.get("epoch"), **{name: best.get(name) for name in BEST}}
    expected["objective"] = objective(best) if best else None
    found = {**row, "objective": objective(row)}
    yield from differing(trial_id, expected, found, " as in its epochs")
    attempts = max((r["attempt"] for r in rows), default=0)
    if attempts > row["attempts"]:
        yield f"{trial_id} must count {attempts} attempts at least, but counts {row['attempts']}"


def _record(row: TrialRow, tables: Tables) -> TrialRecord:
    rows = tables.by_trial.get(row["trial_id"], [])
    return TrialRecord(spec=spec_of_row(row), status=row["status"], rows=list(rows))


def _baselines(trials: Sequence[TrialRow]) -> set[str]:
    return {row["trial_id"] for row in trials if row["role"] == BASELINE_ROLE}


def _is_tie(arrival: Arrival) -> bool:
    """Value and cut-off are the same but for rounding, so that it may have been decided by that."""
    return arrival.decision != FINISHED and same(arrival.value, arrival.cutoff)


def _rung(key: tuple[str, int]) -> str:
    return f"rung {key[1]} of {key[0]}"
