"""How trials learned: median and band of each search, its baseline and its best trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import number, share, words
from orchestrator.analysis.frames import records
from orchestrator.analysis.section import Section, percent
from orchestrator.analysis.selection import can_win
from orchestrator.cli import counted
from orchestrator.config.searches import baseline_of
from orchestrator.report.chart import Axis, Band, Chart, Line, Mark, Panel, Rule, whole_numbers
from orchestrator.report.inputs import Inputs

QUARTILES = {"low": 0.25, "median": 0.5, "upper": 0.75}
ROWS = 10
"""Of the numbers, about: the first epoch, the last, and some between them."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """One search, epoch by epoch; accuracies are fractions.

    Attributes:
        epochs: `epoch`, `trials` that have it, their `median` and the quartiles `low` and `upper`.
        baseline: Epoch to the baseline's accuracy.
        best: The same of the best trial; empty where no trial can win yet.
    """

    name: str
    epochs: pd.DataFrame
    baseline: "pd.Series[float]"
    best: "pd.Series[float]"
    best_trial: str | None


def measure(inputs: Inputs) -> list[Curves]:
    """The curves of each search that has an epoch."""
    table = inputs.by_search["epochs"]
    best = can_win(inputs.by_search["trials"]).drop_duplicates("family")
    winners = dict(zip(best["family"], best["trial_id"], strict=True))
    curves = []
    for name in inputs.looks:
        rows = table[table["family"] == name].sort_values("epoch").set_index("epoch")
        accuracies, trials = rows["validation_accuracy"], rows["trial_id"]
        by_epoch = accuracies.groupby(level="epoch")
        quartiles = {name: by_epoch.quantile(share) for name, share in QUARTILES.items()}
        epochs = pd.DataFrame({"trials": by_epoch.count(), **quartiles})
        own = Curves(
            name=name,
            epochs=epochs.reset_index(),
            baseline=accuracies[trials == baseline_of(name)],
            best=accuracies[trials == winners.get(name)],
            best_trial=winners.get(name),
        )
        curves += [own] if len(rows) else []
    return curves


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None before the first epoch."""
    curves = measure(inputs)
    if not curves:
        return None
    return Chart(
        key="learning-curves",
        title="Validation accuracy, epoch by epoch",
        finding=_finding(curves),
        panels=_panels(inputs, curves),
        numbers=Section(
            key="figures/learning-curves",
            title="Validation accuracy, epoch by epoch",
            table=pd.concat(map(_some_epochs, curves), ignore_index=True),
            formats={
                "search": words("search"),
                "epoch": number("epoch", "d"),
                "trials": number("trials"),
                "lower quartile": share("low"),
                **{name: share(name) for name in ("median", "upper", "baseline")},
            },
        ),
        notes=(
            "Band: the middle half of the trials that reached the epoch; it jumps where early "
            "stopping (dotted lines) took the weaker ones out.",
        ),
    )


def _panels(inputs: Inputs, curves: Sequence[Curves]) -> list[Panel]:
    arrived = inputs.by_search["rungs"]
    stops = arrived[arrived["decision"] == "stop"]
    values = [
        value
        for each in curves
        for value in (*each.epochs["low"], *each.epochs["upper"], *each.best, *each.baseline)
    ]
    room = 0.05 * (100 * (max(values) - min(values)) or 1.0)
    limits = 100 * min(values) - room, 100 * max(values) + room
    return [
        Panel(
            title=each.name,
            marks=[
                *(Rule(at=int(at)) for at in sorted(set(stops.rung[stops.family == each.name]))),
                *_marks(each, inputs.looks[each.name]["colour"]),
            ],
            x=Axis(title="epoch", ticks=whole_numbers(int(each.epochs["epoch"].max()))),
            y=Axis(title="validation accuracy", suffix="%", limits=limits),
        )
        for each in curves
    ]


def _marks(each: Curves, colour: str) -> list[Mark]:
    x = each.epochs["epoch"].tolist()
    low, median, high = ((100 * each.epochs[name]).tolist() for name in QUARTILES)
    hover = [
        f"epoch {row['epoch']}: median {percent(row['median'])} of "
        f"{counted(row['trials'], 'trial')}\n"
        f"middle half {percent(row['low'])} to {percent(row['upper'])}"
        for row in records(each.epochs)
    ]
    symbol = "circle" if len(x) == 1 else ""
    best = f"best trial ({each.best_trial})"
    return [
        Band(x=x, low=low, high=high, colour=colour, label="middle half"),
        Line(x=x, y=median, colour=colour, label="median", symbol=symbol, hover=hover),
        _line(each.baseline, "baseline", colour="ink", label="baseline", dash="dash"),
        _line(each.best, best, colour=colour, label="best trial", dash="dot"),
    ]


def _line(curve: "pd.Series[float]", name: str, **look: Any) -> Line:
    return Line(
        x=curve.index.tolist(),
        y=(100 * curve).tolist(),
        width=1.6,
        symbol="circle" if len(curve) == 1 else "",
        hover=[f"{name}, epoch {epoch}: {percent(value)}" for epoch, value in curve.items()],
        **look,
    )


def _some_epochs(each: Curves) -> pd.DataFrame:
    places = np.linspace(0, len(each.epochs) - 1, ROWS).round().astype(int)
    found = each.epochs.iloc[np.unique(places)]
    baseline = found["epoch"].map(each.baseline.to_dict())
    return found.assign(search=each.name, baseline=baseline)[["search", *found, "baseline"]]


def _finding(curves: Sequence[Curves]) -> str:
    """At each search's last epoch: its median, and how the best trial stands to the baseline."""
    parts = [
        f"{each.name}: best trial {percent(each.best.max())}, baseline "
        f"{percent(each.baseline.max())}, median at the last epoch "
        f"{percent(each.epochs['median'].iloc[-1])}"
        for each in curves
    ]
    return f"Best validation accuracy of any epoch. {'; '.join(parts)}."
