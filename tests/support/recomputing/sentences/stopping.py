"""What early stopping did."""

from math import isclose

import pandas as pd

from recomputing.rules import STUDY, Values
from recomputing.shown import Digits
from recomputing.study import Recomputed

FEW = 5
"""Trials below which a rank correlation says too little."""


def arrivals(r: Recomputed, name: str, rung: int) -> pd.DataFrame:
    return r.rungs[(r.rungs.search == name) & (r.rungs.rung == rung)]


def went_on(r: Recomputed, name: str, rung: int) -> Values:
    own = arrivals(r, name, rung)
    return [(own.decision != "stop").sum(), len(own)]


@STUDY.says("{a}: # of # trials went on after epoch {epoch}", "{a}, epoch {epoch}: # of # went on")
def survived(r: Recomputed, a: str, epoch: str) -> Values:
    return went_on(r, a, int(epoch))


@STUDY.says("{a}: # trials began")
def began(r: Recomputed, a: str) -> Values:
    return [len(r.of_search(a))]


@STUDY.says("{a}: rank correlation # from epoch {epoch} to {later}")
def correlated(r: Recomputed, a: str, epoch: str, later: str) -> Values:
    return [r.rank_correlation(a, int(epoch), int(later))[1]]


@STUDY.says("{a}: rho # over # trials / epoch {epoch} against epoch {later}")
def rho_told(r: Recomputed, a: str, epoch: str, later: str) -> Values:
    trials, rho = r.rank_correlation(a, int(epoch), int(later))
    return [rho, trials]


@STUDY.says("{a}: # epochs run, # saved")
def run_and_saved(r: Recomputed, a: str) -> Values:
    return [*r.saved(a)[:2]]


@STUDY.says("{a}: # epochs run")
def run(r: Recomputed, a: str) -> Values:
    return [r.saved(a)[0]]


@STUDY.says("{a}: # epochs saved")
def saved(r: Recomputed, a: str) -> Values:
    return [r.saved(a)[1]]


@STUDY.says(
    "{a}: # of # trials were stopped early, which saved # of # epochs (#%) against running them "
    "to epoch #, an estimated # device-hours at the family's # device-seconds per epoch"
)
def what_it_saved(r: Recomputed, a: str) -> Values:
    run, saved, each = r.saved(a)
    hours = saved * each / 3600
    own = r.of_search(a)
    return [
        (own.status == "stopped").sum(),
        len(own),
        saved,
        run + saved,
        saved / (run + saved),
        r.settings["epochs"],
        Digits(hours, 2) if hours < 1 else hours,
        Digits(each, 3),
    ]


@STUDY.says("# of # trials were stopped early, which saved # of # epochs (#%)")
def all_saved(r: Recomputed) -> Values:
    run, saved = (sum(r.saved(name)[i] for name in r.searches) for i in (0, 1))
    stopped = (r.trials.status == "stopped").sum()
    return [stopped, len(r.trials), saved, run + saved, saved / (run + saved)]


@STUDY.says("ranks held least in {a} from epoch {epoch} to {later} (rho # over # trials)")
def held_least(r: Recomputed, a: str, epoch: str, later: str) -> Values:
    found = [r.rank_correlation(n, *pair) for n in r.searches for pair in r.rung_pairs(n)]
    trials, rho = r.rank_correlation(a, int(epoch), int(later))
    assert isclose(rho, min(each for n, each in found if each is not None and n >= FEW))
    return [rho, trials]


@STUDY.says(
    "{a}: the order of the trials at epoch {epoch} says little about their order at epoch {later} "
    "(rho # over # trials, "
)
def says_little(r: Recomputed, a: str, epoch: str, later: str) -> Values:
    trials, rho = r.rank_correlation(a, int(epoch), int(later))
    assert rho < 0.5
    assert trials >= FEW
    return [rho, trials]


@STUDY.says("{a}: fewer than # trials reached both ends of epochs {rest}: that")
def too_few(r: Recomputed, a: str, rest: str) -> Values:
    few = [p for p in r.rung_pairs(a) if r.rank_correlation(a, *p)[0] < FEW]
    assert rest == ", ".join(f"{earlier} to {later}" for earlier, later in few)
    return [FEW]


@STUDY.says("{a}: the baseline was below the cut-off at epoch # and went on")
def protected(r: Recomputed, a: str) -> Values:
    own = r.rungs[(r.rungs.search == a) & (r.rungs.decision == "protected")]
    (rung,) = set(own.rung)
    return [rung]


@STUDY.says("| epoch {epoch} → {later}")
def span(r: Recomputed, epoch: str, later: str) -> Values:
    pair = (int(epoch), int(later))
    assert pair in [each for name in r.rungs.search.unique() for each in r.rung_pairs(name)]
    return []
