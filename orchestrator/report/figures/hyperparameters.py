"""Parallel coordinates: every trial as a line through its hyperparameters, the best in colour."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution

from orchestrator.analysis.formats import share, words
from orchestrator.analysis.section import Section, percent, present
from orchestrator.analysis.test_results import in_words
from orchestrator.cli import counted
from orchestrator.config.searches import trial_order
from orchestrator.report.chart import Axis, Chart, Line, Panel
from orchestrator.report.inputs import Inputs
from orchestrator.results.rows import TrialRow
from orchestrator.results.states import MAY_WIN, State
from search_spaces.baseline import Params
from search_spaces.dimension import describe, read_distribution
from search_spaces.spaces import INSTEAD
from trainables.epoch_rows import objective

ROW_PIXELS: Final = 52
BEST_SHARE: Final = 5
"""One in so many is drawn in colour, the best."""
MOST_IN_COLOUR: Final = 20
MOST_WITH_HOVER: Final = 300
MOST_ROWS: Final = 20
SPREAD: Final = 0.05
"""Trials with the same choice lie this far apart at most."""
Point = tuple[float | None, float | None, str]
STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "others, stopped": {"colour": "muted", "width": 1.0, "opacity": 0.35, "dash": "dot"},
    "others, not stopped": {"colour": "muted", "width": 1.0, "opacity": 0.5},
    "in colour: the best, stopped": {"width": 1.8, "dash": "dot"},
    "in colour: the best, not stopped": {},
    "baseline": {"colour": "ink", "dash": "dash"},
}
"""Label of trials that are drawn alike to their line, in the search's colour if none is said."""


@dataclass(frozen=True, kw_only=True)
class SearchResults:
    """The trials of one search that can win, the best first, with the hyperparameters of each."""

    name: str
    space: Mapping[str, BaseDistribution]
    trials: Sequence[TrialRow]
    params: Sequence[Params]


def search_results(inputs: Inputs) -> list[SearchResults]:
    """Each search that has a trial that can win."""
    found = []
    for search in inputs.study.searches:
        rows = [
            row
            for row in inputs.trials
            if row["family"] == search.name
            and row["status"] in MAY_WIN
            and present([row["validation_accuracy"]])
        ]
        rows.sort(key=lambda row: (-objective(row), trial_order(row["trial_id"])))
        stored = inputs.study.spaces.get(search.family, {})
        space = {name: read_distribution(values) for name, values in stored.items()}
        if rows and space:
            params = [json.loads(row["params_json"]) for row in rows]
            found.append(SearchResults(name=search.name, space=space, trials=rows, params=params))
    return found


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None before a trial that can win has ended."""
    found = search_results(inputs)
    if not found:
        return None
    measure = in_words(inputs.study.settings.objective)
    by = "" if measure == "accuracy" else f" by {measure}, with its accuracy"
    firsts = (each.trials[0] for each in found)
    best = (f"{row['trial_id']} with {percent(row['validation_accuracy'])}" for row in firsts)
    # Dimensions that most trials have and do not use.
    some = ", ".join(
        f"{name} in place of {shared} in trials with {optimizer}"
        for name, (optimizer, shared) in INSTEAD.items()
        if any(name in each.space for each in found)
    )
    return Chart(
        key="hyperparameters",
        title="Every trial through its hyperparameters",
        finding=f"The best of each search{by}: {', '.join(best)}.",
        panels=[_panel(each, inputs.looks[each.name]["colour"]) for each in found],
        numbers=Section(
            key="figures/hyperparameters",
            title="The best trials and their hyperparameters",
            table=pd.DataFrame(
                {**row, "params": ", ".join(f"{name} {_shown(own[name])}" for name in own)}
                for each in found
                for row, own in list(zip(each.trials, each.params, strict=True))[:MOST_ROWS]
            )[["trial_id", "validation_accuracy", "status", "params"]],
            formats={
                "trial": words("trial_id"),
                "validation accuracy": share("validation_accuracy"),
                "status": words("status"),
                "hyperparameters": words("params"),
            },
            notes=(f"At most {MOST_ROWS} of each search, the best first.",),
        ),
        wide=True,
        notes=(
            "Each row of a panel is one hyperparameter, low to high, or its choices in order, from "
            "left to right. A trial that was stopped early is dotted and counts with its best "
            f"{measure} until then.",
            *([f"Used of some: {some}; others have a value that shapes nothing."] if some else ()),
        ),
    )


def _panel(each: SearchResults, own_colour: str) -> Panel:
    marks = []
    for label, style in STYLES.items():
        chosen = [i for i in range(len(each.trials)) if _drawn_as(each, i) == label]
        if chosen:
            # One line of several parts, since thousands of lines of their own are slow to draw.
            x, y, hover = zip(*_points(each, chosen), strict=True)
            look = {"colour": own_colour, **style}
            few = len(each.trials) <= MOST_WITH_HOVER or look["colour"] != "muted"
            marks.append(Line(x=x, y=y, label=label, hover=hover if few else (), **look))
    return Panel(
        title=f"{each.name}: {counted(len(each.trials), 'trial')}",
        marks=marks,
        x=Axis(ticks={0: "low", 1: "high"}, limits=(-0.06, 1.06)),
        y=Axis.of_rows([f"{name}\n{describe(own)}" for name, own in each.space.items()], edge=0.5),
        height=70 + ROW_PIXELS * len(each.space),
    )


def _drawn_as(each: SearchResults, i: int) -> str:
    """Which of the styles a trial has, by its number from the best."""
    if each.trials[i]["role"] == "baseline":
        return "baseline"
    best = max(1, min(len(each.trials) // BEST_SHARE, MOST_IN_COLOUR))
    group = "in colour: the best" if i < best else "others"
    return f"{group}, {'' if each.trials[i]['status'] == State.STOPPED else 'not '}stopped"


def _points(each: SearchResults, chosen: Sequence[int]) -> Iterator[Point]:
    """Position and text of each trial's points, with a gap between two trials."""
    for i in chosen:
        row, params = each.trials[i], each.params[i]
        trial = f"{row['trial_id']}: {percent(row['validation_accuracy'])}"
        for place, (name, distribution) in enumerate(each.space.items()):
            value = params.get(name)
            x = _place(distribution, value, i / max(1, len(each.trials) - 1))
            yield x, -place, f"{trial}\n{name} {_shown(value)}"
        yield None, None, ""


def _place(distribution: Any, value: Any, share: float) -> float | None:
    """Where a value lies between the lowest, 0, and the highest, 1."""
    if value is None:
        return None
    if isinstance(distribution, CategoricalDistribution):
        if value not in distribution.choices:
            return None
        last = max(1, len(distribution.choices) - 1)
        return distribution.choices.index(value) / last + SPREAD * (share - 0.5)
    low, high, at = float(distribution.low), float(distribution.high), float(value)
    if distribution.log:
        low, high, at = np.log(low), np.log(high), np.log(max(at, 1e-300))
    return float((at - low) / (high - low)) if high > low else 0.5


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
