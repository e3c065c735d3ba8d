"""Forest plots: the differences in test accuracy of a study, or of studies, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.analysis.answer import TUNED, mean_pairs
from orchestrator.analysis.pairwise import CERTAIN, ends, is_certain, leader_first, swapped
from orchestrator.analysis.section import grouped, points
from orchestrator.cli import counted
from orchestrator.report.chart import Axis, Chart, Panel, Points, Rule
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import Look, family_looks
from orchestrator.results.rows import MeasuredRow, models_of

ROW_PIXELS: Final = 34
NOTES: Final = (
    "An interval that crosses the dotted line at 0 is no evidence of a difference; certain is what "
    f"has a p below {CERTAIN:g} after the correction for all pairs, too.",
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference in test accuracy.

    Attributes:
        label: What is compared, beside the axis.
        ends: The difference, and the lower and the upper end of its interval, as fractions.
        look: The marks of the family whose colour it has.
        certain: It survives the correction for all pairs.
    """

    name: str
    label: str
    ends: tuple[float, float, float]
    look: Look
    certain: bool = False
    hollow: bool = False

    @property
    def interval(self) -> str:
        """The difference with its interval, in percentage points."""
        found, low, high = map(points, self.ends)
        return f"{found} [{low}, {high}]"


def panel(differences: Sequence[Difference], *, title: str = "", margin: float = 0) -> Panel:
    """A row for each difference, with a line at 0 and one at minus the margin, a fraction."""
    marks: list[Rule | Points] = [Rule(at=0)]
    if margin:
        marks.append(Rule(at=-100 * margin))
    for place, each in enumerate(differences):
        found, low, high = (100 * end for end in each.ends)
        mark = Points(
            x=[found],
            y=[-place],
            low=[low],
            high=[high],
            hollow=each.hollow,
            hover=[f"{each.name}\n{each.interval} points"],
            **each.look,
        )
        marks.append(mark)
    return Panel(
        title=title,
        marks=marks,
        x=Axis(title="percentage points"),
        y=Axis.of_rows([each.label for each in differences]),
        height=90 + ROW_PIXELS * len(differences),
    )


def _difference(
    row: MeasuredRow, name: str, label: str, look: Look, hollow: bool = False
) -> Difference:
    return Difference(
        name=name,
        label=label,
        ends=ends(row),
        look=look,
        certain=is_certain(row),
        hollow=hollow,
    )


def figure(inputs: Inputs) -> Chart | None:
    """Tuned families against each other and tuned against baseline, a panel a fraction."""
    looks = inputs.looks
    fractions = grouped(mean_pairs(inputs.tables["comparison"].to_pylist()), "train_fraction")
    rows_of = {fraction: rows for (fraction,), rows in fractions}
    if not rows_of:
        return None
    largest = rows_of[max(rows_of)]
    between = list(_between(largest, looks))
    return Chart(
        key="differences",
        title="Differences in test accuracy",
        finding=_finding("between tuned families", {f"{each.name},": each for each in between})
        if between
        else "There are no two tuned families to compare.",
        panels=[
            panel([*_between(rows, looks), *_gains(rows, looks)], title=f"Train fraction {share:g}")
            for share, rows in sorted(rows_of.items(), reverse=True)
        ],
        notes=NOTES,
    )


def _between(rows: Sequence[MeasuredRow], looks: dict[str, Look]) -> Iterator[Difference]:
    """Of tuned families, positive."""
    for row in map(leader_first, rows):
        first, second = row["a_family"], row["b_family"]
        if first != second and row["a_role"] == row["b_role"] == TUNED:
            name, label = f"{first} minus {second}", f"{first}\nminus {second}"
            yield _difference(row, name, label, looks[first])


def _gains(rows: Sequence[MeasuredRow], looks: dict[str, Look]) -> Iterator[Difference]:
    """Of each family, tuned minus baseline."""
    for row in rows:
        family = row["a_family"]
        if family == row["b_family"]:
            name, label = (f"{family}{between}tuned minus baseline" for between in (": ", "\n"))
            yield _difference(swapped(row), name, label, looks[family])


def side_by_side(rows: Sequence[Any]) -> Chart | None:
    """The same models in several studies, a panel for each pair; None where none is compared."""
    means = mean_pairs(rows)
    looks = family_looks(list(dict.fromkeys(row["a_family"] for row in means)))
    found = {
        f"{a} minus {b}": [
            _difference(row, " ".join(model), "\n".join(model), looks[model[0]], model[1] != TUNED)
            for row in own
            for model, _ in [models_of(row)]
        ]
        for (a, b), own in grouped(means, "a_study", "b_study")
    }
    named = [(title, each) for title, own in found.items() for each in own]
    if not named:
        return None
    return Chart(
        key="study-differences",
        title="Differences in test accuracy between studies",
        finding=_finding(
            "in test accuracy", {f"that of {each.name}, {title}:": each for title, each in named}
        ),
        panels=[panel(own, title=title) for title, own in found.items()],
        notes=NOTES,
    )


def _finding(which: str, differences: Mapping[str, Difference]) -> str:
    """How many are certain, and which is the largest; differences by what they are called."""
    clear = sum(each.certain for each in differences.values())
    verb = "is" if 1 in {clear, len(differences)} else "are"
    name = max(differences, key=lambda name: abs(differences[name].ends[0]))
    largest = f"the largest is {name} {differences[name].interval} percentage points"
    return (
        f"{clear} of {counted(len(differences), 'difference')} {which} {verb} certain after the "
        f"correction for all pairs; {largest if differences[name].ends[0] else 'each is 0.00'}."
    )
