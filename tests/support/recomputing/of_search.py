"""The tables of what the search was given, found and saved."""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from recomputing.search_results import Recomputed, replayed
from recomputing.tables import Keyed, table

EFFORT = "family,trials,epochs,search_seconds,final_runs,finals_seconds"


def effort(r: Recomputed, column: str, names: Sequence[str]) -> pd.DataFrame:
    """What each family or search was given."""
    rows = []
    for name in names:
        own = r.trials[r.trials[column] == name]
        runs = r.final[r.final[column] == name].drop_duplicates("trial_id")
        spent = own.device_seconds.sum(), len(runs), runs.device_seconds.sum()
        rows.append((name, len(own), own.epochs_run.sum(), *spent))
    return table(EFFORT, rows)


def given(r: Recomputed) -> Keyed:
    yield "effort/given", effort(r, "search", [*r.searches])
    rows = []
    for family, said in ((r.study.get("forecast") or {}).get("families") or {}).items():
        _, _, epochs, seconds, _, of_runs = effort(r, "family", [family]).iloc[0]
        ends = [
            (own[0], own[-1]) if own else (np.nan, np.nan)
            for own in (said["epochs"], said["device_seconds"])
        ]
        finals = r.final[r.final.family == family].drop_duplicates("trial_id")
        trained = finals.last_epoch.sum()  # `verify` holds it against the rows
        rows.append((family, epochs + trained, seconds + of_runs, *ends[0], *ends[1]))
    columns = "family,epochs,device_seconds,epochs_forecast_low,epochs_forecast_high"
    yield "effort/forecast", table(f"{columns},seconds_forecast_low,seconds_forecast_high", rows)
    names = ["family", "role", "parameters", "trained_parameters", "forward_flops_per_image"]
    final = r.final[r.final.train_fraction == r.final.train_fraction.max()]
    yield "effort/size", final.drop_duplicates(["family", "role"]).reindex(columns=names)


def choice(r: Recomputed) -> Keyed:
    rows = []
    for name, (_, fraction) in r.searches.items():
        own, best = r.of_search[name], r.can_win[name]
        baseline = own[own.role == "baseline"].validation_accuracy
        again = r.measured[(r.measured.search == name) & (r.measured.role == "tuned")]
        again = again[again.train_fraction == fraction]
        found, known = (each.max() for each in (best.validation_accuracy, baseline))
        validation, test = again.validation_accuracy.mean(), again.test_accuracy.mean()
        winner = best.trial_id.iloc[0] if len(best) else None
        counts = len(best), len(own) - len(best), known, winner, found, validation, test
        rows.append((name, *counts, found - known, found - test, validation - test))
    columns = "family,trials,without,baseline,winner,search_validation,validation,test,gain"
    yield "effort/choice", table(f"{columns},search_optimism,final_optimism", rows)


def luck(r: Recomputed) -> Keyed:
    """The best of each of n values counted by the draws in which it is the best."""
    most, rows = max(map(len, r.can_win.values())), []
    for name, own in r.can_win.items():
        values, row = np.sort(own.validation_accuracy), {"family": name, "trials": len(own)}
        for k in (2**power for power in range(most.bit_length())):
            ways = [comb(place, k - 1) for place in range(len(own))]
            row[f"k={k}"] = values @ ways / comb(len(own), k) if k <= len(own) else np.nan
        rows.append(row)
    yield "effort/luck", pd.DataFrame(rows if most else [])


def time(r: Recomputed) -> Keyed:
    ends = {name: own[-1][0] for name, own in r.steps.items() if own[-1][0]}
    longest = max(ends.values(), default=0.0)
    budgets = [min(ends.values(), default=0.0), *(longest * part / 4 for part in (1, 2, 3, 4))]
    columns = {f"by {b:,.0f} s" if b >= 100 else f"by {b:.3g} s": b for b in budgets}
    rows = [
        (name, end, *(r.best_within(name, budget) for budget in columns.values()))
        for name, end in ends.items()
    ]
    yield "effort/time", pd.DataFrame(rows, columns=["family", "spent", *columns])


def saved(r: Recomputed) -> Keyed:
    rows = []
    for name, own in r.trials.groupby("search", sort=False):
        stopped, began = own[own.status == "stopped"], own[own.epochs_run > 0]
        ran, left = began.epochs_run.sum(), (r.settings["epochs"] - stopped.epochs_run).sum()
        seconds = left * began.device_seconds.sum() / (ran or np.nan)
        share = left / ((ran + left) or np.nan)
        rows.append((name, len(own), len(stopped), ran, left, share, seconds))
    columns = "family,trials,stopped,epochs_run,epochs_saved,share_saved,device_seconds_saved"
    yield "stopping/saved", table(columns, rows)


def other_settings(r: Recomputed) -> Keyed:
    last, rows = r.settings["epochs"], []
    own = r.settings["grace_period"], r.settings["reduction_factor"]
    graces = sorted({max(1, own[0] // 2), own[0], min(2 * own[0], last)})
    pairs = [(grace, factor) for grace in graces for factor in sorted({2, 3, 4, own[1]})]
    baselines = set(r.trials[r.trials.role == "baseline"].trial_id)
    for name, trials in r.of_search.items():
        curves = r.epochs[r.epochs.search == name].sort_values("sequence")
        whole, best = last * curves.trial_id.nunique(), curves.validation_accuracy.max()
        cut = set(trials[trials.status == "stopped"].trial_id)
        for pair in [*pairs, (last, None)] if whole else []:
            ran, stopped = replayed(curves, baselines, *pair, last)
            beyond = cut - stopped
            epochs = len(ran) + sum(last - (ran.trial_id == trial).sum() for trial in beyond)
            accuracy = ran.validation_accuracy.max()
            exact = "the study's own" if pair == own else "no" if beyond else "yes"
            shares = 1 - epochs / whole, accuracy, accuracy - best
            rows.append((name, *pair, epochs, *shares, exact))
    columns = "family,grace_period,reduction_factor,epochs,share_saved,accuracy,difference,exact"
    yield "stopping/settings", table(columns, rows)


def rungs(r: Recomputed) -> Keyed:
    rows, columns = [], "family,rung,arrivals,median,cutoff,stopped,protected,survivors"
    in_order = r.rungs.sort_values("sequence")
    for name, of_search in in_order.groupby("search", sort=False):
        for rung, own in of_search.groupby("rung"):
            stopped, protected = ((own.decision == word).sum() for word in ("stop", "protected"))
            cutoff = own.cutoff.dropna().tail(1).sum(min_count=1)
            ends = own.value.median(), cutoff, stopped, protected, len(own) - stopped
            rows.append((name, rung, len(own), *ends))
    yield "stopping/rungs", table(columns, rows)


def ranks(r: Recomputed) -> Keyed:
    rows, last = [], r.settings["epochs"]
    for name, own in r.rungs.groupby("search", sort=False):
        at = {rung: arrived.set_index("trial_id").value for rung, arrived in own.groupby("rung")}
        ended = r.epochs[(r.epochs.search == name) & (r.epochs.epoch == last)]
        at[last] = ended.set_index("trial_id").validation_accuracy
        for earlier, later in combinations(sorted(at), 2):
            both = pd.concat([at[earlier], at[later]], axis=1, join="inner")
            varies = len(both) >= 3 and both.nunique().min() > 1
            rho = spearmanr(both).statistic if varies else np.nan
            rows.append((name, earlier, later, len(both), rho))
    yield "stopping/ranks", table("family,earlier,later,trials,rho", rows)
