"""Parallel coordinates: every trial as a line through its hyperparameters, the best in colour."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from orchestrator.analysis.formats import share
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import Section, count, percent, present
from orchestrator.config.searches import Search, trial_order
from orchestrator.report.chart import Axis, Chart, Dash, Line, Panel
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import search_looks
from orchestrator.results.rows import TrialRow
from orchestrator.results.states import MAY_WIN, State
from search_spaces.baseline import Params
from search_spaces.dimension import describe
from search_spaces.spaces import INSTEAD
from trainables.epoch_rows import objective

ROW_PIXELS: Final = 52
BEST_SHARE: Final = 5
"""One in so many is drawn in colour, the best."""
MOST_IN_COLOUR: Final = 20
FEWEST_BEST: Final = 3
"""From fewer good trials nothing can be said of where they lie."""
MOST_WITH_HOVER: Final = 300
MOST_ROWS: Final = 20
SPREAD: Final = 0.05
"""Trials with the same choice lie this far apart at most."""


@dataclass(frozen=True, kw_only=True)
class SearchResults:
    """The trials of one search that can win, the best first.

    Attributes:
        name: Of the search.
        space: Dimension to distribution.
        trials: Rows of `trials.parquet`.
        params: The hyperparameters of each.
    """

    name: str
    space: Mapping[str, BaseDistribution]
    trials: Sequence[TrialRow]
    params: Sequence[Params]

    @property
    def best(self) -> int:
        """How many are drawn in colour: the best fifth, at least 1 and at most 20."""
        return max(1, min(len(self.trials) // BEST_SHARE, MOST_IN_COLOUR))


def search_results(inputs: Inputs) -> list[SearchResults]:
    """Each search that has a trial that can win."""
    found = (_results_of(inputs, search) for search in inputs.study.searches)
    return [each for each in found if each.trials and each.space]


def _results_of(inputs: Inputs, search: Search) -> SearchResults:
    rows = [
        row
        for row in inputs.trials
        if row["family"] == search.name
        and row["status"] in MAY_WIN
        and present([row["validation_accuracy"]])
    ]
    rows.sort(key=lambda row: (-objective(row), trial_order(row["trial_id"])))
    space = inputs.study.spaces.get(search.family, {})
    return SearchResults(
        name=search.name,
        space={name: json_to_distribution(json.dumps(values)) for name, values in space.items()},
        trials=rows,
        params=[json.loads(row["params_json"]) for row in rows],
    )


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None before a trial that can win has ended."""
    found = search_results(inputs)
    if not found:
        return None
    looks = search_looks(inputs.study.searches)
    findings = [finding for finding in map(_finding, found) if finding]
    few = f"Too few trials to say where good ones lie: {FEWEST_BEST * BEST_SHARE} are needed"
    return Chart(
        key="hyperparameters",
        title="Every trial through its hyperparameters",
        finding=f"The {'; the '.join(findings)}." if findings else f"{few} in a search.",
        alt=f"{'; '.join(map(_words, found))}.",
        panels=[_panel(each, looks[each.name][0]) for each in found],
        numbers=Section(
            key="figures/hyperparameters",
            title="The best trials and their hyperparameters",
            table=pd.DataFrame(
                {name: row[name] for name in ("trial_id", "validation_accuracy", "status")}
                | {"params": ", ".join(f"{name} {_shown(value)}" for name, value in own.items())}
                for each in found
                for row, own in list(zip(each.trials, each.params, strict=True))[:MOST_ROWS]
            ),
            formats={
                "trial": text("trial_id"),
                "validation accuracy": share("validation_accuracy"),
                "status": text("status"),
                "hyperparameters": text("params"),
            },
            notes=(f"At most {MOST_ROWS} of each search, the best first.",),
        ),
        wide=True,
        notes=(
            "Each row of a panel is one hyperparameter, low to high, or its choices in order, from "
            "left to right. A trial that was stopped early is dotted and counts with its best "
            "accuracy until then.",
            *_of_one_optimizer(found),
        ),
    )


def _of_one_optimizer(found: Sequence[SearchResults]) -> Iterator[str]:
    """What a reader must know of dimensions that most trials have and do not use."""
    names = {name for each in found for name in each.space}
    labels = [
        f"{name} in place of {shared} in trials with {optimizer}"
        for name, (optimizer, shared) in INSTEAD.items()
        if name in names
    ]
    if labels:
        yield f"Used of some: {', '.join(labels)}; others have a value that shapes nothing."


def _panel(each: SearchResults, colour: str) -> Panel:
    marks = [_lines(each, group) for group in _groups(each, colour) if group.chosen]
    names = list(each.space)
    return Panel(
        title=f"{each.name}: {count(len(each.trials))} trials",
        marks=marks,
        x=Axis(ticks={0: "low", 1: "high"}, limits=(-0.06, 1.06)),
        y=Axis(
            ticks={-i: f"{name}\n{describe(each.space[name])}" for i, name in enumerate(names)},
            limits=(0.5 - len(names), 0.5),
        ),
        height=70 + ROW_PIXELS * len(names),
    )


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Trials that are drawn alike, by their numbers from the best."""

    label: str
    chosen: Sequence[int]
    colour: str
    width: float = 1.0
    opacity: float = 1.0
    dash: Dash = "solid"


def _groups(each: SearchResults, colour: str) -> list[_Group]:
    order = range(len(each.trials))
    baseline = [i for i in order if each.trials[i]["role"] == "baseline"]
    stopped = {i for i in order if each.trials[i]["status"] == State.STOPPED} - {*baseline}
    whole = {*order} - stopped - {*baseline}
    good = range(each.best)
    other = range(each.best, len(each.trials))
    return [
        _Group(
            label="others, stopped",
            chosen=[i for i in other if i in stopped],
            colour="muted",
            opacity=0.35,
            dash="dot",
        ),
        _Group(
            label="others, not stopped",
            chosen=[i for i in other if i in whole],
            colour="muted",
            opacity=0.5,
        ),
        _Group(
            label="in colour: the best, stopped",
            chosen=[i for i in good if i in stopped],
            colour=colour,
            width=1.8,
            dash="dot",
        ),
        _Group(
            label="in colour: the best, not stopped",
            chosen=[i for i in good if i in whole],
            colour=colour,
            width=2.0,
        ),
        _Group(label="baseline", chosen=baseline, colour="ink", width=2.0, dash="dash"),
    ]


def _lines(each: SearchResults, group: _Group) -> Line:
    """One line of several parts, since thousands of lines of their own are slow to draw."""
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for i in group.chosen:
        for place, (name, distribution) in enumerate(each.space.items()):
            value = each.params[i].get(name)
            x.append(_place(distribution, value, i / max(1, len(each.trials) - 1)))
            y.append(-place)
            hover.append(
                f"{each.trials[i]['trial_id']}: {percent(each.trials[i]['validation_accuracy'])}\n"
                f"{name} {_shown(value)}"
            )
        x.append(None)
        y.append(None)
        hover.append("")
    labels = hover if len(each.trials) <= MOST_WITH_HOVER or group.colour != "muted" else ()
    return Line(
        x=x,
        y=y,
        colour=group.colour,
        label=group.label,
        width=group.width,
        opacity=group.opacity,
        dash=group.dash,
        hover=labels,
    )


def _place(distribution: BaseDistribution, value: Any, share: float) -> float | None:
    """Where a value lies between the lowest, 0, and the highest, 1."""
    if value is None:
        return None
    if isinstance(distribution, CategoricalDistribution):
        if value not in distribution.choices:
            return None
        last = max(1, len(distribution.choices) - 1)
        return distribution.choices.index(value) / last + SPREAD * (share - 0.5)
    assert isinstance(distribution, FloatDistribution | IntDistribution), distribution
    low, high, at = float(distribution.low), float(distribution.high), float(value)
    if distribution.log:
        low, high, at = np.log(low), np.log(high), np.log(max(at, 1e-300))
    return float((at - low) / (high - low)) if high > low else 0.5


def _finding(each: SearchResults) -> str:
    """The dimension in which the best trials lie closest together against the others."""
    if each.best < FEWEST_BEST:
        return ""
    widths = {}
    for name, distribution in each.space.items():
        if isinstance(distribution, FloatDistribution | IntDistribution):
            places = [_place(distribution, params.get(name), 0.5) for params in each.params]
            best, all_of_them = present(places[: each.best]), present(places)
            spread = max(all_of_them, default=0) - min(all_of_them, default=0)
            if best and spread:
                widths[name] = (max(best) - min(best)) / spread
    if not widths:
        return ""
    name = min(widths, key=lambda each: widths[each])
    values = present(params.get(name) for params in each.params[: each.best])
    return (
        f"best {each.best} of {each.name}'s {len(each.trials)} trials lie closest together in "
        f"{name}, {_shown(min(values))} to {_shown(max(values))}"
    )


def _words(each: SearchResults) -> str:
    first = each.trials[0]
    best = ", ".join(f"{name} {_shown(value)}" for name, value in each.params[0].items())
    stopped = sum(row["status"] == State.STOPPED for row in each.trials)
    return (
        f"{each.name}: {len(each.trials)} trials, {stopped} stopped early; best "
        f"{first['trial_id']} with {percent(first['validation_accuracy'])}: {best}"
    )


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
