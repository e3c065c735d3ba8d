"""Early stopping: who survived each rung, whether early ranks held, and what was saved."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from orchestrator.analysis.early_stopping import correlate_ranks, estimate_savings, summarize_rungs
from orchestrator.analysis.section import count, percent
from orchestrator.cli import counted
from orchestrator.report.chart import Axis, Bars, Chart, Line, Panel, Points, whole_numbers
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import Look

Rows = Sequence[Any]
"""Of a pandas table, as named tuples."""
Looks = dict[str, Look]


def figure(inputs: Inputs) -> Chart | None:
    """Three panels over all searches; None before the first arrival at a rung."""
    tables, last_epoch = inputs.by_search, inputs.study.settings.epochs
    rungs = list(summarize_rungs(tables["rungs"]).itertuples())
    if not rungs:
        return None
    ranks = correlate_ranks(tables["rungs"], tables["epochs"], last_epoch=last_epoch)
    known = list(ranks.dropna().itertuples())
    savings = list(estimate_savings(tables["trials"], last_epoch=last_epoch).itertuples())
    looks = inputs.looks
    survival, saved = _survival(looks, rungs, savings), _savings(looks, savings)
    return Chart(
        key="early-stopping",
        title="Survivors, ranks and savings",
        finding=_finding(savings),
        panels=[survival, _ranks(looks, known), saved] if known else [survival, saved],
    )


def _survival(looks: Looks, rungs: Rows, savings: Rows) -> Panel:
    trials = {saving.family: saving.trials for saving in savings}
    marks = []
    for name, group in groupby(rungs, attrgetter("family")):
        own = list(group)
        went_on = [
            f"{name}, epoch {rung.rung}: {rung.survivors} of {rung.arrivals} went on"
            for rung in own
        ]
        line = Line(
            x=[0, *(rung.rung for rung in own)],
            y=[trials[name], *(rung.survivors for rung in own)],
            label=name,
            step=True,
            hover=[f"{name}: {counted(trials[name], 'trial')} began", *went_on],
            **looks[name],
        )
        marks.append(line)
    most = max(trials.values())
    return Panel(
        title="Trials that went on after each rung",
        marks=marks,
        x=Axis(title="epoch", ticks=whole_numbers(max(rung.rung for rung in rungs))),
        y=Axis(title="trials", limits=(0, 1.08 * most), ticks=whole_numbers(most)),
    )


def _ranks(looks: Looks, known: Rows) -> Panel:
    spans = sorted({(each.earlier, each.later) for each in known})
    groups = [(name, list(own)) for name, own in groupby(known, attrgetter("family"))]
    marks = []
    for place, (name, own) in enumerate(groups):
        shift = 0.25 * (place - (len(groups) - 1) / 2)
        points = Points(
            x=[each.rho for each in own],
            y=[-spans.index((each.earlier, each.later)) - shift for each in own],
            label=name,
            hover=[
                f"{name}: rho {each.rho:z.2f} over {each.trials} trials\n"
                f"epoch {each.earlier} against epoch {each.later}"
                for each in own
            ],
            **looks[name],
        )
        marks.append(points)
    return Panel(
        title="Do early ranks hold? Spearman's rho",
        marks=marks,
        x=Axis(title="rank correlation", limits=(min(-0.05, *(e.rho for e in known)), 1.05)),
        y=Axis.of_rows([f"epoch {earlier} → {later}" for earlier, later in spans]),
    )


def _savings(looks: Looks, savings: Rows) -> Panel:
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


def _finding(savings: Rows) -> str:
    stopped, trials, run, saved = (
        sum(getattr(saving, name) for saving in savings)
        for name in ("stopped", "trials", "epochs_run", "epochs_saved")
    )
    verb, whole = "was" if trials == 1 else "were", run + saved
    return (
        f"{count(stopped)} of {counted(trials, 'trial')} {verb} stopped early, which saved "
        f"{count(saved)} of {counted(whole, 'epoch')} ({percent(saved / (whole or 1), 0)})."
    )
