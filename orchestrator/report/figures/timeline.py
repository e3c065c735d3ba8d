"""When which trial ran: one row for each trial that ran at a time on a node, and the idle time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from orchestrator.analysis.formats import number
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import Section, count, duration, grouped, percent
from orchestrator.report.chart import Axis, Bars, Chart, Panel
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import family_tokens

SECONDS_PER_MINUTE: Final = 60
LONG_MINUTES: Final = 180
ROW_PIXELS: Final = 30
SEARCH, FINALS = "search", "finals"


@dataclass(frozen=True, kw_only=True)
class Stay:
    """One trial on its node; seconds count from the start of the first.

    Attributes:
        trial: Its trial_id.
        family: The family's name.
        phase: `search` or `finals`.
        node: Where it ran.
        start: When it began.
        end: When it ended, or was last seen.
        lane: Which of the rows of its node it has, from 0.
    """

    trial: str
    family: str
    phase: str
    node: str
    start: float
    end: float
    lane: int = 0


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All stays, with the rows they need.

    Attributes:
        stays: In the order of their starts.
        lanes: Node and row, in the order drawn.
        span: Seconds from the first start to the last end, the breaks between runs included.
        idle: The share of all rows' span in which nothing ran.
    """

    stays: Sequence[Stay]
    lanes: Sequence[tuple[str, int]]
    span: float
    idle: float


def measure(inputs: Inputs) -> Timeline | None:
    """The timeline of the search and the finals; None before anything began."""
    found = [*_searched(inputs), *_finals(inputs)]
    if not found:
        return None
    zero = min(start for *_, start, _ in found)
    stays = _in_lanes(
        [
            Stay(
                trial=trial,
                family=family,
                phase=phase,
                node=node,
                start=(start - zero).total_seconds(),
                end=(end - zero).total_seconds(),
            )
            for trial, family, phase, node, start, end in found
        ]
    )
    lanes = sorted({(stay.node, stay.lane) for stay in stays})
    span = max(stay.end for stay in stays)
    busy = sum(stay.end - stay.start for stay in stays)
    idle = 1 - busy / (len(lanes) * span) if span else 0.0
    return Timeline(stays=stays, lanes=lanes, span=span, idle=max(0.0, idle))


Found = tuple[str, str, str, str, datetime, datetime]


def _searched(inputs: Inputs) -> list[Found]:
    families = {search.name: search.family for search in inputs.study.searches}
    reported = inputs.tables["epochs"].select(["trial_id", "reported_at"]).to_pandas()
    seen = reported.groupby("trial_id")["reported_at"].max()
    found = []
    for row in inputs.trials:
        start = row["started_at"]
        last = seen.get(row["trial_id"])
        end = row["ended_at"] or (None if last is None else last.to_pydatetime())
        if start is not None and end is not None:
            node = row["node"] or "unknown node"
            end = max(start, end)
            found.append((row["trial_id"], families[row["family"]], SEARCH, node, start, end))
    return found


def _finals(inputs: Inputs) -> list[Found]:
    """Final runs, whose start is one epoch before their first report."""
    rows = inputs.tables["final_epochs"].select(
        ["trial_id", "family", "epoch_seconds", "reported_at"]
    )
    found = []
    for (trial, family), own in grouped(rows.to_pylist(), "trial_id", "family"):
        first = min(own, key=lambda row: row["reported_at"])
        start = first["reported_at"] - timedelta(seconds=first["epoch_seconds"])
        end = max(row["reported_at"] for row in own)
        found.append((trial, family, FINALS, "", start, end))
    nodes = sorted({row["node"] for row in inputs.trials if row["node"]})
    node = nodes[0] if len(nodes) == 1 else "finals"
    return [(trial, family, phase, node, a, b) for trial, family, phase, _, a, b in found]


def _in_lanes(stays: Sequence[Stay]) -> list[Stay]:
    """Each in the first row of its node that is free when it begins."""
    free: dict[str, list[float]] = {}
    placed = []
    for stay in sorted(stays, key=lambda each: (each.start, each.trial)):
        ends = free.setdefault(stay.node, [])
        lane = next((i for i, end in enumerate(ends) if end <= stay.start), len(ends))
        ends[lane:lane] = [] if lane < len(ends) else [0.0]
        ends[lane] = stay.end
        placed.append(Stay(**{**vars(stay), "lane": lane}))
    return placed


def figure(inputs: Inputs) -> Chart | None:
    """One panel; None before anything began."""
    line = measure(inputs)
    if line is None:
        return None
    minutes = line.span / SECONDS_PER_MINUTE
    per_unit, unit = (3600, "hours") if minutes > LONG_MINUTES else (SECONDS_PER_MINUTE, "minutes")
    nodes = {node for node, _ in line.lanes}
    busy = [(name, sum(s.end - s.start for s in own)) for name, own in _by_family(line.stays)]
    words = ", ".join(f"{name} {duration(seconds)}" for name, seconds in busy)
    return Chart(
        key="timeline",
        title="Trials over time",
        finding=(
            f"Over {duration(line.span)}, {percent(line.idle, 1)} of the time of "
            f"{count(len(line.lanes))} rows was idle; {_longest_gap(line)}."
        ),
        alt=(
            f"{count(len(line.stays))} trials and final runs on {count(len(nodes))} "
            f"node{'s' if len(nodes) > 1 else ''}; busy time by family: {words}."
        ),
        panels=[_panel(inputs, line, per_unit, unit)],
        numbers=Section(
            key="figures/timeline",
            title="Busy time by family",
            table=pd.DataFrame(
                {"family": name, "runs": len(own), "seconds": sum(s.end - s.start for s in own)}
                for name, own in _by_family(line.stays)
            ),
            formats={
                "family": text("family"),
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


def _by_family(stays: Sequence[Stay]) -> list[tuple[str, list[Stay]]]:
    names = dict.fromkeys(stay.family for stay in stays)
    return [(name, [stay for stay in stays if stay.family == name]) for name in names]


def _panel(inputs: Inputs, line: Timeline, per_unit: int, unit: str) -> Panel:
    tokens = family_tokens(inputs.families)
    places = {lane: -i for i, lane in enumerate(line.lanes)}
    marks = []
    for family, of_family in _by_family(line.stays):
        for phase in (SEARCH, FINALS):
            own = [stay for stay in of_family if stay.phase == phase]
            if own:
                marks.append(
                    Bars(
                        y=[places[stay.node, stay.lane] for stay in own],
                        start=[stay.start / per_unit for stay in own],
                        length=[(stay.end - stay.start) / per_unit for stay in own],
                        colour=tokens[family],
                        label=family if phase == SEARCH else f"{family}, finals",
                        hollow=phase == FINALS,
                        hover=[f"{s.trial}\n{duration(s.end - s.start)}" for s in own],
                    )
                )
    return Panel(
        marks=marks,
        x=Axis(title=f"{unit} since the first trial began"),
        y=Axis(
            ticks={place: f"{node}\nrow {lane + 1}" for (node, lane), place in places.items()},
            limits=(0.6 - len(places), 0.6),
        ),
        height=90 + ROW_PIXELS * len(places),
    )


def _longest_gap(line: Timeline) -> str:
    """When nothing at all ran for longest."""
    latest, longest = 0.0, 0.0
    for stay in line.stays:
        longest = max(longest, stay.start - latest)
        latest = max(latest, stay.end)
    if not longest:
        return "something ran at every moment"
    return f"the longest break in which nothing ran took {duration(longest)}"
