"""Tables that repeat what `study.json` says: each cell must be what stands there."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from recomputing.shown import Table, agrees
from recomputing.study import Recomputed

SETTINGS, HASHES, ENVIRONMENT, CLUSTER, RUNS, CARD = STORED = (
    "Settings: as they were resolved",
    "Settings: hashes",
    "Settings: environment",
    "Settings: cluster",
    "Settings: runs of the driver",
    "Transfer card: ",
)
IMAGENET = "mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225"
"""As torchvision normalises what its ImageNet weights were trained on."""


def stored_cells(table: Table, r: Recomputed) -> Iterator[tuple[int, str | None]]:
    """How many cells each row has, and what is wrong."""
    if table.title.startswith(CARD):
        yield from _card(table, r)
    elif table.title == RUNS:
        yield from _runs(table, r)
    else:
        key = {SETTINGS: "settings", ENVIRONMENT: "environment", CLUSTER: "cluster"}
        expected = _hashes(r.study) if table.title == HASHES else leaves(r.study[key[table.title]])
        shown = dict(table.rows)
        for name in expected.keys() | shown.keys():
            found, value = shown.get(name), expected.get(name)
            wrong = f"{table.title}: {name} is {found!r}, not {value!r}"
            yield 1, None if found == value else wrong


def leaves(value: Any, above: str = "") -> dict[str, str]:
    """Every entry as it is shown, by its dotted name; those that are not set are left out."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in leaves(value[key], f"{above}.{key}").items()}
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return {above.removeprefix("."): " ".join(text.split())} if value not in (None, "", []) else {}


def _hashes(study: dict[str, Any]) -> dict[str, str]:
    dataset, weights = study.get("dataset") or {}, study.get("weights") or {}
    found = {
        "code": study.get("code_sha256"),
        "git commit": study.get("git_commit"),
        "split": dataset.get("split_sha256"),
        "choice": study.get("choice_sha256"),
        f"weights: {weights.get('name')}": weights.get("sha256"),
        **{f"data: {name}": digest for name, digest in (dataset.get("files") or {}).items()},
    }
    return {name: value for name, value in found.items() if value}


def _runs(table: Table, r: Recomputed) -> Iterator[tuple[int, str | None]]:
    runs = r.study.get("runs") or []
    if len(table.rows) != len(runs):
        yield 1, f"{table.title}: {len(table.rows)} rows for {len(runs)} runs"
    for number, (row, run) in enumerate(zip(table.rows, runs, strict=False), 1):
        times = [_moment(run.get(name)) for name in ("started_at", "ended_at")]
        expected = [str(number), *times, run.get("outcome", "—"), run.get("host", "—")]
        yield len(row), None if row == expected else f"{table.title}: {row} must be {expected}"


def _moment(text: str | None) -> str:
    return f"{pd.Timestamp(text).tz_convert('UTC'):%Y-%m-%d %H:%M} UTC" if text else "—"


def _card(table: Table, r: Recomputed) -> Iterator[tuple[int, str | None]]:
    family = table.title.removeprefix(CARD)
    tuned = (r.study.get("choice") or {}).get(family, {}).get("params")
    sides = {"baseline": r.study["baselines"].get(family), "tuned": tuned}
    for name, *cells in table.rows:
        for role, cell in zip(table.columns[1:], cells, strict=True):
            if name in MEASURED:
                right = _is_measured(r, (family, role), name, cell)
            else:
                right = cell == _network(r, sides[role]).get(name, "—")
            yield 1, None if right else f"{table.title}: {name} of {role} is {cell!r}"


MEASURED = {
    "parameters": ("parameters", 1),
    "trained parameters": ("trained_parameters", 1),
    "forward MFLOPs per image": ("forward_flops_per_image", 1e-6),
}


def _is_measured(r: Recomputed, model: tuple[str, str], name: str, cell: str) -> bool:
    """Whether a cell is what `final.parquet` says; a dash where it does not."""
    column, scale = MEASURED[name]
    own = r.final[(r.final.family == model[0]) & (r.final.role == model[1])]
    own = own[own.train_fraction == r.largest]
    value = own[column].iloc[0] if len(own) and column in own else None
    return cell == "—" if value is None or pd.isna(value) else agrees(cell, value * scale)


def _network(r: Recomputed, params: dict[str, Any] | None) -> dict[str, str]:
    """What the hyperparameters say; nothing of a study of another version of the family."""
    if params is None or not {"frozen_stages", "schedule", "optimizer"} <= params.keys():
        return {}
    own, size = r.study["dataset"]["image_shape"][0], params["input_size"]
    frozen, plain = params["frozen_stages"], params["normalization"] == "zero_one"
    kept = "the stem and stage 1" if frozen == 1 else f"the stem and stages 1 to {frozen}"
    return {
        "stem": "ImageNet's: 7x7 convolution with stride 2, then 3x3 max-pooling with stride 2",
        "input size": f"{size} px" + f", resized from {own}, bilinear" * (size != own),
        "normalisation": "[0, 1], no mean or deviation" if plain else f"imagenet: {IMAGENET}",
        "trained layers": f"all but {kept} of 4, whose batch norm statistics are kept too"
        if frozen
        else "all",
        "head": f"new: 256 units, ReLU, dropout {params['dropout']:g}, {len(r.classes)} classes",
    }
