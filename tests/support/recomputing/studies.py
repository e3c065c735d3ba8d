"""Several studies side by side: what their page must hold."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from math import isclose
from pathlib import Path
from typing import Any

import pandas as pd

from recomputing.cells.registry import UNITS, known, scaled, spread
from recomputing.intervals import Seeds, interval
from recomputing.rules import STUDIES, Values
from recomputing.shown import Table
from recomputing.stored import leaves
from recomputing.study import Recomputed
from recomputing.tested import by_holm, mcnemar
from recomputing.words import model_of

ASPECTS = {
    "settings": "settings",
    "search spaces": "spaces",
    "baselines": "baselines",
    "data and split": "dataset",
    "weights": "weights",
    "code": "code_sha256",
    "versions": "environment",
    "machines": "cluster",
}
UNCOMPARED = ("settings.name", "settings.results_dir", "settings.space.", "settings.baseline.")
COLUMNS = {
    "test loss": "loss",
    "test accuracy": "accuracy",
    "macro precision": "precision",
    "macro recall": "recall",
}
Check = Callable[[Table, int, Mapping[tuple[str, ...], Any]], Iterator[tuple[int, str | None]]]


class Studies:
    """The studies by the name that each is shown by."""

    def __init__(self, folders: Sequence[Path]) -> None:
        ends = [folder.resolve().name for folder in folders]
        self.sides = {
            end if ends.count(end) == 1 else str(folder): Recomputed(folder)
            for end, folder in zip(ends, folders, strict=True)
        }

    @cached_property
    def families(self) -> list[str]:
        """Of all studies."""
        names = [family for side in self.sides.values() for family in side.families]
        return list(dict.fromkeys(names))

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Each two that were tested on the same images."""
        return [(a, b) for a, b in combinations(self.sides, 2) if self._same_images(a, b)]

    def _same_images(self, a: str, b: str) -> bool:
        one, other = self.sides[a], self.sides[b]
        if one.study["dataset"]["files"] != other.study["dataset"]["files"]:
            return False
        tested = [next(iter(side.runs.values()), None) for side in (one, other)]
        if any(run is None for run in tested):
            return False
        first, second = tested
        columns = ["image_index", "label"]
        return bool((first[columns].to_numpy() == second[columns].to_numpy()).all())

    def models(self, a: str, b: str) -> list[tuple[str, str]]:
        """Family and role of what both tested at their largest fraction."""
        own = [
            [model[:2] for model in side.models if model[2] == side.largest]
            for side in (self.sides[a], self.sides[b])
        ]
        return [model for model in own[0] if model in own[1]]

    def _seeds(self, side: str, model: tuple[str, str], metric: str) -> Seeds:
        study = self.sides[side]
        return study.seeds[*model, study.largest][metric]

    def difference(
        self, a: str, b: str, model: tuple[str, str], metric: str = "accuracy"
    ) -> tuple[float, float, float]:
        """Of the means over seeds of a model in two studies."""
        assert (a, b) in self.pairs
        first, second = (self._seeds(side, model, metric) for side in (a, b))
        return first.points.mean() - second.points.mean(), *interval(first, second)

    @cached_property
    def holm(self) -> dict[tuple[str, str, tuple[str, str], int], float]:
        """Holm's p of a pair of studies, model and seed, over all of that seed."""
        raw: dict[int, dict[tuple[Any, ...], float]] = {}
        for a, b in self.pairs:
            for model in self.models(a, b):
                runs = [self._runs(side, model) for side in (a, b)]
                for seed in sorted(runs[0].keys() & runs[1].keys()):
                    p = mcnemar(runs[0][seed], runs[1][seed])
                    raw.setdefault(seed, {})[a, b, model] = p
        return {
            (*key, seed): p
            for seed, own in raw.items()
            for key, p in zip(own, by_holm([*own.values()]), strict=True)
        }

    def _runs(self, side: str, model: tuple[str, str]) -> dict[int, pd.DataFrame]:
        study = self.sides[side]
        return {
            key[3]: run for key, run in study.runs.items() if key[:3] == (*model, study.largest)
        }

    def check(self, table: Table, check: Check) -> Iterator[tuple[int, str | None]]:
        """Holds a table of the page against what it must be."""
        if table.title == "What differs":
            expected = self.differing
            shown = {tuple(row[:2]): row[2:] for row in table.rows}
            for key in expected.keys() | shown.keys():
                wrong = f"{key} is {shown.get(key)}, not {expected.get(key)}"
                yield 1, None if shown.get(key) == expected.get(key) else wrong
        elif table.title == "Openings of the test set":
            rows = [row for side in self.sides for row in self._openings(side)]
            yield len(rows), None if table.rows == rows else f"{table.rows} is not {rows}"
        else:
            keys, cells = self._cells(table)
            yield from check(table, keys, cells)

    def _cells(self, table: Table) -> tuple[int, dict[tuple[str, ...], Any]]:
        if table.title == "What each search was given":
            return 2, dict(self._efforts())
        if table.title == "Test results":
            return 3, dict(self._results())
        if table.title.startswith("Differences in test accuracy between studies"):
            return 2, dict(self._drawn())
        a, _, b = table.title.partition(" minus ")
        return 1, dict(self._paired(a, b))

    def _efforts(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, side in self.sides.items():
            final = side.final.drop_duplicates("trial_id")
            for family in side.families:
                own = side.trials[side.trials.family == family]
                yield (name, family, "trials"), [len(own)]
                yield (name, family, "epochs"), [own.epochs_run.sum()]
                yield (name, family, "search device s"), [own.device_seconds.sum()]
                seconds = final[final.family == family].device_seconds.sum()
                yield (name, family, "finals device s"), [seconds]

    def _results(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, side in self.sides.items():
            for family, role, fraction in side.models:
                own = side.of_model(family, role, fraction)
                key = (f"{family} {role}", name, f"{side.images[fraction]:,}")
                for column, metric in COLUMNS.items():
                    yield (*key, column), spread(own[metric], UNITS[metric])
                yield (*key, "seeds"), [len(own)]

    def _drawn(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        for a, b in self.pairs:
            for model in self.models(a, b):
                found = scaled(self.difference(a, b, model))
                for column, value in zip(("points", "95% from", "to"), found, strict=True):
                    yield (f"{a} minus {b}", " ".join(model), column), [value]

    def _paired(self, a: str, b: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        for model in self.models(a, b):
            name = " ".join(model)
            for metric in UNITS:
                yield (name, metric), scaled(self.difference(a, b, model, metric), metric)
            own = {key[3]: p for key, p in self.holm.items() if key[:3] == (a, b, model)}
            said = {s: f"{p:.4f}" if p >= 0.0001 else "below 0.0001" for s, p in own.items()}
            listed = ", ".join(f"{p} (seed {seed})" for seed, p in said.items())
            yield (name, "Holm-adjusted p"), listed or "—"

    def _openings(self, side: str) -> Iterator[list[str]]:
        events = self.sides[side].events
        for row in events[events.kind == "test_opened"].itertuples():
            yield [side, f"{row.at:%Y-%m-%d %H:%M:%S}", (row.detail or "—")[:12]]

    @cached_property
    def differing(self) -> dict[tuple[str, str], list[str]]:
        """Aspect and entry to what stands in each study, where they are not alike."""
        found = {}
        for aspect, key in ASPECTS.items():
            each = [_entries(side.study.get(key), key) for side in self.sides.values()]
            for entry in dict.fromkeys(name for own in each for name in own):
                values = [own.get(entry, "—") for own in each]
                if len(set(values)) > 1:
                    found[aspect, entry.removeprefix(f"{key}.")] = [*map(_short, values)]
        return found


def _entries(value: Any, key: str) -> dict[str, str]:
    if key == "spaces":
        value = {
            family: {name: _described(json.loads(json.dumps(d))) for name, d in space.items()}
            for family, space in (value or {}).items()
        }
    own = leaves({key: value}) if value is not None else {}
    return {name: text for name, text in own.items() if not name.startswith(UNCOMPARED)}


def _described(distribution: dict[str, Any]) -> str:
    values = distribution["attributes"]
    if "choices" in values:
        return ", ".join(map(str, values["choices"]))
    return f"{values['low']:g}..{values['high']:g}" + " (log)" * values["log"]


def _short(text: str) -> str:
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


# What the sentences say.


def all_differences(s: Studies) -> list[tuple[float, float, float]]:
    """Of every model that two studies share."""
    return [s.difference(a, b, model) for a, b in s.pairs for model in s.models(a, b)]


@STUDIES.says(
    "# of # differences in test accuracy have ; the largest is that of {model}, {a} minus {b}: "
    "# [#, #] percentage points"
)
def largest(s: Studies, model: str, a: str, b: str) -> Values:
    found, own = all_differences(s), s.difference(a, b, model_of(model))
    assert isclose(abs(own[0]), max(abs(difference) for difference, _, _ in found))
    clear = sum(low > 0 or high < 0 for _, low, high in found)
    return [clear, len(found), *scaled(own)]


@STUDIES.says("{a} minus {b} {model} # [#, #]", "{a} minus {b} | {model} / # [#, #] points")
def difference(s: Studies, a: str, b: str, model: str) -> Values:
    return scaled(s.difference(a, b, model_of(model)))


@STUDIES.says("{a}: its test set was opened # times")
def opened(s: Studies, a: str) -> Values:
    return known(s.sides[a].study["test_openings"])


@STUDIES.says("On the same # test images")
def same_images(s: Studies) -> Values:
    (images,) = {len(run) for side in s.sides.values() for run in side.runs.values()}
    return [images]
