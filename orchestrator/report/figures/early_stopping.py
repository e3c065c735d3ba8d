"""Early stopping: who survived each rung, whether early ranks held, and what was saved."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.analysis.early_stopping import correlate_ranks, estimate_savings, summarize_rungs
from orchestrator.analysis.section import count, percent
from orchestrator.cli import counted
from orchestrator.report.chart import Axis, Bars, Chart, Line, Panel, Points, whole_numbers
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import Look

Looks = dict[str, Look]


def figure(inputs: Inputs) -> Chart | None:
    """Three panels over all searches; None before the first arrival at a rung."""
    tables, last_epoch, looks = inputs.by_search, inputs.study.settings.epochs, inputs.looks
    rungs = summarize_rungs(tables["rungs"])
    if rungs.empty:
        return None
    ranks = correlate_ranks(tables["rungs"], tables["epochs"], last_epoch=last_epoch).dropna()
    savings = list(estimate_savings(tables["trials"], last_epoch=last_epoch).itertuples())
    panels = [_survival(looks, rungs, savings), _ranks(looks, ranks), _savings(looks, savings)]
    return Chart(
        key="early-stopping",
        title="Survivors, ranks and savings",
        finding=_finding(savings),
        panels=[each for each in panels if each.marks],
    )


def _survival(looks: Looks, rungs: pd.DataFrame, savings: Sequence[Any]) -> Panel:
    trials = {saving.family: saving.trials for saving in savings}
    marks = []
    for name, own in rungs.groupby("family", sort=False):
        went_on = [
            f"{name}, epoch {rung.rung}: {rung.survivors} of {rung.arrivals} went on"
            for rung in own.itertuples()
        ]
        line = Line(
            x=[0, *own["rung"]],
            y=[trials[name], *own["survivors"]],
            label=str(name),
            step=True,
            hover=[f"{name}: {counted(trials[name], 'trial')} began", *went_on],
            **looks[str(name)],
        )
        marks.append(line)
    most = max(trials.values())
    return Panel(
        title="Trials that went on after each rung",
        marks=marks,
        x=Axis(title="epoch", ticks=whole_numbers(rungs["rung"].max())),
        y=Axis(title="trials", limits=(0, 1.08 * most), ticks=whole_numbers(most)),
    )


def _ranks(looks: Looks, known: pd.DataFrame) -> Panel:
    spans = sorted(set(zip(known["earlier"], known["later"], strict=True)))
    groups = known.groupby("family", sort=False)
    marks = []
    for place, (name, own) in enumerate(groups):
        shift = 0.25 * (place - (len(groups) - 1) / 2)
        pairs = zip(own["earlier"], own["later"], strict=True)
        points = Points(
            x=own["rho"].tolist(),
            y=[-spans.index(pair) - shift for pair in pairs],
            label=str(name),
            hover=[
                f"{name}: rho {each.rho:z.2f} over {each.trials} trials\n"
                f"epoch {each.earlier} against epoch {each.later}"
                for each in own.itertuples()
            ],
            **looks[str(name)],
        )
        marks.append(points)
    return Panel(
        title="Do early ranks hold? Spearman's rho",
        marks=marks,
        x=Axis(title="rank correlation", limits=(min([-0.05, *known["rho"]]), 1.05)),
        y=Axis.of_rows([f"epoch {earlier} → {later}" for earlier, later in spans]),
    )


def _savings(looks: Looks, savings: Sequence[Any]) -> Panel:
    marks = [
        Bars(
            y=[-place],
            start=[start],
            length=[length],
            colour=looks[saving.family]["colour"],
            hollow=what == "saved",
            hover=[f"{saving.family}: {counted(length, 'epoch')} {what}"],
        )
        for place, saving in enumerate(savings)
        for start, length, what in (
            (0, saving.epochs_run, "run"),
            (saving.epochs_run, saving.epochs_saved, "saved"),
        )
    ]
    return Panel(
        title="Epochs run, saved (outlined)",
        marks=marks,
        x=Axis(title="epochs"),
        y=Axis.of_rows([saving.family for saving in savings]),
    )


def _finding(savings: Sequence[Any]) -> str:
    stopped, trials, run, saved = (
        sum(getattr(saving, name) for saving in savings)
        for name in ("stopped", "trials", "epochs_run", "epochs_saved")
    )
    verb, whole = "was" if trials == 1 else "were", run + saved
    return (
        f"{count(stopped)} of {counted(trials, 'trial')} {verb} stopped early, which saved "
        f"{count(saved)} of {counted(whole, 'epoch')} ({percent(saved / (whole or 1), 0)})."
    )
