"""The numbers in the page's figures."""

import json
import warnings
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from recomputing.search_results import Recomputed
from recomputing.tables import Keyed, table


def finals(r: Recomputed) -> Keyed:
    rows = [
        (family, role, row.seed, row.test_accuracy)
        for family in r.families
        for role in ("tuned", "baseline")
        for row in r.of_model(family, role, max(r.fractions, default=0)).itertuples()
    ]
    yield "figures/finals", table("family,role,seed,test_accuracy", rows)


def curves(r: Recomputed) -> Keyed:
    rows, best = [], []
    for name in r.searches:
        own = r.epochs[r.epochs.search == name]
        baseline = own[own.trial_id == f"{name}-000"].set_index("epoch").validation_accuracy
        epochs = np.sort(own.epoch.unique())
        places = np.linspace(0, max(0, len(epochs) - 1), 10).round().astype(int)
        for epoch in epochs[np.unique(places)] if len(epochs) else ():
            values = own[own.epoch == epoch].validation_accuracy
            quartiles = np.quantile(values, [0.25, 0.5, 0.75])
            rows.append((name, epoch, len(values), *quartiles, baseline.get(epoch)))
        best += [(name, *step) for step in r.rises(name)]
    columns = "search,epoch,trials,low,median,upper,baseline"
    yield "figures/learning-curves", table(columns, rows)
    yield "figures/anytime-performance", table("search,device_seconds,accuracy", best)


def confusion(r: Recomputed) -> Keyed:
    matrices, rows = {family: r.confusion(family) for family in r.tuned}, []
    recalls = [np.diag(m) / np.maximum(1, m.sum(axis=1)) for m in matrices.values()]
    for family, matrix in matrices.items():
        for index in sorted(np.argsort(np.mean(recalls, axis=0), kind="stable")[:20]):
            others, images = matrix[index].copy(), matrix[index].sum()
            others[index] = 0
            guess = r.classes[others.argmax()] if others.max() else "nothing else"
            cells = matrix[index, index] / (images or 1), guess, others.max() / (images or 1)
            rows += [(family, "tuned", r.classes[index], *cells)] if images else []
    columns = "family,role,class,recall,taken_for,share"
    yield "figures/confusion", table(columns, rows)


def _best_first(r: Recomputed, name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """The space of a search, and its trials that can win; ties by the numbers of trials."""
    space = (r.study.get("spaces") or {}).get(r.searches[name][0]) or {}
    own = r.can_win[name] if space else r.can_win[name][:0]
    own = own.assign(number=own.trial_id.str.extract(r"(\d+)$")[0].astype(int))
    of_json = optuna.distributions.json_to_distribution
    known = {dimension: of_json(json.dumps(values)) for dimension, values in space.items()}
    return known, own.sort_values(["validation_accuracy", "number"], ascending=[False, True])


def hyperparameters(r: Recomputed) -> Keyed:
    rows, shares = [], []
    for name in r.searches:
        space, best = _best_first(r, name)
        for row in best[:20].itertuples():
            params = json.loads(row.params_json).items()
            texts = (f"{k} {f'{v:.3g}' if isinstance(v, float) else v}" for k, v in params)
            rows.append((row.trial_id, row.validation_accuracy, row.status, ", ".join(texts)))
        found = _importances(space, best)
        for dimension in next(iter(found.values()), ()):
            own = (found.get(method, {}).get(dimension) for method in ("fANOVA", "PED-ANOVA"))
            shares.append((name, dimension, *own))
    yield "figures/hyperparameters", table("trial_id,validation_accuracy,status,params", rows)
    yield "figures/importances", table("search,hyperparameter,fANOVA,PED-ANOVA", shares)


def _importances(space: dict[str, Any], best_first: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By Optuna, on the trials that lie in the space."""
    study, found = optuna.create_study(direction="maximize"), {}
    for value, text in zip(best_first.validation_accuracy, best_first.params_json, strict=True):
        params = {k: v for k, v in json.loads(text).items() if k in space}
        if all(_contains(space[dimension], each) for dimension, each in params.items()):
            given = {"params": params, "distributions": space, "value": value}
            study.add_trial(optuna.trial.create_trial(**given))
    if len(study.trials) < 4 or len({trial.value for trial in study.trials}) < 2:
        return {}
    with warnings.catch_warnings(action="ignore"):  # it is marked as experimental
        methods: dict[str, Any] = {"PED-ANOVA": PedAnovaImportanceEvaluator()}
    if len(study.trials) <= 64:
        methods = {"fANOVA": FanovaImportanceEvaluator(n_trees=16, seed=0), **methods}
    names = sorted(dimension for dimension in space if not space[dimension].single())
    for method, by in methods.items():
        try:
            own = optuna.importance.get_param_importances(study, evaluator=by, params=names)
        except (RuntimeError, ValueError):  # it cannot tell
            continue
        found[method] = dict(sorted(own.items(), key=lambda each: (-each[1], each[0])))
    return found


def _contains(distribution: Any, value: Any) -> bool:
    choices = getattr(distribution, "choices", None)
    return value in choices if choices else distribution.low <= value <= distribution.high


def busy(r: Recomputed) -> Keyed:
    rows = [(f, len(own), own.seconds.sum()) for f, own in r.stays.groupby("family", sort=False)]
    yield "figures/timeline", table("family,runs,seconds", rows)
