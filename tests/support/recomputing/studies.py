"""Several studies side by side: the tables that their report must hold."""

import itertools
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from recomputing.intervals import METRICS, p_of_means
from recomputing.of_record import leaves
from recomputing.of_search import effort
from recomputing.of_tests import MODEL
from recomputing.search_results import Recomputed
from recomputing.tables import Keyed, over_seeds, table
from recomputing.tested import adjusted, difference

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


class Studies:
    """The studies by the name that each is shown by."""

    def __init__(self, folders: Sequence[Path]) -> None:
        ends = [folder.resolve().name for folder in folders]
        self.sides = {
            end if ends.count(end) == 1 else str(folder): Recomputed(folder)
            for end, folder in zip(ends, folders, strict=True)
        }

    def tables(self) -> Keyed:
        """Keys of all sections with their tables."""
        sides = self.sides.items()
        yield "differs/all", pd.DataFrame(self._differing)
        given = [effort(r, "family", r.families).assign(study=name) for name, r in sides]
        yield "effort/given", pd.concat(given)
        runs = pd.concat([r.measured.assign(study=name) for name, r in sides])
        metrics = [f"test_{metric}" for metric in METRICS]
        results = over_seeds(runs, [*MODEL, "study", "train_images"], metrics)
        yield "results/all", results.sort_values(MODEL, kind="stable")
        yield from self._pairs()
        openings = [
            (name, f"{row.at:%Y-%m-%d %H:%M:%S}", row.detail[:12])
            for name, r in sides
            for row in r.events[r.events.kind == "test_opened"].itertuples()
        ]
        yield "openings/all", table("study,at (UTC),for the choice", openings)

    def _pairs(self) -> Keyed:
        """Each model that two studies tested on the same images, with the most of each to train."""
        rows, tests = {}, {}
        for number, (a, b) in enumerate(combinations(self.sides.values(), 2)):
            for model in dict.fromkeys(model[:2] for model in a.models if _same_images(a, b)):
                keys = [(side, (*model, side.fractions[0])) for side in (a, b)]
                if all(key in side.seeds for side, key in keys):
                    of = {m: [side.seeds[key][m] for side, key in keys] for m in METRICS}
                    networks = frozenset(side.networks(*key) for side, key in keys)
                    tests[number, model] = (networks, p_of_means(*of["accuracy"]))
                    ends = (difference(*of[metric], metric) for metric in METRICS)
                    rows[number, model] = (*model, *itertools.chain(*ends))
        holm = adjusted(tests)
        names = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
        columns = f"a_family,a_role,{','.join(names)},p_value_holm"
        for number in {key[0] for key in rows}:
            own = [(*row, holm[key]) for key, row in rows.items() if key[0] == number]
            yield f"pairs/{number}", table(columns, own)

    @cached_property
    def _differing(self) -> list[dict[str, str]]:
        """Every entry that is not alike in all."""
        rows = []
        for key, aspect in ASPECTS.items():
            each = [_entries(r.study.get(key), key) for r in self.sides.values()]
            for entry in dict.fromkeys(name for own in each for name in own):
                values = [own.get(entry, "—") for own in each]
                if len(set(values)) > 1:
                    shown = dict(zip(self.sides, map(_short, values), strict=True))
                    name = entry.removeprefix(f"{key}.")
                    rows.append({"aspect": aspect, "entry": name, **shown})
        return rows


def _same_images(a: Recomputed, b: Recomputed) -> bool:
    if a.study["dataset"]["files"] != b.study["dataset"]["files"] or not (a.runs and b.runs):
        return False
    first, second = (next(iter(side.runs.values())) for side in (a, b))
    columns = ["image_index", "label"]
    alike = first[columns].to_numpy().tolist() == second[columns].to_numpy().tolist()
    return alike and len(a.classes) == len(b.classes)


def _entries(value: Any, key: str) -> dict[str, str]:
    if key == "spaces":
        value = {
            family: {name: _described(each["attributes"]) for name, each in space.items()}
            for family, space in (value or {}).items()
        }
    own = leaves({key: value}) if value is not None else {}
    return {name: text for name, text in own.items() if not name.startswith(UNCOMPARED)}


def _described(values: dict[str, Any]) -> str:
    if "choices" in values:
        return ", ".join(map(str, values["choices"]))
    return f"{values['low']:g}..{values['high']:g}" + " (log)" * values["log"]


def _short(text: str) -> str:
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text
