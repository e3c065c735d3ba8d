"""The forest plot: every difference in test accuracy that was asked about, with its interval."""

from collections.abc import Sequence

from orchestrator.analysis.answer import TUNED, mean_pairs
from orchestrator.analysis.pairwise import ends, leader_first, swapped
from orchestrator.analysis.section import grouped, points
from orchestrator.report.chart import Axis, Chart, Panel, Points, Rule
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import family_symbols, family_tokens
from orchestrator.results.rows import MeasuredRow

ROW_PIXELS = 34
Pair = tuple[str, str, tuple[float, float, float]]
"""The family whose colour it has, what is compared, and difference, low and high in points."""


def figure(inputs: Inputs) -> Chart | None:
    """Tuned families against each other and tuned against baseline, a panel a fraction."""
    panels, words = [], []
    fractions = sorted(grouped(mean_pairs(inputs.comparison), "train_fraction"))
    for (fraction,), of_fraction in fractions:
        pairs = _pairs(of_fraction)
        panels.append(_panel(inputs, pairs, f"Train fraction {fraction:g}"))
        if fraction == fractions[-1][0][0]:
            words = [f"{what} {_interval(numbers)}" for _, what, numbers in pairs]
    if not panels:
        return None
    return Chart(
        key="differences",
        title="Differences in test accuracy",
        finding=_finding(_pairs(fractions[-1][1])),
        alt=f"Differences in percentage points with 95% intervals: {'; '.join(words)}.",
        panels=panels[::-1],
        notes=("An interval that crosses the dotted line at 0 is no evidence of a difference.",),
    )


def _pairs(rows: Sequence[MeasuredRow]) -> list[Pair]:
    """Differences that are asked about, families against each other first, positive where clear."""
    found: list[Pair] = []
    for row in rows:
        if row["a_family"] != row["b_family"] and row["a_role"] == row["b_role"] == TUNED:
            leading = leader_first(row)
            first, second = leading["a_family"], leading["b_family"]
            found.append((first, f"{first} minus {second}", _scaled(leading)))
    for row in rows:
        if row["a_family"] == row["b_family"]:
            what = f"{row['a_family']}: tuned minus baseline"
            found.append((row["a_family"], what, _scaled(swapped(row))))
    return found


def _scaled(row: MeasuredRow) -> tuple[float, float, float]:
    difference, low, high = (100 * each for each in ends(row))
    return difference, low, high


def _panel(inputs: Inputs, pairs: Sequence[Pair], title: str) -> Panel:
    tokens, symbols = family_tokens(inputs.families), family_symbols(inputs.families)
    marks: list[Rule | Points] = [Rule(at=0)]
    for place, (family, what, numbers) in enumerate(pairs):
        difference, low, high = numbers
        marks.append(
            Points(
                x=[difference],
                y=[-place],
                low=[low],
                high=[high],
                colour=tokens.get(family, "ink"),
                symbol=symbols.get(family, "circle"),
                hover=[f"{what}\n{_interval(numbers)} points"],
            )
        )
    return Panel(
        title=title,
        marks=marks,
        x=Axis(title="percentage points"),
        y=Axis(
            ticks={-place: _two_lines(what) for place, (_, what, _) in enumerate(pairs)},
            limits=(0.6 - len(pairs), 0.6),
        ),
        height=90 + ROW_PIXELS * len(pairs),
    )


def _finding(pairs: Sequence[Pair]) -> str:
    families = [pair for pair in pairs if ": " not in pair[1]]
    clear = [pair for pair in families if pair[2][1] > 0 or pair[2][2] < 0]
    if not families:
        return "There are no two tuned families to compare."
    largest = max(families, key=lambda pair: abs(pair[2][0]))
    return (
        f"{len(clear)} of {len(families)} differences between tuned families have an interval that "
        f"excludes 0; the largest is {largest[1]}, {_interval(largest[2])} percentage points."
    )


def _two_lines(what: str) -> str:
    return what.replace(": ", "\n") if ": " in what else what.replace(" minus ", "\nminus ")


def _interval(numbers: tuple[float, float, float]) -> str:
    difference, low, high = map(_shown, numbers)
    return f"{difference} [{low}, {high}]"


def _shown(value: float) -> str:
    return points(value / 100)
