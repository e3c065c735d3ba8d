"""The same model in two studies: its difference in test accuracy, with its interval."""

from collections.abc import Sequence

from orchestrator.analysis.section import Row, grouped, model_name, points
from orchestrator.report.chart import Axis, Chart, Panel, Points, Rule
from orchestrator.report.style import family_symbols, family_tokens

ROW_PIXELS = 34


def figure(rows: Sequence[Row]) -> Chart | None:
    """A panel for each pair of studies; None where none is compared.

    Args:
        rows: From `across_studies.side_by_side`.
    """
    means = _means(rows)
    if not means:
        return None
    families = list(dict.fromkeys(row["a_family"] for row in means))
    words = [f"{_what(row)} {model_name(row, 'a_')} {_interval(row)}" for row in means]
    return Chart(
        key="study-differences",
        title="Differences in test accuracy between studies",
        finding=finding(rows),
        alt=f"In percentage points with 95% intervals: {'; '.join(words)}.",
        panels=[_panel(own, families) for _, own in grouped(means, "a_study", "b_study")],
        notes=("An interval that crosses the dotted line at 0 is no evidence of a difference.",),
    )


def finding(rows: Sequence[Row]) -> str:
    """How many models differ with certainty, and which by most.

    Args:
        rows: From `across_studies.side_by_side`.
    """
    means = _means(rows)
    if not means:
        return "No model of these studies can be compared with itself on the same test images."
    clear = [row for row in means if row["ci_low"] > 0 or row["ci_high"] < 0]
    largest = max(means, key=lambda row: abs(row["difference"]))
    return (
        f"{len(clear)} of {len(means)} differences in test accuracy have an interval that excludes "
        f"0; the largest is that of {model_name(largest, 'a_')}, {_what(largest)}: "
        f"{_interval(largest)} percentage points."
    )


def _means(rows: Sequence[Row]) -> list[Row]:
    """The rows over all seeds that have a difference and an interval."""
    return [
        row
        for row in rows
        if row["seed"] is None
        and row["metric"] == "accuracy"
        and None not in (row["difference"], row["ci_low"], row["ci_high"])
    ]


def _panel(rows: Sequence[Row], families: Sequence[str]) -> Panel:
    tokens, symbols = family_tokens(families), family_symbols(families)
    marks: list[Rule | Points] = [Rule(at=0)]
    for place, row in enumerate(rows):
        tuned = "" if row["a_role"] == "tuned" else "-open"
        marks.append(
            Points(
                x=[100 * row["difference"]],
                y=[-place],
                low=[100 * row["ci_low"]],
                high=[100 * row["ci_high"]],
                colour=tokens[row["a_family"]],
                symbol=symbols[row["a_family"]] + tuned,
                hover=[f"{model_name(row, 'a_')}\n{_interval(row)} points"],
            )
        )
    return Panel(
        title=_what(rows[0]),
        marks=marks,
        x=Axis(title="percentage points"),
        y=Axis(
            ticks={-i: f"{row['a_family']}\n{row['a_role']}" for i, row in enumerate(rows)},
            limits=(0.6 - len(rows), 0.6),
        ),
        height=90 + ROW_PIXELS * len(rows),
    )


def _what(row: Row) -> str:
    return f"{row['a_study']} minus {row['b_study']}"


def _interval(row: Row) -> str:
    difference, low, high = (points(row[name]) for name in ("difference", "ci_low", "ci_high"))
    return f"{difference} [{low}, {high}]"
