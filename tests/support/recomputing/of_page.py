"""What a page says besides its comparison: the numbers in figures, settings and failures."""

import contextlib
import json
import warnings
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from recomputing.study import ROLES, Keyed, Recomputed, table

PARTS = ("stem", "input size", "normalisation", "trained layers", "head")
NO_FAULTS = [
    *("test_opened", "resumed", "settings_changed", "environment_changed", "code_changed"),
    *("data_changed", "weights_changed", "final_superseded", "final_restarted", "budget_reached"),
    "images_fed",
]


def leaves(value: Any, above: str = "") -> dict[str, str]:
    """Every entry as it is shown, by its dotted name; those that are not set are left out."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in leaves(value[key], f"{above}.{key}").items()}
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return {above.removeprefix("."): text} if value not in (None, "", []) else {}


def settings(r: Recomputed) -> Keyed:
    dataset, weights = r.study.get("dataset") or {}, r.study.get("weights") or {}
    hashes = {
        "code": r.study.get("code_sha256"),
        "git commit": r.study.get("git_commit"),
        "split": dataset.get("split_sha256"),
        **{f"data: {name}": sha for name, sha in sorted((dataset.get("files") or {}).items())},
        f"weights: {weights.get('name')}": weights.get("sha256"),
        "choice": r.study.get("choice_sha256"),
    }
    said = {name: r.study.get(name) or {} for name in ("settings", "environment", "cluster")}
    for key, values in {**said, "hashes": hashes}.items():
        yield f"settings/{key}", table("name,value", leaves(values).items())
    runs = []
    for number, run in enumerate(r.study.get("runs") or [], 1):
        times = (run.get(end) and pd.Timestamp(run[end]) for end in ("started_at", "ended_at"))
        ends = (time and f"{time.tz_convert('UTC'):%Y-%m-%d %H:%M} UTC" for time in times)
        runs.append((str(number), *ends, run.get("outcome"), run.get("host")))
    yield "settings/runs", table("run,started,ended,outcome,host", runs)


def failures(r: Recomputed) -> Keyed:
    faults = r.events[~r.events.kind.isin(NO_FAULTS)]
    counts = faults.groupby("kind", sort=False).size().sort_values(ascending=False, kind="stable")
    yield "failures/events", counts.rename("events").reset_index()
    own = r.trials[r.trials.status.isin(["failed", "diverged"])][:30]
    columns = ["trial_id", "status", "stop_reason", "epochs_run", "attempts", "error"]
    yield "failures/trials", own[columns]


def transfer(r: Recomputed) -> Keyed:
    family = "resnet50_transfer"
    if family not in (r.study.get("baselines") or {}) or not r.study.get("weights"):
        return
    chosen = (r.study.get("choice") or {}).get(family, {}).get("params")
    said = [_network(r, params) for params in (r.study["baselines"][family], chosen)]
    own = r.sizes[r.sizes.family == family].set_index("role").drop(columns="family")
    own.columns = ["parameters", "trained parameters", "forward MFLOPs per image"]
    sizes = own.astype(float) / [1, 1, 1e6]
    rows = [(name, *(each.get(name) for each in said)) for name in PARTS]
    rows += [(name, each.get("baseline"), each.get("tuned")) for name, each in sizes.items()]
    yield f"transfer/{family}", table(",baseline,tuned", rows)


def _network(r: Recomputed, params: dict[str, Any] | None) -> dict[str, str]:
    """What the hyperparameters say; nothing of a study of another version of the family."""
    if params is None or not {"frozen_stages", "schedule", "optimizer"} <= params.keys():
        return {}
    own, size = r.study["dataset"]["image_shape"][0], params["input_size"]
    frozen, plain = params["frozen_stages"], params["normalization"] == "zero_one"
    kept = "the stem and stage 1" if frozen == 1 else f"the stem and stages 1 to {frozen}"
    # As torchvision normalises what its ImageNet weights were trained on.
    usual = "imagenet: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225"
    layers = f"all but {kept} of 4, whose batch norm statistics are kept too" if frozen else "all"
    return {
        "stem": "ImageNet's: 7x7 convolution with stride 2, then 3x3 max-pooling with stride 2",
        "input size": f"{size} px" + f", resized from {own}, bilinear" * (size != own),
        "normalisation": "[0, 1], no mean or deviation" if plain else usual,
        "trained layers": layers,
        "head": f"new: 256 units, ReLU, dropout {params['dropout']:g}, {len(r.classes)} classes",
    }


def finals(r: Recomputed) -> Keyed:
    rows = [
        (family, role, seed, r.of_images[family, role, fraction, seed]["accuracy"].mean())
        for family in r.families
        for role in ROLES
        for *_, fraction, seed in r.of(family, role, *r.fractions[:1])
    ]
    yield "figures/finals", table("family,role,seed,test_accuracy", rows)


def curves(r: Recomputed) -> Keyed:
    rows, best = [], []
    for name in r.searches:
        own = r.epochs[r.epochs.search == name]
        baseline = own[own.trial_id == f"{name}-000"].set_index("epoch").validation_accuracy
        epochs = np.sort(own.epoch.unique())
        places = np.linspace(0, max(0, len(epochs) - 1), 10).round().astype(int)
        for epoch in epochs[np.unique(places)[: len(epochs)]]:
            values = own[own.epoch == epoch].validation_accuracy
            quartiles = np.quantile(values, [0.25, 0.5, 0.75])
            rows.append((name, epoch, len(values), *quartiles, baseline.get(epoch)))
        known = r.steps.get(name, pd.Series(dtype=float)).dropna()
        rises = known[known.diff() != 0]
        best += [(name, *step) for step in rises.items()]
    columns = "search,epoch,trials,low,median,upper,baseline"
    yield "figures/learning-curves", table(columns, rows)
    yield "figures/anytime-performance", table("search,device_seconds,accuracy", best)


def confusion(r: Recomputed) -> Keyed:
    matrices, rows = {family: r.confusion(family) for family in r.tuned}, []
    shares = {family: own / own.sum(axis=1, keepdims=True) for family, own in matrices.items()}
    recalls = sum(np.diag(own) for own in shares.values())
    for family, own in shares.items():
        for index in sorted(np.argsort(recalls, kind="stable")[:20]):
            others = own[index] * (np.arange(len(own)) != index)
            taken_for = r.classes[others.argmax()] if others.any() else "nothing else", others.max()
            rows.append((family, "tuned", r.classes[index], own[index, index], *taken_for))
    yield "figures/confusion", table("family,role,class,recall,taken_for,share", rows)


def hyperparameters(r: Recomputed) -> Keyed:
    rows, shares = [], []
    for name, (family, _) in r.searches.items():
        best = r.can_win[name]
        number = best.trial_id.str.extract(r"(\d+)$")[0].astype(int)
        order = {"by": ["validation_accuracy", "number"], "ascending": [False, True]}
        best = best.assign(number=number).sort_values(**order)
        for row in best[:20].itertuples():
            params = json.loads(row.params_json).items()
            texts = (f"{k} {f'{v:.3g}' if isinstance(v, float) else v}" for k, v in params)
            rows.append((row.trial_id, row.validation_accuracy, row.status, ", ".join(texts)))
        of_json = optuna.distributions.json_to_distribution
        space = r.study["spaces"][family].items()
        known = {dimension: of_json(json.dumps(values)) for dimension, values in space}
        found = _importances(known, best)
        for dimension in next(iter(found.values()), ()):
            own = (found.get(method, {}).get(dimension) for method in ("fANOVA", "PED-ANOVA"))
            shares.append((name, dimension, *own))
    yield "figures/hyperparameters", table("trial_id,validation_accuracy,status,params", rows)
    yield "figures/importances", table("search,hyperparameter,fANOVA,PED-ANOVA", shares)


def _importances(space: dict[str, Any], best_first: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By Optuna, on the trials that lie in the space."""
    study, found = optuna.create_study(direction="maximize"), {}
    for value, text in zip(best_first.validation_accuracy, best_first.params_json, strict=True):
        given = {"params": json.loads(text), "distributions": space, "value": value}
        with contextlib.suppress(ValueError):
            study.add_trial(optuna.trial.create_trial(**given))
    if len(study.trials) < 4 or len({trial.value for trial in study.trials}) < 2:
        return {}
    with warnings.catch_warnings(action="ignore"):  # it is marked as experimental
        by_trees = FanovaImportanceEvaluator(n_trees=16, seed=0)
        methods = {"fANOVA": by_trees} if len(study.trials) <= 64 else {}
        methods["PED-ANOVA"] = PedAnovaImportanceEvaluator()
    names = sorted(dimension for dimension in space if not space[dimension].single())
    for method, by in methods.items():
        with contextlib.suppress(RuntimeError, ValueError):  # where it cannot tell
            own = optuna.importance.get_param_importances(study, evaluator=by, params=names)
            found[method] = dict(sorted(own.items(), key=lambda each: (-each[1], each[0])))
    return found


def busy(r: Recomputed) -> Keyed:
    """Every trial and final run, families as they began."""
    heard = r.epochs.groupby("trial_id").reported_at.max().reindex(r.trials.trial_id)
    ends = r.trials.ended_at.fillna(heard.set_axis(r.trials.index))
    trials = r.trials.assign(start=r.trials.started_at, end=ends)
    runs = r.final_epochs.sort_values("reported_at").groupby("trial_id")
    finals = runs.first().assign(end=runs.reported_at.last()).reset_index()
    finals["start"] = finals.reported_at - pd.to_timedelta(finals.epoch_seconds, unit="s")
    both = pd.concat([own[["trial_id", "family", "start", "end"]] for own in (trials, finals)])
    both = both.dropna().sort_values(["start", "trial_id"])
    both["seconds"] = (both.end - both.start).dt.total_seconds().clip(lower=0)
    found = both.groupby("family").seconds.agg(runs="size", seconds="sum")
    found = found.reindex(found.index[np.argsort([*map(r.families.index, found.index)])])
    yield "figures/timeline", found.reset_index()


TABLES = (settings, failures, finals, curves, confusion, hyperparameters, busy)
