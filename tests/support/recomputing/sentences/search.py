"""How the trials learned, what the search found with its time, and how fair that was."""

import pandas as pd

from recomputing.cells.of_search import retrained
from recomputing.rules import STUDY, Values
from recomputing.shown import Digits
from recomputing.study import Recomputed
from recomputing.words import seconds, told


def by_epoch(r: Recomputed, name: str, epoch: int) -> pd.Series:
    own = r.epochs[(r.epochs.search == name) & (r.epochs.epoch == epoch)]
    return own.validation_accuracy


def top(r: Recomputed, trial: str) -> float | None:
    values = r.epochs.validation_accuracy[r.epochs.trial_id == trial]
    return values.max() if len(values) else None


def winner(r: Recomputed, name: str) -> str:
    return r.winner(name) if len(r.can_win(name)) else ""


@STUDY.says("{a}: best trial #%, baseline #%, median at the last epoch #%")
def curve_found(r: Recomputed, a: str) -> Values:
    last = r.epochs.epoch[r.epochs.search == a].max()
    return [top(r, winner(r, a)), top(r, f"{a}-000"), by_epoch(r, a, last).median()]


@STUDY.says(
    "{a}: median #% at epoch # over # trials, #% at epoch # over #; baseline at best #%, best "
    "trial #%"
)
def curve_words(r: Recomputed, a: str) -> Values:
    epochs = r.epochs.epoch[r.epochs.search == a]
    found: Values = []
    for epoch in (epochs.min(), epochs.max()):
        values = by_epoch(r, a, epoch)
        found += [values.median(), epoch, len(values)]
    return [*found, top(r, f"{a}-000"), top(r, winner(r, a))]


@STUDY.says("| {a} | epoch {epoch}: median #% of # trials / middle half #% to #%")
def median_told(r: Recomputed, a: str, epoch: str) -> Values:
    values = by_epoch(r, a, int(epoch))
    return [values.median(), len(values), values.quantile(0.25), values.quantile(0.75)]


@STUDY.says("| {a} | baseline, epoch {epoch}: #%")
def baseline_told(r: Recomputed, a: str, epoch: str) -> Values:
    return _one_epoch(r, f"{a}-000", epoch)


@STUDY.says("best trial ({trial}), epoch {epoch}: #%")
def best_told(r: Recomputed, trial: str, epoch: str) -> Values:
    assert trial in {winner(r, name) for name in r.searches}
    return _one_epoch(r, trial, epoch)


def _one_epoch(r: Recomputed, trial: str, epoch: str) -> Values:
    own = r.epochs[(r.epochs.trial_id == trial) & (r.epochs.epoch == int(epoch))]
    return [own.validation_accuracy.item()]


@STUDY.says("With the # {unit} of device time that every search had, {a} was best with #%")
def with_the_time(r: Recomputed, unit: str, a: str) -> Values:
    ends = {name: r.rises(name)[-1][0] for name in r.searches if r.rises(name)}
    bests = {name: r.best_within(name, min(ends.values())) or 0 for name in ends}
    assert bests[a] == max(bests.values())
    return [*seconds(min(ends.values()), unit), bests[a]]


@STUDY.says("{a} after # {unit}")
def found_after(r: Recomputed, a: str, unit: str) -> Values:
    steps = r.rises(a)
    return seconds(steps[-2 if len(steps) > 1 else -1][0], unit)


@STUDY.says("{a}: #% after # {unit}")
def best_after(r: Recomputed, a: str, unit: str) -> Values:
    at, best = r.rises(a)[-1]
    return [best, *seconds(at, unit)]


@STUDY.says("best-so-far | | {a}: {rest} / after {time}$")
def step_told(r: Recomputed, a: str, rest: str, time: str) -> Values:
    assert (rest, time) in {(f"{100 * best:.2f}%", told(at)) for at, best in r.rises(a)}
    return []


@STUDY.says("After # device-seconds each, all that {a} was given: {rest}.$")
def all_given(r: Recomputed, a: str, rest: str) -> Values:
    ends = {name: r.steps(name)[-1][0] for name in r.searches if r.steps(name)}
    assert ends[a] == min(ends.values())
    bests = {name: r.best_within(name, ends[a]) for name in ends}
    order = sorted((n for n in bests if bests[n] is not None), key=lambda n: -bests[n])
    assert rest == ", ".join(f"{name} {100 * bests[name]:.2f}%" for name in order)
    return [ends[a] if ends[a] >= 40 else Digits(ends[a], 2)]


@STUDY.says("Budget rule: at most # trials for each", "; at most # trials for each")
def budget(r: Recomputed) -> Values:
    return [r.settings["trials"]]


@STUDY.says("Budget rule: # device-hours, an equal share")
def device_hours(r: Recomputed) -> Values:
    return [r.settings["budget_gpu_hours"]]


@STUDY.says("{a} took # device-hours, more than its share of #:")
def overspent(r: Recomputed, a: str) -> Values:
    final = r.final[r.final.family == a].drop_duplicates("trial_id")
    took = (r.spent(a) + final.device_seconds.sum()) / 3600
    share = r.settings["budget_gpu_hours"] / len(r.families)
    assert took > share
    return [Digits(took, 3), Digits(share, 3)]


@STUDY.says("and # hours of wall time", "Budget rule: # hours of wall time")
def wall_hours(r: Recomputed) -> Values:
    return [r.settings["time_budget"]]


@STUDY.says("which ended the search of {rest} · ")
def ended_by_budget(r: Recomputed, rest: str) -> Values:
    counts = {name: len(r.of_search(name)) for name in r.study["closed"]}
    listed = (f"{name} after {n} trial{'s' * (n > 1)}" for name, n in counts.items())
    assert rest == ", ".join(listed)
    return []


@STUDY.says(
    "The search of {a} took # times the device-seconds of that of {b}; they had # and # trials"
)
def times_the_seconds(r: Recomputed, a: str, b: str) -> Values:
    spent = {name: r.spent(name) for name in r.searches if r.spent(name) > 0}
    assert (spent[a], spent[b]) == (max(spent.values()), min(spent.values()))
    return [spent[a] / spent[b], len(r.of_search(a)), len(r.of_search(b))]


@STUDY.says(
    "{a}: {trial}, the best of # trials, is # percentage points above the baseline",
    "{a}: {trial}, the best of # trial, is # percentage points above the baseline",
)
def above_the_baseline(r: Recomputed, a: str, trial: str) -> Values:
    assert trial == r.winner(a)
    return [len(r.can_win(a)), 100 * (r.best(a) - r.of_baseline(a))]


@STUDY.says("{a}: {trial}, the best of # trials, is no more accurate than the baseline (# points)")
def not_above(r: Recomputed, a: str, trial: str) -> Values:
    return above_the_baseline(r, a, trial)


@STUDY.says(
    "{a}: the baseline is the best of the # trials that can win",
    "{a}: the baseline is the best of the # trial that can win",
)
def baseline_best(r: Recomputed, a: str) -> Values:
    assert r.winner(a) == f"{a}-000"
    return [len(r.can_win(a))]


@STUDY.says("{a}: # of # trials are left out")
def left_out(r: Recomputed, a: str) -> Values:
    return [len(r.of_search(a)) - len(r.can_win(a)), len(r.of_search(a))]


@STUDY.says("{a}: the search promised # percentage points {word} than was then found on test")
def promised(r: Recomputed, a: str, word: str) -> Values:
    found = 100 * (r.best(a) - retrained(r, a).test_accuracy.mean())
    assert word == ("more" if found > 0 else "less")
    return [abs(found)]
