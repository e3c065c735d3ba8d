"""How trials learned: median and band of each search, its baseline and its best trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import number, share
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import MISSING, Section, percent
from orchestrator.analysis.selection import describe_selection
from orchestrator.report.chart import Axis, Band, Chart, Line, Mark, Panel, Rule, whole_numbers
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import search_looks

QUARTILES = (0.25, 0.5, 0.75)
COLUMNS = ["family", "trial_id", "epoch", "validation_accuracy"]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """One search, epoch by epoch; accuracies are fractions.

    Attributes:
        name: Of the search.
        epochs: From 1.
        trials: That have the epoch.
        low: Their first quartile.
        median: Their median.
        high: Their third quartile.
        baseline: The baseline's epochs and accuracies.
        best: The same of the best trial.
        best_trial: Its trial_id; None where no trial can win yet.
    """

    name: str
    epochs: Sequence[int]
    trials: Sequence[int]
    low: Sequence[float]
    median: Sequence[float]
    high: Sequence[float]
    baseline: tuple[Sequence[int], Sequence[float]]
    best: tuple[Sequence[int], Sequence[float]]
    best_trial: str | None


def measure(inputs: Inputs) -> list[Curves]:
    """The curves of each search that has an epoch."""
    table = inputs.by_search["epochs"].select(COLUMNS).to_pandas()
    names = [search.name for search in inputs.study.searches]
    selections = describe_selection(names, inputs.by_search["trials"], inputs.tables["final"])
    winners = dict(zip(selections["family"], selections["winner"], strict=True))
    return [
        _measure(name, table[table["family"] == name], winners[name])
        for name in names
        if (table["family"] == name).any()
    ]


def _measure(name: str, rows: pd.DataFrame, winner: str | None) -> Curves:
    by_epoch = rows.groupby("epoch")["validation_accuracy"]
    low, median, high = (by_epoch.quantile(share) for share in QUARTILES)
    return Curves(
        name=name,
        epochs=[int(epoch) for epoch in median.index],
        trials=[int(n) for n in by_epoch.count()],
        low=low.tolist(),
        median=median.tolist(),
        high=high.tolist(),
        baseline=_one(rows, f"{name}-000"),
        best=_one(rows, winner),
        best_trial=winner,
    )


def _one(rows: pd.DataFrame, trial: str | None) -> tuple[list[int], list[float]]:
    own = rows[rows["trial_id"] == trial].sort_values("epoch")
    return own["epoch"].tolist(), own["validation_accuracy"].tolist()


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None before the first epoch."""
    curves = measure(inputs)
    if not curves:
        return None
    panels = _panels(inputs, curves)
    return Chart(
        key="learning-curves",
        title="Validation accuracy, epoch by epoch",
        finding=_finding(curves),
        alt=f"{'; '.join(map(_words, curves))}.",
        panels=panels,
        numbers=Section(
            key="figures/learning-curves",
            title="Validation accuracy, epoch by epoch",
            table=pd.DataFrame(row for each in curves for row in _rows(each)),
            formats={
                "search": text("search"),
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
    looks = search_looks(inputs.study.searches)
    arrived = inputs.by_search["rungs"].select(["family", "rung", "decision"]).to_pandas()
    stops = arrived[arrived["decision"] == "stop"]
    values = [v for each in curves for v in (*each.low, *each.best[1], *each.baseline[1])]
    tops = [v for each in curves for v in (*each.high, *each.best[1], *each.baseline[1])]
    span = 100 * (max(tops) - min(values)) or 1.0
    limits = 100 * min(values) - 0.05 * span, 100 * max(tops) + 0.05 * span
    return [
        Panel(
            title=each.name,
            marks=[
                *(
                    Rule(at=int(rung))
                    for rung in sorted(set(stops.rung[stops.family == each.name]))
                ),
                *_marks(each, looks[each.name][0]),
            ],
            x=Axis(title="epoch", ticks=whole_numbers(max(each.epochs))),
            y=Axis(title="validation accuracy", suffix="%", limits=limits),
        )
        for each in curves
    ]


def _marks(each: Curves, colour: str) -> list[Mark]:
    labels = [
        f"epoch {epoch}: median {percent(median)} of {trials} trials\n"
        f"middle half {percent(low)} to {percent(high)}"
        for epoch, trials, low, median, high in zip(
            each.epochs, each.trials, each.low, each.median, each.high, strict=True
        )
    ]
    symbol = "circle" if len(each.epochs) == 1 else ""
    return [
        Band(
            x=each.epochs,
            low=_scaled(each.low),
            high=_scaled(each.high),
            colour=colour,
            label="middle half",
        ),
        Line(
            x=each.epochs,
            y=_scaled(each.median),
            colour=colour,
            label="median",
            symbol=symbol,
            hover=labels,
        ),
        _line(each.baseline, "ink", "baseline", "dash"),
        _line(each.best, colour, f"best trial ({each.best_trial})", "dot", "best trial"),
    ]


def _line(
    curve: tuple[Sequence[int], Sequence[float]],
    colour: str,
    name: str,
    dash: str,
    label: str = "",
) -> Line:
    epochs, values = curve
    return Line(
        x=epochs,
        y=_scaled(values),
        colour=colour,
        label=label or name,
        dash="dash" if dash == "dash" else "dot",
        width=1.6,
        symbol="circle" if len(epochs) == 1 else "",
        hover=[f"{name}, epoch {e}: {percent(v)}" for e, v in zip(epochs, values, strict=True)],
    )


def _rows(each: Curves) -> list[dict[str, Any]]:
    """The first epoch, the last, and about ten between them."""
    baseline = dict(zip(*each.baseline, strict=True))
    places = sorted(set(np.linspace(0, len(each.epochs) - 1, 10).round().astype(int).tolist()))
    return [
        {
            "search": each.name,
            "epoch": each.epochs[i],
            "trials": each.trials[i],
            "low": each.low[i],
            "median": each.median[i],
            "upper": each.high[i],
            "baseline": baseline.get(each.epochs[i]),
        }
        for i in places
    ]


def _finding(curves: Sequence[Curves]) -> str:
    """At each search's last epoch: its median, and how the best trial stands to the baseline."""
    parts = []
    for each in curves:
        part = f"{each.name}: best trial {_top(each.best)}, baseline {_top(each.baseline)}"
        parts.append(f"{part}, median at the last epoch {percent(each.median[-1])}")
    return f"Best validation accuracy of any epoch. {'; '.join(parts)}."


def _words(each: Curves) -> str:
    first, last = each.epochs[0], each.epochs[-1]
    return (
        f"{each.name}: median {percent(each.median[0])} at epoch {first} over {each.trials[0]} "
        f"trials, {percent(each.median[-1])} at epoch {last} over {each.trials[-1]}; "
        f"baseline at best {_top(each.baseline)}, best trial {_top(each.best)}"
    )


def _top(curve: tuple[Sequence[int], Sequence[float]]) -> str:
    return percent(max(curve[1])) if curve[1] else MISSING


def _scaled(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]
