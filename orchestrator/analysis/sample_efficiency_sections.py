"""Sample efficiency shown: curves, crossing points, and training images for equal accuracy."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pyarrow as pa

from orchestrator.analysis.sample_efficiency import (
    Curve,
    Model,
    Point,
    crossing_interval,
    find_crossings,
    images_to_reach,
    measure_curves,
    share_of_changed_leads,
    shared_sizes,
)
from orchestrator.analysis.section import MISSING, Section, percent
from orchestrator.results.schema import ROLES
from orchestrator.stats.predictions import PredictedRun, repeated

FEWEST_SIZES = 2
"""A curve needs two points."""


def sample_efficiency_sections(
    final: pa.Table,
    runs: Sequence[PredictedRun],
    *,
    per_fraction: bool = False,
    curves: Mapping[Model, Curve] | None = None,
) -> tuple[Section, ...]:
    """The sections on sample efficiency, for `comparison.md` and the terminal.

    Args:
        final: `final.parquet`.
        runs: The final runs, from `predictions.split_runs`.
        per_fraction: Each fraction had a search of its own.
        curves: From `sample_efficiency.measure_curves`, where they were measured already.
    """
    fractions = sorted({run.fraction for run in runs})
    if len(fractions) < FEWEST_SIZES:
        shown = tuple(
            f"Only train fraction {fraction:g} was run. Accuracy against training images needs "
            "two or more: for example `--train-fractions 0.1,0.3,1.0`."
            for fraction in fractions
        )
        return (Section(title="Sample efficiency", sentences=shown),)
    curves = measure_curves(final, runs) if curves is None else curves
    roles = _different_roles(runs)
    tuned = {family: curve for (family, role), curve in curves.items() if role == ROLES[1]}
    return (
        _curve_section(curves, roles, per_fraction=per_fraction),
        Section(
            title="Sample efficiency: where families cross",
            sentences=tuple(
                _crossing_sentence(role, (a, curves[a, role]), (b, curves[b, role]))
                for role in roles
                for a, b in combinations([f for f, own in curves if own == role], 2)
            ),
        ),
        _equal_section(tuned),
    )


def _different_roles(runs: Sequence[PredictedRun]) -> tuple[str, ...]:
    """`tuned`, and `baseline` unless it is the winner of each family at each fraction."""
    tuned = [run for run in runs if run.role == ROLES[1]]
    return ROLES[1:] if len(repeated(runs)) == len(tuned) else tuple(reversed(ROLES))


def _curve_section(
    curves: Mapping[Model, Curve], roles: Sequence[str], *, per_fraction: bool
) -> Section:
    families = list(dict.fromkeys(family for family, _ in curves))
    points = {
        (role, point.images, family): point
        for (family, role), curve in curves.items()
        for point in curve
    }
    sizes = sorted({images for _, images, _ in points})
    seeds = sorted({point.seeds for point in points.values()})
    covered = "test images and seeds" if seeds[-1] > 1 else "test images only: there is one seed"
    return Section(
        title="Sample efficiency: test accuracy against training images",
        columns=("role", "training images", *families),
        rows=tuple(
            (
                role,
                f"{images:,}",
                *(_accuracy_cell(points.get((role, images, family))) for family in families),
            )
            for role in roles
            for images in sizes
            if any((role, images, family) in points for family in families)
        ),
        sentences=(
            f"Mean over seeds, in brackets its 95% interval over {covered}.",
            "The hyperparameters were chosen "
            + (
                "at each number of images by a search of its own."
                if per_fraction
                else "with the most images and are the same with fewer."
            ),
            *([] if len(roles) > 1 else ["Each winner is its family's baseline."]),
        ),
    )


def _accuracy_cell(point: Point | None) -> str:
    if point is None:
        return MISSING
    return f"{100 * point.accuracy:.2f}% [{100 * point.low:.2f}, {100 * point.high:.2f}]"


def _crossing_sentence(role: str, a: tuple[str, Curve], b: tuple[str, Curve]) -> str:
    (a_name, a_curve), (b_name, b_curve) = a, b
    names = f"{a_name} {role} and {b_name} {role}"
    sizes = shared_sizes(a_curve, b_curve)
    if len(sizes) < FEWEST_SIZES:
        return f"{names} were measured together at fewer than two numbers of training images."
    first = _leader(a, b, sizes)
    between = f"{sizes[0]:,} and {sizes[-1]:,} training images"
    if first is None:
        return f"{names} are equally accurate between {between}."
    crossings = find_crossings(a_curve, b_curve)
    if not crossings:
        other = a_name if first == b_name else b_name
        changed = percent(share_of_changed_leads(a_curve, b_curve), 0)
        return (
            f"{names} do not cross: none in range, {first} {role} is ahead between {between}; "
            f"{other} is ahead somewhere there in {changed} of resamples."
        )
    places = " and ".join(_about(images) for images in crossings)
    last = _leader(a, b, sizes[::-1])
    return (
        f"{names} cross at about {places} training images{_range(a_curve, b_curve, crossings)}: "
        f"{first} {role} is ahead with the fewest, {last} {role} with the most."
    )


def _range(a: Curve, b: Curve, crossings: Sequence[float]) -> str:
    """The 95% interval of a crossing; none where there are several, which could be any of them."""
    if len(crossings) > 1:
        return " (no interval: more than one crossing)"
    sizes = shared_sizes(a, b)
    low, high = crossing_interval(a, b)
    start = _about(low) if low else f"fewer than {sizes[0]:,}"
    end = f"more than {sizes[-1]:,}" if math.isinf(high) else _about(high)
    return f" (95% interval {start} to {end})"


def _leader(a: tuple[str, Curve], b: tuple[str, Curve], sizes: Sequence[int]) -> str | None:
    """The more accurate of two at the first of the sizes at which they are not equal."""
    of_a, of_b = ({point.images: point.accuracy for point in curve} for _, curve in (a, b))
    for images in sizes:
        if of_a[images] != of_b[images]:
            return a[0] if of_a[images] > of_b[images] else b[0]
    return None


def _equal_section(curves: Mapping[str, Curve]) -> Section:
    """How many images the less accurate of two tuned families needs to come up to the other."""
    rows, sentences = [], []
    for a, b in combinations(curves, 2):
        found = list(_equal_pair((a, curves[a]), (b, curves[b])))
        rows += [row for row, _ in found]
        sentences += [sentence for _, sentence in found[:1]]
    if rows:
        sentences.append(
            "Between the measured sizes accuracy is taken as linear over log(images); these "
            "numbers have the noise of the accuracies they come from."
        )
    return Section(
        title="Sample efficiency: training images for the same accuracy, tuned",
        columns=("what this reaches", "with images", "this needs", "images", "times as many"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _equal_pair(
    a: tuple[str, Curve], b: tuple[str, Curve]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """A row and a sentence for each shared size at which one of the two is behind."""
    for images in shared_sizes(a[1], b[1]):
        ahead = _leader(a, b, [images])
        if ahead is None:
            continue
        (leader, best), (follower, curve) = (a, b) if ahead == a[0] else (b, a)
        target = next(point.accuracy for point in best if point.images == images)
        needed = images_to_reach(curve, target)
        words = _words(needed, curve)
        times = f"{words[0]}{(needed or curve[-1].images) / images:.1f}"
        sentence = (
            f"{follower} tuned needs {words[0] or 'about '}{words[1]} training images to reach "
            f"what {leader} tuned reaches with {images:,}."
        )
        yield (leader, f"{images:,}", follower, "".join(words), times), sentence


def _words(needed: float | None, curve: Curve) -> tuple[str, str]:
    """How many images are needed, and whether the curve is too short to say more than a bound."""
    if needed is None:
        return "more than ", f"{curve[-1].images:,}"
    if needed <= curve[0].images:
        return "at most ", f"{curve[0].images:,}"
    return "", _about(needed)


def _about(images: float) -> str:
    """Images to two significant digits, since more would not be known."""
    return f"{float(f'{images:.2g}'):,.0f}"
