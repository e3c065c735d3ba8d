"""Every final run as a dot: how far seeds lie apart, beside how far models do."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from orchestrator.analysis.answer import TUNED
from orchestrator.analysis.formats import number, share, words
from orchestrator.analysis.section import Section, at_largest, grouped, percent, present
from orchestrator.report.chart import Axis, Chart, Panel, Points
from orchestrator.report.inputs import Inputs
from orchestrator.results.rows import FinalRow, Model
from orchestrator.results.schema import ROLES

ROW_PIXELS = 34
Runs = Mapping[Model, Sequence[FinalRow]]


def figure(inputs: Inputs) -> Chart | None:
    """Test accuracy of each final run at the largest fraction, a row a model."""
    tested = [row for row in at_largest(inputs.final) if present([row["test_accuracy"]])]
    by_model = dict(grouped(tested, "family", "role"))
    models = [(family, role) for family in inputs.families for role in reversed(ROLES)]
    runs = {model: by_model[model] for model in models if model in by_model}
    if not runs:
        return None
    return Chart(
        key="finals",
        title=f"Test accuracy of every final run at train fraction {tested[0]['train_fraction']:g}",
        finding=_finding(runs),
        panels=[_panel(inputs, runs)],
        numbers=Section(
            key="figures/finals",
            title="Final runs",
            table=pd.DataFrame(
                [row for own in runs.values() for row in own],
                columns=["family", "role", "seed", "test_accuracy"],
            ),
            formats={
                "model": words("family", "role"),
                "seed": number("seed", "d"),
                "test accuracy": share("test_accuracy"),
            },
        ),
        wide=True,
        notes=("Filled: tuned. Hollow: baseline. One mark for each seed.",),
    )


def _panel(inputs: Inputs, runs: Runs) -> Panel:
    marks = [
        Points(
            x=[100 * row["test_accuracy"] for row in own],
            y=[-place] * len(own),
            hollow=role != TUNED,
            hover=[
                f"{family} {role}, seed {row['seed']}\n{percent(row['test_accuracy'])}"
                for row in own
            ],
            **inputs.looks[family],
        )
        for place, ((family, role), own) in enumerate(runs.items())
    ]
    return Panel(
        marks=marks,
        x=Axis(title="test accuracy", suffix="%"),
        y=Axis.of_rows(["\n".join(model) for model in runs]),
        height=70 + ROW_PIXELS * len(runs),
    )


def _finding(runs: Runs) -> str:
    spreads = {
        model: float(np.std([row["test_accuracy"] for row in own], ddof=1))
        for model, own in runs.items()
        if len(own) > 1
    }
    if not spreads:
        return "One run of each model: nothing here shows how far another training would differ."
    widest = max(spreads, key=lambda model: spreads[model])
    spread = f"{100 * spreads[widest]:.2f} percentage points"
    if spread.startswith("0.00"):
        return f"The seeds of each model lie together: no standard deviation is above {spread}."
    return (
        f"The seeds of {' '.join(widest)} lie furthest apart: standard deviation {spread} over "
        f"{len(runs[widest])} runs."
    )
