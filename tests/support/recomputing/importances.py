"""Importances of hyperparameters, by Optuna itself."""

import json
from typing import Any

import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from recomputing.study import Recomputed

MOST_FOR_FANOVA = 64


def importances(r: Recomputed, name: str) -> dict[str, dict[str, float]]:
    """Of a search, by Optuna on the trials that can win and lie in its space."""
    cache = r.__dict__.setdefault("_importances", {})
    if name not in cache:
        cache[name] = _importances(r, name)
    return cache[name]


def inside(r: Recomputed, name: str) -> pd.DataFrame:
    """The trials of a search that can win and lie in its space."""
    space, own = _space(r, name), r.can_win(name)
    keep = [
        all(
            values[dimension] in distribution.choices
            if isinstance(distribution, optuna.distributions.CategoricalDistribution)
            else distribution.low <= values[dimension] <= distribution.high
            for dimension, distribution in space.items()
        )
        for values in map(json.loads, own.params_json)
    ]
    return own[keep]


def _space(r: Recomputed, name: str) -> dict[str, Any]:
    own = (r.study.get("spaces") or {}).get(r.searches[name][0]) or {}
    return {
        dimension: optuna.distributions.json_to_distribution(json.dumps(values))
        for dimension, values in own.items()
    }


def _importances(r: Recomputed, name: str) -> dict[str, dict[str, float]]:
    space = _space(r, name)
    # In the order of the report, on which the forest depends.
    rows = inside(r, name).sort_values(["validation_accuracy", "trial_id"], ascending=[False, True])
    if len(rows) < 4 or rows.validation_accuracy.nunique() < 2:
        return {}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    for row in rows.itertuples():
        params = {k: v for k, v in json.loads(row.params_json).items() if k in space}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=space, value=row.validation_accuracy
            )
        )
    methods: dict[str, Any] = {"PED-ANOVA": PedAnovaImportanceEvaluator()}
    if len(rows) <= MOST_FOR_FANOVA:
        methods["fANOVA"] = FanovaImportanceEvaluator(n_trees=16, seed=0)
    names, found = sorted(name for name in space if not space[name].single()), {}
    for method, evaluator in methods.items():
        try:
            shares = optuna.importance.get_param_importances(
                study, evaluator=evaluator, params=names
            )
        except (RuntimeError, ValueError):  # it cannot tell, and the report shows a dash
            shares = {}
        found[method] = dict(sorted(shares.items(), key=lambda each: (-each[1], each[0])))
    return found
