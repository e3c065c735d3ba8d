"""What the search was given, found and saved, and how long a study that runs will take."""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.special import comb
from scipy.stats import spearmanr

from recomputing.study import KEY, ROLES, Keyed, Recomputed, table


def effort(r: Recomputed, column: str, names: Sequence[str]) -> pd.DataFrame:
    """What each family or search was given."""
    rows = []
    for name in names:
        own = r.trials[r.trials[column] == name]
        runs = r.final[r.final[column] == name].drop_duplicates("trial_id")
        spent = own.device_seconds.sum(), len(runs), runs.device_seconds.sum()
        rows.append((name, len(own), own.epochs_run.sum(), *spent))
    return table("family,trials,epochs,search_seconds,final_runs,finals_seconds", rows)


def given(r: Recomputed) -> Keyed:
    yield "effort/given", effort(r, "search", [*r.searches])
    rows = []
    for family, said in ((r.study.get("forecast") or {}).get("families") or {}).items():
        _, _, epochs, seconds, _, of_runs = effort(r, "family", [family]).iloc[0]
        both = ((said[name] or [np.nan]) for name in ("epochs", "device_seconds"))
        ends = [values[end] for values in both for end in (0, -1)]
        finals = r.final[r.final.family == family].drop_duplicates("trial_id")
        trained = finals.last_epoch.sum()  # `verify` holds it against the rows
        rows.append((family, epochs + trained, seconds + of_runs, *ends))
    columns = "family,epochs,device_seconds,epochs_forecast_low,epochs_forecast_high"
    yield "effort/forecast", table(f"{columns},seconds_forecast_low,seconds_forecast_high", rows)
    yield "effort/size", r.sizes


def choice(r: Recomputed) -> Keyed:
    rows = []
    for name, (_, fraction) in r.searches.items():
        own, best = r.of_search[name], r.can_win[name]
        tuned = r.measured[(r.measured.search == name) & (r.measured.role == "tuned")]
        again = tuned[tuned.train_fraction == fraction]
        known = own[own.role == "baseline"].validation_accuracy.max()
        found, winner = best.validation_accuracy.max(), next(iter(best.trial_id), None)
        validation, test = again.validation_accuracy.mean(), again.test_accuracy.mean()
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
            ways = comb(np.arange(len(own)), k - 1)
            row[f"k={k}"] = np.average(values, weights=ways) if k <= len(own) else np.nan
        rows.append(row)
    yield "effort/luck", pd.DataFrame(rows if most else [])


def time(r: Recomputed) -> Keyed:
    ends = {name: own.index[-1] for name, own in r.steps.items() if own.index[-1]}
    longest = max(ends.values(), default=0.0)
    budgets = [min(ends.values(), default=0.0), *(longest * part / 4 for part in (1, 2, 3, 4))]
    columns = {f"by {b:,.0f} s" if b >= 100 else f"by {b:.3g} s": b for b in budgets}
    rows = [
        (name, end, *(r.steps[name].asof(budget * (1 + 1e-9)) for budget in columns.values()))
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
        whole, may_win = last * curves.trial_id.nunique(), r.can_win[name].trial_id
        best = curves[curves.trial_id.isin(may_win)].validation_accuracy.max()
        cut = set(trials[trials.status == "stopped"].trial_id)
        for pair in [*pairs, (last, None)] if whole else []:
            ran, stopped = _replayed(curves, baselines, *pair, last)
            beyond = cut - stopped
            epochs = len(ran) + sum(last - (ran.trial_id == trial).sum() for trial in beyond)
            accuracy = ran[ran.trial_id.isin(may_win)].validation_accuracy.max()
            exact = "the study's own" if pair == own else "no" if beyond else "yes"
            shares = 1 - epochs / whole, accuracy, accuracy - best
            rows.append((name, *pair, epochs, *shares, exact))
    columns = "family,grace_period,reduction_factor,epochs,share_saved,accuracy,difference,exact"
    yield "stopping/settings", table(columns, rows)


def _replayed(
    rows: pd.DataFrame, baselines: set[str], grace: int, factor: int | None, last: int
) -> tuple[pd.DataFrame, set[str]]:
    """Of one search's epochs, those that another setting of ASHA runs, and whom it stops.

    Ray's rule: at the highest rung that is new to a trial it is held against those that arrived
    there before. No rung lies within a fifth of the last epoch, and without a factor there is none.
    """
    rungs: dict[int, dict[str, float]] = {}
    while factor and 5 * grace <= 4 * last:
        rungs = {grace: {}, **rungs}
        grace *= factor
    ran, stopped = [], set[str]()
    for row in (row for row in rows.itertuples() if row.trial_id not in stopped):
        ran.append(row.Index)
        new = [own for rung, own in rungs.items() if row.epoch >= rung and row.trial_id not in own]
        if new:
            earlier, new[0][row.trial_id] = [*new[0].values()], row.validation_accuracy
            least = np.nanpercentile(earlier, (1 - 1 / factor) * 100) if earlier else -np.inf
            weak = row.validation_accuracy < least and row.epoch < last
            stopped |= {row.trial_id} - baselines if weak else set()
    return rows.loc[ran], stopped


def rungs(r: Recomputed) -> Keyed:
    own = r.rungs.sort_values("sequence")
    place = own.search.map([*r.searches].index)
    decided = {"stopped": own.decision == "stop", "protected": own.decision == "protected"}
    by_rung = own.assign(place=place, **decided).groupby(["place", "search", "rung"])
    values = {"value": ["size", "median"], "cutoff": "last", "stopped": "sum", "protected": "sum"}
    found = by_rung.agg(values)
    found.columns = ["arrivals", "median", "cutoff", "stopped", "protected"]
    found = found.assign(survivors=found.arrivals - found.stopped).reset_index()
    yield "stopping/rungs", found.rename(columns={"search": "family"}).drop(columns="place")


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


def seconds_left(r: Recomputed) -> float:
    """Wall seconds from the last report to the end."""
    cluster, epochs = r.study["cluster"], r.settings["epochs"]
    most = max(r.settings["train_fractions"])
    heard = pd.concat([r.epochs, r.final_epochs]).groupby("trial_id").reported_at.max()
    now = (r.final_epochs if len(r.final_epochs) else r.epochs).reported_at.iloc[-1]
    rows = r.trials.assign(
        wall=r.trials.device_seconds / (cluster["gpus_per_trial"] or cluster["cpus_per_trial"]),
        took=r.trials.trial_id.map(r.epochs.groupby("trial_id").epoch_seconds.sum()),
        whole=r.trials.epochs_run * r.trials.train_fraction / most,
    )
    began, over = rows[rows.epochs_run > 0], rows[rows.status != "running"]
    each = (began.took / began.whole).groupby(began.family).mean()
    beside = (over.wall - over.took).groupby(over.family).mean().clip(lower=0)
    waits = (over.ended_at - over.started_at).dt.total_seconds() - over.wall
    start = beside + max(0.0, waits[over.attempts == 1].median())

    def rest(family: str, left: float, share: float, trial_id: str = "") -> float:
        """What is left of a training that has been heard of, or of a whole one."""
        epoch = share / most * each[family]
        if trial_id not in heard.index:
            return start[family] + left * epoch
        passed = (now - heard[trial_id]).total_seconds()
        return left * epoch - min(passed, min(1.0, left) * epoch)

    def usual(family: str, done: int) -> float:
        own = over[(over.role != "baseline") & (over.family == family)].epochs_run
        return own[own > done].mean() if own.max() > done else epochs

    search = []
    for name, (family, share) in r.searches.items():
        own = r.of_search[name]
        for row in own[own.status == "running"].itertuples():
            left = usual(family, row.epochs_run) - row.epochs_run
            search.append(rest(family, left, share, row.trial_id))
        new = rest(family, usual(family, 0), share)
        search += [new] * (r.settings["trials"] - len(own))
    tested = {*r.final[KEY].itertuples(index=False, name=None)}
    runs = product(r.families, ROLES, r.settings["train_fractions"], range(r.settings["seeds"]))
    finals = [rest(key[0], epochs, key[2]) for key in runs if key not in tested]
    at_a_time = cluster["max_concurrent"]
    return sum(max(sum(own) / at_a_time, max(own, default=0.0)) for own in (search, finals))


TABLES = (given, choice, luck, time, saved, other_settings, rungs, ranks)
