"""Every final run as a dot: how far seeds lie apart, beside how far models do."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from orchestrator.analysis.answer import TUNED
from orchestrator.analysis.formats import number, share
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import Section, grouped, model_name, percent, present
from orchestrator.report.chart import Axis, Chart, Panel, Points
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import family_symbols, family_tokens
from orchestrator.results.rows import FinalRow

ROW_PIXELS = 34


def figure(inputs: Inputs) -> Chart | None:
    """Test accuracy of each final run at the largest fraction, a row a model."""
    largest = max((row["train_fraction"] for row in inputs.final), default=None)
    rows = [
        row
        for row in inputs.final
        if row["train_fraction"] == largest and present([row["test_accuracy"]])
    ]
    models = [
        (family, own)
        for family in inputs.families
        for (_, _), own in sorted(
            grouped([r for r in rows if r["family"] == family], "family", "role"), reverse=True
        )
    ]
    if not models:
        return None
    means = [float(np.mean([row["test_accuracy"] for row in own])) for _, own in models]
    words = [
        f"{model_name(own[0])} {percent(mean)}"
        for (_, own), mean in zip(models, means, strict=True)
    ]
    return Chart(
        key="finals",
        title=f"Test accuracy of every final run at train fraction {largest:g}",
        finding=_finding(models),
        alt=f"Mean test accuracy of each model: {', '.join(words)}.",
        panels=[_panel(inputs, models)],
        numbers=Section(
            key="figures/finals",
            title="Final runs",
            table=pd.DataFrame(
                {name: row[name] for name in ("family", "role", "seed", "test_accuracy")}
                for _, own in models
                for row in own
            ),
            formats={
                "model": text("family", "role"),
                "seed": number("seed", "d"),
                "test accuracy": share("test_accuracy"),
            },
        ),
        wide=True,
        notes=("Filled: tuned. Hollow: baseline. One mark for each seed.",),
    )


def _panel(inputs: Inputs, models: Sequence[tuple[str, Sequence[FinalRow]]]) -> Panel:
    tokens, symbols = family_tokens(inputs.families), family_symbols(inputs.families)
    marks = [
        Points(
            x=[100 * row["test_accuracy"] for row in own],
            y=[-place] * len(own),
            colour=tokens[family],
            symbol=symbols[family] + ("" if own[0]["role"] == TUNED else "-open"),
            hover=[
                f"{model_name(row)}, seed {row['seed']}\n{percent(row['test_accuracy'])}"
                for row in own
            ],
        )
        for place, (family, own) in enumerate(models)
    ]
    return Panel(
        marks=marks,
        x=Axis(title="test accuracy", suffix="%"),
        y=Axis(
            ticks={
                -place: f"{family}\n{own[0]['role']}" for place, (family, own) in enumerate(models)
            },
            limits=(0.6 - len(models), 0.6),
        ),
        height=70 + ROW_PIXELS * len(models),
    )


def _finding(models: Sequence[tuple[str, Sequence[FinalRow]]]) -> str:
    spreads = [
        (float(np.std([row["test_accuracy"] for row in own], ddof=1)), own)
        for _, own in models
        if len(own) > 1
    ]
    if not spreads:
        return "One run of each model: nothing here shows how far another training would differ."
    widest, own = max(spreads, key=lambda each: each[0])
    return (
        f"The seeds of {model_name(own[0])} lie furthest apart: standard deviation "
        f"{100 * widest:.2f} percentage points over {len(own)} runs."
    )
