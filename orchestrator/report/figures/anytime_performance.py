"""What a search found with its time: best validation accuracy against device-hours."""

from collections.abc import Mapping

import pandas as pd

from orchestrator.analysis.anytime_performance import best_after, trace_best
from orchestrator.analysis.formats import rounded, share, words
from orchestrator.analysis.section import Section, duration, percent
from orchestrator.report.chart import Axis, Chart, Line, Panel
from orchestrator.report.inputs import Inputs

SECONDS_PER_HOUR = 3600
Steps = Mapping[str, pd.DataFrame]


def steps(inputs: Inputs) -> Steps:
    """Search to the device-seconds `spent` when its `best` rose, and to what; the last is its end.

    Only searches that have an epoch of a trial that can win are in it.
    """
    traces = trace_best(inputs.by_search["trials"], inputs.by_search["epochs"])
    known = {name: traces[name].dropna() for name in inputs.looks if name in traces}
    return {
        name: pd.concat([own[own["best"] != own["best"].shift()], own[-1:]])
        for name, own in known.items()
        if len(own)
    }


def figure(inputs: Inputs) -> Chart | None:
    """One line a search; None before the first epoch of a trial that can win."""
    found = steps(inputs)
    if not found:
        return None
    longest = max(own["spent"].iloc[-1] for own in found.values())
    per_unit, unit = (3600, "hours") if longest > SECONDS_PER_HOUR else (1, "seconds")
    return Chart(
        key="best-so-far",
        title="Best validation accuracy so far against device time",
        finding=_finding(found),
        panels=[_panel(inputs, found, per_unit, unit)],
        numbers=Section(
            key="figures/anytime-performance",
            title="Where the best rose",
            table=pd.concat({name: own[:-1] for name, own in found.items()}, names=["search"])
            .reset_index(level="search")
            .rename(columns={"spent": "device_seconds", "best": "accuracy"}),
            formats={
                "search": words("search"),
                f"device {unit}": rounded("device_seconds", scale=1 / per_unit),
                "best validation accuracy": share("accuracy"),
            },
        ),
        wide=True,
    )


def _panel(inputs: Inputs, found: Steps, per_unit: int, unit: str) -> Panel:
    marks = [
        Line(
            x=(own["spent"] / per_unit).tolist(),
            y=(100 * own["best"]).tolist(),
            label=name,
            step=True,
            dash="solid" if name in inputs.families else "dot",  # the most images
            hover=[
                f"{name}: {percent(best)}\nafter {duration(at)}"
                for at, best in zip(own["spent"], own["best"], strict=True)
            ],
            **inputs.looks[name],
        )
        for name, own in found.items()
    ]
    return Panel(
        marks=marks,
        x=Axis(title=f"device {unit} spent on the search"),
        y=Axis(title="best validation accuracy", suffix="%"),
        height=380,
    )


def _finding(found: Steps) -> str:
    """Who was best with the time that every search had, and where each found its best."""
    rises = ", ".join(
        f"{name} after {duration(own['spent'].iloc[-2])}" for name, own in found.items()
    )
    if len(found) == 1:
        return f"Found its best: {rises}."
    budget = min(own["spent"].iloc[-1] for own in found.values())
    bests = pd.Series({name: best_after(own, budget) for name, own in found.items()})
    best = bests.max()  # one whose first trials cannot win has none then
    leaders = bests.index[bests == best]
    return (
        f"With the {duration(budget)} of device time that every search had, "
        f"{' and '.join(leaders)} {'was' if len(leaders) == 1 else 'were'} best with "
        f"{percent(best)}. Found their best: {rises}."
    )
