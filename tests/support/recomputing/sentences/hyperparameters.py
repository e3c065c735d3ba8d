"""Where good hyperparameters lie, and which mattered."""

import json
from math import isclose

import numpy as np
import pandas as pd

from recomputing.importances import MOST_FOR_FANOVA, importances, inside
from recomputing.rules import STUDY, Values
from recomputing.study import Recomputed
from recomputing.words import hyper, shortened

ENOUGH = 30
"""Trials below which importances are not to be trusted."""


def best_first(r: Recomputed, name: str) -> pd.DataFrame:
    return r.can_win(name).sort_values(["validation_accuracy", "trial_id"], ascending=[False, True])


@STUDY.says(
    "The best # of {a}'s # trials lie closest together in {word}, # to #",
    "the best # of {a}'s # trials lie closest together in {word}, # to #",
)
def closest(r: Recomputed, a: str, word: str) -> Values:
    own = best_first(r, a)
    best = max(1, min(len(own) // 5, 20))
    widths, space = {}, r.study["spaces"][r.searches[a][0]]
    params = [json.loads(text) for text in own.params_json]
    for name, values in space.items():
        if values["name"] != "CategoricalDistribution":
            scale = np.log if values["attributes"]["log"] else np.asarray
            places = scale([each[name] for each in params])
            if np.ptp(places):
                widths[name] = np.ptp(places[:best]) / np.ptp(places)
    assert isclose(widths[word], min(widths.values()))
    chosen = [each[word] for each in params[:best]]
    return [best, len(own), *(hyper(value) for value in (min(chosen), max(chosen)))]


@STUDY.says(
    "{a}: # trials, # stopped early; best {trial} with #%: {rest};",
    "{a}: # trials, # stopped early; best {trial} with #%: {rest}.$",
)
def best_in_words(r: Recomputed, a: str, trial: str, rest: str) -> Values:
    own = best_first(r, a)
    row = own.iloc[0]
    assert row.trial_id == trial
    params = json.loads(row.params_json).items()
    listed = (f"{k} {f'{v:.3g}' if isinstance(v, float) else v}" for k, v in params)
    assert rest == ", ".join(listed)
    return [len(own), (own.status == "stopped").sum(), row.validation_accuracy]


@STUDY.says("{trial}: #% / {word} {rest}$")
def coordinate_told(r: Recomputed, trial: str, word: str, rest: str) -> Values:
    row = r.trials.set_index("trial_id").loc[trial]
    value = json.loads(row.params_json).get(word)
    assert rest == (f"{value:.3g}" if isinstance(value, float) else str(value))
    return [row.validation_accuracy]


@STUDY.says("hyperparameters | {a}: {n} trials | {rest} / {values}$")
def axis_told(r: Recomputed, a: str, n: str, rest: str, values: str) -> Values:
    assert n == str(len(r.can_win(a)))
    (space,) = [
        values["attributes"]
        for name, values in r.study["spaces"][r.searches[a][0]].items()
        if shortened(name) == rest
    ]
    if "choices" in space:
        full = ", ".join(map(str, space["choices"]))
    else:
        full = f"{space['low']:g}..{space['high']:g}" + " (log)" * space["log"]
    assert values == shortened(full)
    return []


@STUDY.says(
    "{a}: {word} matters most ({method} #, n = #, too few to trust: fewer than #)",
)
def matters_most_of_few(r: Recomputed, a: str, word: str, method: str) -> Values:
    found = matters_most(r, a, word, method)
    assert found[1] < ENOUGH
    return [*found, ENOUGH]


@STUDY.says("{a}: {word} matters most ({method} #, n = #)")
def matters_most(r: Recomputed, a: str, word: str, method: str) -> Values:
    shares = importances(r, a)[method]
    assert isclose(shares[word], max(shares.values()))
    return [shares[word], len(inside(r, a))]


@STUDY.says(
    "Trials stopped early are among them and count with their best accuracy until then: {rest}.$"
)
def stopped_among(r: Recomputed, rest: str) -> Values:
    parts = []
    for name in r.searches:
        own = inside(r, name)
        stopped = (own.status == "stopped").sum()
        if stopped and importances(r, name):
            parts.append(f"{name} {stopped} of {len(own)}")
    assert rest == ", ".join(parts), parts
    return []


@STUDY.says(
    "{a} over # trials: fANOVA {rest}; PED-ANOVA {other};",
    "{a} over # trials: fANOVA {rest}; PED-ANOVA {other}.$",
    "{a} over # trials: PED-ANOVA {other};",
    "{a} over # trials: PED-ANOVA {other}.$",
)
def importances_in_words(r: Recomputed, a: str, other: str, rest: str = "") -> Values:
    for method, listed in (("fANOVA", rest), ("PED-ANOVA", other)):
        shares = importances(r, a).get(method, {})
        assert listed == ", ".join(f"{name} {share:.2f}" for name, share in shares.items()), shares
    return [len(inside(r, a))]


@STUDY.says("fANOVA is left out above # trials")
def no_fanova(r: Recomputed) -> Values:
    assert max(len(inside(r, name)) for name in r.searches) > MOST_FOR_FANOVA
    return [MOST_FOR_FANOVA]


@STUDY.says("importances | {a}, n = {n} | {word}: {method} #")
def importance_told(r: Recomputed, a: str, n: str, word: str, method: str) -> Values:
    assert n == str(len(inside(r, a)))
    return [importances(r, a)[method].get(word, 0)]


@STUDY.says("Too few trials to say where good ones lie: # are needed in a search")
def too_few_to_say(r: Recomputed) -> Values:
    assert max(len(r.can_win(name)) for name in r.searches) < 15
    return [15]


@STUDY.says("| {a}: # trials |", last=True)
def trials_drawn(r: Recomputed, a: str) -> Values:
    return [len(r.can_win(a))]


@STUDY.says("| {a}, n = # |", last=True)
def trials_of_importances(r: Recomputed, a: str) -> Values:
    return [len(inside(r, a))]
