"""Several studies side by side: the tables that their report must hold."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from recomputing.intervals import DIFFERENCES, METRICS, adjusted, differences, p_of_means
from recomputing.of_page import leaves
from recomputing.of_search import effort
from recomputing.study import MODEL, Keyed, Recomputed, over_seeds, table

ASPECTS = {
    "settings": "settings",
    "spaces": "search spaces",
    "baselines": "baselines",
    "dataset": "data and split",
    "weights": "weights",
    "code_sha256": "code",
    "environment": "versions",
    "cluster": "machines",
}
UNCOMPARED = ("settings.name", "settings.results_dir", "settings.space.", "settings.baseline.")


def tables_of_studies(folders: Sequence[Path]) -> Keyed:
    """Keys of all sections with their tables."""
    sides = {folder.name: Recomputed(folder) for folder in folders}
    yield "differs/all", pd.DataFrame(_differing(sides))
    given = [effort(r, "family", r.families).assign(study=name) for name, r in sides.items()]
    yield "effort/given", pd.concat(given)
    runs = [r.measured.sort_index().assign(study=name) for name, r in sides.items()]
    of_model, names = [*MODEL, "study", "train_images"], [f"test_{metric}" for metric in METRICS]
    results = over_seeds(pd.concat(runs), of_model, names)
    names = [*(name for r in sides.values() for name in r.families), "baseline", "tuned"]
    of_model = {"by": MODEL, "key": lambda own: own.map(names.index)}
    yield "results/all", results.sort_values(kind="stable", **of_model)
    yield from _pairs([*sides.values()])
    openings = [
        (name, f"{row.at:%Y-%m-%d %H:%M:%S}", row.detail[:12])
        for name, r in sides.items()
        for row in r.events[r.events.kind == "test_opened"].itertuples()
    ]
    yield "openings/all", table("study,at (UTC),for the choice", openings)


def _pairs(sides: Sequence[Recomputed]) -> Keyed:
    """Each model that two studies tested on the same images, with the most of each to train."""
    rows, ps, networks = {}, {}, {}
    for number, (a, b) in enumerate(combinations(sides, 2)):
        for model in dict.fromkeys(model[:2] for model in a.models if _test_set(a) == _test_set(b)):
            own = [(side, (*model, side.fractions[0])) for side in (a, b)]
            seeds = [side.seeds[key] for side, key in own]
            networks[number, model] = frozenset(side.networks(*key) for side, key in own)
            ps[number, model] = p_of_means(*(metrics["accuracy"] for metrics in seeds))
            rows[number, model] = (*model, *differences(*seeds))
    holm = adjusted(networks, ps)
    for number in {key[0] for key in rows}:
        own = [(*row, holm[key]) for key, row in rows.items() if key[0] == number]
        yield f"pairs/{number}", table(f"a_family,a_role,{DIFFERENCES},p_value_holm", own)


def _test_set(r: Recomputed) -> tuple[Any, ...]:
    """What two studies have in common where their models can be compared."""
    images = next(iter(r.runs.values()))[["image_index", "label"]].to_numpy().tolist()
    return r.study["dataset"]["files"], len(r.classes), images


def _differing(sides: dict[str, Recomputed]) -> list[dict[str, str]]:
    """Every entry that is not alike in all, but of what some have no family for."""
    common = set.intersection(*(set(r.families) for r in sides.values()))
    apart = {
        f"{key}.{name}"
        for r in sides.values()
        for name in {*r.families} - common
        for key in ("spaces", "baselines")
    }
    rows = []
    for key, aspect in ASPECTS.items():
        each = [_entries(r.study.get(key), key) for r in sides.values()]
        for entry in dict.fromkeys(name for own in each for name in own):
            values = [own.get(entry, "—") for own in each]
            if len(set(values)) > 1 and ".".join(entry.split(".")[:2]) not in apart:
                shown = dict(zip(sides, values, strict=True))
                rows.append({"aspect": aspect, "entry": entry.removeprefix(f"{key}."), **shown})
    return rows


def _entries(value: Any, key: str) -> dict[str, str]:
    if key == "spaces":
        value = {
            family: {name: _described(each["attributes"]) for name, each in space.items()}
            for family, space in value.items()
        }
    own = leaves({key: value}).items()
    return {name: text for name, text in own if not name.startswith(UNCOMPARED)}


def _described(values: dict[str, Any]) -> str:
    if "choices" in values:
        return ", ".join(map(str, values["choices"]))
    return f"{values['low']:g}..{values['high']:g}" + " (log)" * values["log"]
