"""What a search found with its time: best validation accuracy against device-hours."""

from collections.abc import Mapping, Sequence

import pandas as pd

from orchestrator.analysis.anytime_performance import best_after, trace_best
from orchestrator.analysis.formats import rounded, share
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import Section, duration, percent
from orchestrator.report.chart import Axis, Chart, Line, Panel
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import search_looks

SECONDS_PER_HOUR = 3600
Steps = Sequence[tuple[float, float]]
"""Device-seconds at which the best rose, and to what; the last is the end of the search."""


def steps(inputs: Inputs) -> dict[str, Steps]:
    """Search to where its best validation accuracy rose."""
    traces = trace_best(inputs.by_search["trials"], inputs.by_search["epochs"])
    found: dict[str, Steps] = {}
    for search in inputs.study.searches:
        if search.name not in traces:
            continue
        known = list(traces[search.name].dropna().itertuples(index=False, name=None))
        if known:
            before = [None, *(best for _, best in known)]
            rises = [step for step, last in zip(known, before, strict=False) if step[1] != last]
            found[search.name] = [*rises, known[-1]]
    return found


def figure(inputs: Inputs) -> Chart | None:
    """One line a search; None before the first epoch of a trial that can win."""
    found = steps(inputs)
    if not found:
        return None
    longest = max(own[-1][0] for own in found.values())
    per_unit, unit = (SECONDS_PER_HOUR, "hours") if longest > SECONDS_PER_HOUR else (1, "seconds")
    words = [
        f"{name}: {percent(own[-1][1])} after {duration(own[-1][0])}" for name, own in found.items()
    ]
    return Chart(
        key="best-so-far",
        title="Best validation accuracy so far against device time",
        finding=_finding(found),
        alt=f"{'; '.join(words)}.",
        panels=[_panel(inputs, found, per_unit, unit)],
        numbers=Section(
            key="figures/anytime-performance",
            title="Where the best rose",
            table=pd.DataFrame(
                [(name, *step) for name, own in found.items() for step in own],
                columns=["search", "device_seconds", "accuracy"],
            ),
            formats={
                "search": text("search"),
                f"device {unit}": rounded("device_seconds", scale=1 / per_unit),
                "best validation accuracy": share("accuracy"),
            },
        ),
        wide=True,
    )


def _panel(inputs: Inputs, found: Mapping[str, Steps], per_unit: int, unit: str) -> Panel:
    looks = search_looks(inputs.study.searches)
    largest = {search.family: search.name for search in reversed(inputs.study.searches)}
    marks = [
        Line(
            x=[at / per_unit for at, _ in own],
            y=[100 * best for _, best in own],
            colour=looks[name][0],
            symbol=looks[name][1],
            label=name,
            step=True,
            dash="solid" if name in largest.values() else "dot",
            hover=[f"{name}: {percent(best)}\nafter {duration(at)}" for at, best in own],
        )
        for name, own in found.items()
    ]
    return Panel(
        marks=marks,
        x=Axis(title=f"device {unit} spent on the search"),
        y=Axis(title="best validation accuracy", suffix="%"),
        height=380,
    )


def _finding(found: Mapping[str, Steps]) -> str:
    """Who was best with the time that every search had, and where each found its best."""
    last = {name: own[-2][0] if len(own) > 1 else own[-1][0] for name, own in found.items()}
    rises = ", ".join(f"{name} after {duration(at)}" for name, at in last.items())
    if len(found) == 1:
        return f"Found its best: {rises}."
    budget = min(own[-1][0] for own in found.values())
    bests = {
        name: best_after(pd.DataFrame(own, columns=["spent", "best"]), budget)
        for name, own in found.items()
    }
    leader = max(bests, key=lambda name: bests[name])
    return (
        f"With the {duration(budget)} of device time that every search had, {leader} was best with "
        f"{percent(bests[leader])}. Found their best: {rises}."
    )
