"""Sample efficiency: test accuracy against training images, with intervals, per family."""

from collections.abc import Mapping, Sequence

from orchestrator.analysis.answer import TUNED
from orchestrator.analysis.section import count, percent
from orchestrator.report.chart import Axis, Chart, Line, Mark, Panel, Points
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import family_symbols, family_tokens
from orchestrator.results.rows import Model
from orchestrator.stats.sample_efficiency import Curve, Point

FEWEST_FAMILIES = 2


def figure(inputs: Inputs) -> Chart | None:
    """Tuned and baseline of each family; None with fewer than two train fractions."""
    curves = inputs.curves
    if not curves:
        return None
    words = [
        f"{family} {role}: "
        + ", ".join(f"{percent(p.accuracy)} with {count(p.images)} images" for p in curve)
        for (family, role), curve in curves.items()
    ]
    return Chart(
        key="sample-efficiency",
        title="Test accuracy against training images",
        finding=_finding({f: curve for (f, role), curve in curves.items() if role == TUNED}),
        alt=f"{'; '.join(words)}.",
        panels=[_panel(inputs, curves)],
        wide=True,
        notes=("Bars are 95% intervals of the mean over seeds.",),
    )


def _panel(inputs: Inputs, curves: Mapping[Model, Curve]) -> Panel:
    tokens, symbols = family_tokens(inputs.families), family_symbols(inputs.families)
    marks: list[Mark] = []
    for (family, role), curve in curves.items():
        tuned = role == TUNED
        x = [p.images for p in curve]
        y = [100 * p.accuracy for p in curve]
        label = f"{family} {role}"
        marks += [
            Line(x=x, y=y, colour=tokens[family], label=label, dash="solid" if tuned else "dash"),
            Points(
                x=x,
                y=y,
                low=[100 * p.low for p in curve],
                high=[100 * p.high for p in curve],
                along="y",
                colour=tokens[family],
                symbol=symbols[family] + ("" if tuned else "-open"),
                label=label,
                hover=[_hover(label, p) for p in curve],
            ),
        ]
    sizes = sorted({p.images for curve in curves.values() for p in curve})
    return Panel(
        marks=marks,
        x=Axis(
            title="training images (logarithmic)",
            log=True,
            ticks={images: count(images) for images in sizes},
        ),
        y=Axis(title="test accuracy", suffix="%"),
        height=420,
    )


def _hover(label: str, point: Point) -> str:
    return (
        f"{label}, {count(point.images)} images\n"
        f"{percent(point.accuracy)} [{percent(point.low)}, {percent(point.high)}]"
    )


def _finding(tuned: Mapping[str, Curve]) -> str:
    """Who leads by how much with the fewest and with the most images."""
    if len(tuned) < FEWEST_FAMILIES:
        return "; ".join(f"{family} {_rise(curve)}" for family, curve in tuned.items()) + "."
    ends = [_lead(tuned, which) for which in (0, -1)]
    return f"With the fewest images, {ends[0]}; with the most, {ends[1]}."


def _rise(curve: Curve) -> str:
    first, last = curve[0], curve[-1]
    return (
        f"goes from {percent(first.accuracy)} with {count(first.images)} images to "
        f"{percent(last.accuracy)} with {count(last.images)}"
    )


def _lead(tuned: Mapping[str, Curve], which: int) -> str:
    ends: Sequence[tuple[str, Point]] = sorted(
        ((family, curve[which]) for family, curve in tuned.items()),
        key=lambda each: -each[1].accuracy,
    )
    (first, best), (second, next_best) = ends[:2]
    ahead = f"{100 * (best.accuracy - next_best.accuracy):.2f}"
    return f"{count(best.images)}, {first} is {ahead} points ahead of {second}"
