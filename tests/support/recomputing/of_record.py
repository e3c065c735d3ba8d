"""The tables that repeat what `study.json` and the events say."""

import json
from hashlib import sha256
from typing import Any

import pandas as pd

from recomputing.search_results import Recomputed
from recomputing.tables import Keyed, table

IMAGENET = "imagenet: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225"
"""As torchvision normalises what its ImageNet weights were trained on."""
STEM = "ImageNet's: 7x7 convolution with stride 2, then 3x3 max-pooling with stride 2"
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
        **_files(dataset.get("files") or {}),
        f"weights: {weights.get('name')}": weights.get("sha256"),
        "choice": r.study.get("choice_sha256"),
    }
    said = {name: r.study.get(name) or {} for name in ("settings", "environment", "cluster")}
    for key, values in {**said, "hashes": hashes}.items():
        yield f"settings/{key}", table("name,value", leaves(values).items())
    runs = [
        (str(number), *map(_moment, times), run.get("outcome"), run.get("host"))
        for number, run in enumerate(r.study.get("runs") or [], 1)
        for times in [(run["started_at"], run.get("ended_at"))]
    ]
    yield "settings/runs", table("run,started,ended,outcome,host", runs)


def _files(hashes: dict[str, str]) -> dict[str, str]:
    """Those of files, or where they are many one of all."""
    if len(hashes) > 50:
        listed = ", ".join(f'{json.dumps(n)}: "{h}"' for n, h in sorted(hashes.items()))
        return {f"data: {len(hashes):,} files": sha256(f"{{{listed}}}".encode()).hexdigest()}
    return {f"data: {name}": sha for name, sha in sorted(hashes.items())}


def _moment(text: str | None) -> str | None:
    return text and f"{pd.Timestamp(text).tz_convert('UTC'):%Y-%m-%d %H:%M} UTC"


def failures(r: Recomputed) -> Keyed:
    faults = r.events[~r.events.kind.isin(NO_FAULTS)].kind
    counts = {kind: int((faults == kind).sum()) for kind in faults.unique()}
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    yield "failures/events", table("kind,events", ordered)
    own = r.trials[r.trials.status.isin(["failed", "diverged"])][:30]
    columns = ["trial_id", "status", "stop_reason", "epochs_run", "attempts", "error"]
    yield "failures/trials", own[columns]


def transfer(r: Recomputed) -> Keyed:
    for family, baseline in (r.study.get("baselines") or {}).items():
        if r.study.get("weights") and family == "resnet50_transfer":
            tuned = (r.study.get("choice") or {}).get(family, {}).get("params")
            sides = [
                {**_network(r, params), **_size(r, family, role)}
                for role, params in (("baseline", baseline), ("tuned", tuned))
            ]
            rows = [(n, *(side.get(n) for side in sides)) for n in (*PARTS, *_size(r, family, ""))]
            yield f"transfer/{family}", table(",baseline,tuned", rows)


def _size(r: Recomputed, family: str, role: str) -> dict[str, Any]:
    own = r.final[(r.final.family == family) & (r.final.role == role)]
    rows = own.sort_values("train_fraction", kind="stable").tail(1).to_dict("records")
    said = rows[0] if rows else {}
    return {
        "parameters": said.get("parameters"),
        "trained parameters": said.get("trained_parameters"),
        "forward MFLOPs per image": (said.get("forward_flops_per_image") or pd.NA) / 1e6,
    }


def _network(r: Recomputed, params: dict[str, Any] | None) -> dict[str, str]:
    """What the hyperparameters say; nothing of a study of another version of the family."""
    if params is None or not {"frozen_stages", "schedule", "optimizer"} <= params.keys():
        return {}
    own, size = r.study["dataset"]["image_shape"][0], params["input_size"]
    frozen, plain = params["frozen_stages"], params["normalization"] == "zero_one"
    kept = "the stem and stage 1" if frozen == 1 else f"the stem and stages 1 to {frozen}"
    layers = f"all but {kept} of 4, whose batch norm statistics are kept too" if frozen else "all"
    return {
        "stem": STEM,
        "input size": f"{size} px" + f", resized from {own}, bilinear" * (size != own),
        "normalisation": "[0, 1], no mean or deviation" if plain else IMAGENET,
        "trained layers": layers,
        "head": f"new: 256 units, ReLU, dropout {params['dropout']:g}, {len(r.classes)} classes",
    }
