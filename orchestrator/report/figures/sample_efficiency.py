"""Sample efficiency: test accuracy against training images, with intervals, per family."""

from collections import Counter
from collections.abc import Mapping

from orchestrator.analysis.answer import TUNED
from orchestrator.analysis.section import count, percent
from orchestrator.cli import counted
from orchestrator.report.chart import Axis, Chart, Dash, Line, Mark, Panel, Points
from orchestrator.report.inputs import Inputs
from orchestrator.results.rows import Model
from orchestrator.stats.sample_efficiency import Curve


def figure(inputs: Inputs) -> Chart | None:
    """Tuned and baseline of each family; None with fewer than two train fractions."""
    curves = inputs.curves
    if not curves:
        return None
    return Chart(
        key="sample-efficiency",
        title="Test accuracy against training images",
        finding=_finding({family: own for (family, role), own in curves.items() if role == TUNED}),
        panels=[_panel(inputs, curves)],
        wide=True,
        notes=("Bars are 95% intervals of the mean over seeds.",),
    )


def _panel(inputs: Inputs, curves: Mapping[Model, Curve]) -> Panel:
    marks: list[Mark] = []
    for (family, role), curve in curves.items():
        look, label = inputs.looks[family], f"{family} {role}"
        x = [p.images for p in curve]
        y = [100 * p.accuracy for p in curve]
        dash: Dash = "solid" if role == TUNED else "dash"
        marks.append(Line(x=x, y=y, colour=look["colour"], label=label, dash=dash))
        points = Points(
            x=x,
            y=y,
            low=[100 * p.low for p in curve],
            high=[100 * p.high for p in curve],
            along="y",
            hollow=role != TUNED,
            label=label,
            hover=[
                f"{label}, {counted(p.images, 'image')}\n"
                f"{percent(p.accuracy)} [{percent(p.low)}, {percent(p.high)}]"
                for p in curve
            ],
            **look,
        )
        marks.append(points)
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


def _finding(tuned: Mapping[str, Curve]) -> str:
    """Who leads by how much with the fewest and with the most images that two were tested at."""
    sizes = Counter(point.images for curve in tuned.values() for point in curve)
    shared = sorted(images for images, curves in sizes.items() if curves > 1)
    if not shared:
        rises = (
            f"{family} goes from {percent(own[0].accuracy)} with {counted(own[0].images, 'image')} "
            f"to {percent(own[-1].accuracy)} with {count(own[-1].images)}"
            for family, own in tuned.items()
        )
        return f"{'; '.join(rises)}."
    fewest, most = (_lead(tuned, shared[which]) for which in (0, -1))
    return f"With the fewest images, {fewest}; with the most, {most}."


def _lead(tuned: Mapping[str, Curve], images: int) -> str:
    found = {
        family: point.accuracy
        for family, curve in tuned.items()
        for point in curve
        if point.images == images
    }
    first, second = sorted(found, key=lambda family: -found[family])[:2]
    ahead = 100 * (found[first] - found[second])
    if not ahead:
        return f"{count(images)}, {first} and {second} are level"
    return f"{count(images)}, {first} is {ahead:.2f} points ahead of {second}"
