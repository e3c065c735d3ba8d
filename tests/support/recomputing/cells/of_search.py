"""Tables of what the search did."""

import json
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from recomputing.cells.registry import Cells, Key, known, table
from recomputing.importances import importances
from recomputing.shown import Digits
from recomputing.study import Recomputed


@table("Validation accuracy, epoch by epoch", 2)
def by_epoch(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for (name, epoch), own in r.epochs.groupby(["search", "epoch"]):
        values, key = own.validation_accuracy, (name, str(epoch))
        baseline = own.validation_accuracy[own.trial_id == f"{name}-000"]
        cells[*key, "trials"] = [len(values)]
        for column, share in (("lower quartile", 0.25), ("median", 0.5), ("upper", 0.75)):
            cells[*key, column] = [100 * np.quantile(values, share)]
        cells[*key, "baseline"] = [100 * value for value in baseline]
    return cells


@table("Where the best rose", 2)
def where_the_best_rose(r: Recomputed, _: str) -> Cells:
    """The row is named by the number in it, so the walk says which row it is."""
    cells: dict[Key, Any] = {}
    longest = max(r.spent(name) for name in r.searches)
    unit = 3600 if longest > 3600 else 1
    for name in r.searches:
        for number, (at, best) in enumerate(r.rises(name)):
            cells[name, str(number), f"device {'hours' if unit > 1 else 'seconds'}"] = [
                Digits(at / unit, 3)
            ]
            cells[name, str(number), "best validation accuracy"] = [100 * best]
    return cells


@table("Fairness: what each family was given", 1)
def effort(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for name, (family, _share) in r.searches.items():
        own, behind = r.of_search(name), r.final[r.final.family == family]
        decides = {f for f in r.settings["train_fractions"] if r.search_behind(family, f) == name}
        runs = behind[behind.train_fraction.isin(decides)].drop_duplicates("trial_id")
        cells[name, "trials"] = [len(own)]
        cells[name, "epochs"] = [own.epochs_run.sum()]
        cells[name, "search device s"] = [own.device_seconds.sum()]
        cells[name, "final runs"] = [len(runs)]
        cells[name, "finals device s"] = [runs.device_seconds.sum()]
    return cells


@table("Fairness: the best trial against the baseline", 1)
def gain(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for name in r.searches:
        baseline, best = r.of_baseline(name), r.best(name) if len(r.can_win(name)) else None
        cells[name, "baseline"] = known(baseline, 100)
        cells[name, "its accuracy"] = known(best, 100)
        cells[name, "best trial"] = "—" if best is None else r.winner(name)
        both = None not in (baseline, best)
        cells[name, "gain (points)"] = [100 * (best - baseline)] if both else []
    return cells


@table("Fairness: expected best of k", 1)
def luck(r: Recomputed, _: str) -> Cells:
    """The best of each of n values counted by the draws in which it is the best."""
    cells: dict[Key, Any] = {}
    for name in r.searches:
        values = np.sort(r.can_win(name).validation_accuracy.to_numpy())
        cells[name, "trials"] = [len(values)]
        for k in (2**power for power in range(14)):
            ways = (
                [comb(place, k - 1) / comb(len(values), k) for place in range(len(values))]
                if (k <= len(values))
                else []
            )
            cells[name, f"k={k}"] = [100 * float(values @ ways)] if ways else []
    return cells


def retrained(r: Recomputed, name: str) -> pd.DataFrame:
    """The final runs of a search's winner at the share that was searched at."""
    family, fraction = r.searches[name]
    own = r.final[(r.final.family == family) & (r.final.role == "tuned")]
    return own[own.train_fraction == fraction]


@table("Fairness: selection optimism", 1)
def optimism(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for name in r.searches:
        own = retrained(r, name)
        if len(r.can_win(name)):
            cells[name, "search validation"] = [100 * r.best(name)]
        if len(own):
            found, again, test = (
                r.best(name),
                own.validation_accuracy.mean(),
                own.test_accuracy.mean(),
            )
            cells[name, "re-trained validation"] = [100 * again]
            cells[name, "re-trained test"] = [100 * test]
            cells[name, "search optimism (points)"] = [100 * (found - test)]
            cells[name, "re-trained optimism (points)"] = [100 * (again - test)]
    return cells


@table("Fairness: how large", 1)
def sizes(r: Recomputed, _: str) -> Cells:
    columns = ("parameters", "of them trained", "forward MFLOPs per image")
    names = ("parameters", "trained_parameters", "forward_flops_per_image")
    cells: dict[Key, Any] = {}
    for (family, role), own in r.final.groupby(["family", "role"]):
        row = own[own.train_fraction == own.train_fraction.max()].iloc[0]
        for column, name in zip(columns, names, strict=True):
            cells[f"{family} {role}", column] = known(row.get(name), 1e-6 if "flop" in name else 1)
    return cells


@table("Fairness: best so far against", 1)
def best_so_far(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    steps = {name: r.steps(name) for name in r.searches}
    ends = {name: own[-1][0] if own else 0.0 for name, own in steps.items()}
    for name, end in ends.items():
        cells[name, "spent"] = [end if end >= 40 else Digits(end, 2)] if steps[name] else []
        for quarter in (1, 2, 3, 4):
            budget = max(ends.values()) * quarter / 4
            column = f"by {budget:,.0f}" if budget >= 40 else f"by {budget:.2g}"
            cells[name, column] = known(r.best_within(name, budget), 100)
    return cells


@table("Early stopping: the rungs", 2)
def rungs(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for (name, rung), own in r.rungs.groupby(["search", "rung"]):
        cutoffs = own.sort_values("sequence").cutoff.dropna()
        key = (name, str(rung))
        cells[*key, "arrivals"] = [len(own)]
        cells[*key, "median accuracy"] = [100 * own.value.median()]
        cells[*key, "last cut-off"] = [100 * cutoff for cutoff in cutoffs.tail(1)]
        cells[*key, "survivors"] = [(own.decision != "stop").sum()]
    return cells


@table("Early stopping: survivors, ranks and savings", 2)
def survivors(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    last = r.settings["epochs"]
    for (name, rung), own in r.rungs.groupby(["search", "rung"]):
        key = (name, str(rung))
        cells[*key, "arrived"] = [len(own)]
        cells[*key, "went on"] = [(own.decision != "stop").sum()]
        rho = r.rank_correlation(name, rung, last)[1] if rung < last else None
        cells[*key, "rank correlation with the end"] = known(rho)
    return cells


@table("Early stopping: do early ranks hold?", 3)
def ranks(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for name in r.rungs.search.unique():
        for earlier, later in r.rung_pairs(name):
            trials, rho = r.rank_correlation(name, earlier, later)
            key = (name, str(earlier), str(later))
            cells[*key, "trials at both"] = [trials]
            cells[*key, "Spearman's rho"] = known(rho)
    return cells


@table("The best trials and their hyperparameters", 1)
def best_trials(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for row in r.trials.itertuples():
        cells[row.trial_id, "validation accuracy"] = known(row.validation_accuracy, 100)
        cells[row.trial_id, "hyperparameters"] = hyperparameters(row.params_json)
        cells[row.trial_id, "status"] = row.status
    return cells


def hyperparameters(params_json: str) -> list[float]:
    """The numbers among them, in their order."""
    values = json.loads(params_json).values()
    return [
        Digits(value, 3) if isinstance(value, float) else value
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


@table("Importances, as shares that sum to 1", 2)
def importance(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for name in r.searches:
        for method, shares in importances(r, name).items():
            for dimension, share in shares.items():
                cells[name, dimension, method] = [share]
    return cells


@table("Busy time by family", 1)
def busy(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family, own in r.stays.groupby("family"):
        cells[family, "trials and final runs"] = [len(own)]
        cells[family, "busy seconds"] = [(own.end - own.start).dt.total_seconds().sum()]
    return cells


@table("Failures: events by kind", 1)
def events(r: Recomputed, _: str) -> Cells:
    return {(kind, "events"): [count] for kind, count in r.events.kind.value_counts().items()}


@table("Failures: trials", 1)
def failed_trials(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for row in r.trials[r.trials.status.isin(["failed", "diverged"])].itertuples():
        cells[row.trial_id, "epochs"] = known(row.epochs_run)
        cells[row.trial_id, "attempts"] = known(row.attempts)
        cells[row.trial_id, "status"] = row.status
        cells[row.trial_id, "reason"] = row.stop_reason or "—"
        cells[row.trial_id, "error"] = " ".join((row.error or "—").split())[:300]
    return cells
