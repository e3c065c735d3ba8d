"""When which trial ran: one row for each trial that ran at a time on a node, and the idle time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import pandas as pd

from orchestrator.analysis.formats import number, words
from orchestrator.analysis.frames import frame, records
from orchestrator.analysis.section import Section, duration, percent
from orchestrator.cli import counted
from orchestrator.report.chart import Axis, Bars, Chart, Panel
from orchestrator.report.inputs import Inputs

LONG_SECONDS: Final = 3 * 3600
ROW_PIXELS: Final = 30


def measure(inputs: Inputs) -> pd.DataFrame:
    """When each trial of the search and each final run was on its node, by when it began.

    Returns:
        `trial_id`, `family`, `finals`, `node`, `start` and `end` in seconds since the first start,
        `seconds` between them, and `lane`: which of its node's rows it has, from 0.
    """
    stays = pd.concat([_of_search(inputs), _finals(inputs)], ignore_index=True)
    zero = stays["start"].min()
    for end in ("start", "end"):
        stays[end] = (stays[end] - zero).dt.total_seconds()
    stays = stays.sort_values(["start", "trial_id"], ignore_index=True)
    lanes, free = [], defaultdict[str, list[float]](list)
    for stay in records(stays):
        # The first row of its node that is free when it begins.
        ends = free[stay["node"]]
        lane = next((i for i, end in enumerate(ends) if end <= stay["start"]), len(ends))
        ends[lane : lane + 1] = [stay["end"]]
        lanes.append(lane)
    return stays.assign(seconds=stays["end"] - stays["start"], lane=lanes)


def _of_search(inputs: Inputs) -> pd.DataFrame:
    """Trials; one without an end has that of its last report."""
    reported = frame(inputs.tables["epochs"]).groupby("trial_id")["reported_at"].max()
    trials = frame(inputs.tables["trials"]).set_index("trial_id")
    node = [node or "unknown node" for node in inputs.tables["trials"]["node"].to_pylist()]
    stays = trials[["family"]].assign(
        finals=False, node=node, start=trials["started_at"], end=trials["ended_at"]
    )
    stays["end"] = stays["end"].fillna(reported.reindex(stays.index))
    stays = stays.dropna(subset=["start", "end"])
    return stays.assign(end=stays[["start", "end"]].max(axis=1)).reset_index()


def _finals(inputs: Inputs) -> pd.DataFrame:
    """Final runs, whose start is one epoch before their first report."""
    nodes = sorted({row["node"] for row in inputs.trials if row["node"]})
    rows = frame(inputs.tables["final_epochs"]).sort_values("reported_at", kind="stable")
    runs = rows.groupby(["trial_id", "family"], sort=False)
    first = runs[["reported_at", "epoch_seconds"]].first()
    start = first["reported_at"] - pd.to_timedelta(first["epoch_seconds"], unit="s").dt.round("us")
    node = nodes[0] if len(nodes) == 1 else "finals"
    stays = pd.DataFrame({"start": start, "end": runs["reported_at"].last()})
    return stays.assign(finals=True, node=node).reset_index()


def figure(inputs: Inputs) -> Chart | None:
    """One panel; None before anything began."""
    stays = measure(inputs)
    if stays.empty:
        return None
    span = stays["end"].max()
    per_unit, unit = (3600, "hours") if span > LONG_SECONDS else (60, "minutes")
    lanes = sorted(set(zip(stays["node"], stays["lane"], strict=True)))
    idle = max(0.0, 1 - sum(stays["seconds"]) / (len(lanes) * span)) if span else 0.0
    by_family = {name: stays.loc[stays["family"] == name, "seconds"] for name in inputs.families}
    busy = [(name, len(own), sum(own)) for name, own in by_family.items() if len(own)]
    return Chart(
        key="timeline",
        title="Trials over time",
        finding=(
            f"Over {duration(span)}, {percent(idle, 1)} of the time of "
            f"{counted(len(lanes), 'row')} was idle; {_longest_gap(stays)}."
        ),
        panels=[_panel(inputs, stays, lanes, per_unit, unit)],
        numbers=Section(
            key="figures/timeline",
            title="Busy time by family",
            table=pd.DataFrame(busy, columns=["family", "runs", "seconds"]),
            formats={
                "family": words("family"),
                "trials and final runs": number("runs"),
                "busy seconds": number("seconds"),
            },
        ),
        wide=True,
        notes=(
            "Filled: the search. Outlined: the final runs. A row is one trial at a time on a node; "
            "the starts of processes and breaks between runs count as idle.",
        ),
    )


def _panel(
    inputs: Inputs, stays: pd.DataFrame, lanes: Sequence[tuple[str, int]], per_unit: int, unit: str
) -> Panel:
    rows = [-lanes.index(lane) for lane in zip(stays["node"], stays["lane"], strict=True)]
    stays = stays.assign(row=rows)
    marks = []
    for family in inputs.families:
        for finals in (False, True):
            own = stays[(stays["family"] == family) & (stays["finals"] == finals)]
            bars = Bars(
                y=own["row"].tolist(),
                start=(own["start"] / per_unit).tolist(),
                length=(own["seconds"] / per_unit).tolist(),
                colour=inputs.looks[family]["colour"],
                label=f"{family}, finals" if finals else family,
                hollow=finals,
                hover=[
                    f"{trial}\n{duration(seconds)}"
                    for trial, seconds in zip(own["trial_id"], own["seconds"], strict=True)
                ],
            )
            marks += [bars] if len(own) else []
    return Panel(
        marks=marks,
        x=Axis(title=f"{unit} since the first trial began"),
        y=Axis.of_rows([f"{node}\nrow {lane + 1}" for node, lane in lanes]),
        height=90 + ROW_PIXELS * len(lanes),
    )


def _longest_gap(stays: pd.DataFrame) -> str:
    """When nothing at all ran for longest."""
    longest = (stays["start"] - stays["end"].cummax().shift(fill_value=0.0)).max()
    if longest <= 0:
        return "something ran at every moment"
    return f"the longest break in which nothing ran took {duration(longest)}"
