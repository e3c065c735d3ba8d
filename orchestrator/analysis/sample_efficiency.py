"""What the data buy: accuracy against training images, crossings, images for equal accuracy."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa

from orchestrator.analysis.section import MISSING, Section, percent
from orchestrator.results.schema import ROLES
from orchestrator.stats import bootstrap
from orchestrator.stats.intervals import SeedRuns, mean_interval, noisy_means
from orchestrator.stats.predictions import PredictedRun, repeated

Model = tuple[str, str]
"""A family and a role (`baseline` or `tuned`)."""


FEWEST_SIZES = 2
"""A curve needs two points."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model's test accuracy with so many training images.

    Attributes:
        images: Training images.
        fraction: The train fraction.
        accuracy: Mean over seeds, a fraction.
        low: Lower end of its 95% interval over images and seeds, see `stats.intervals`.
        high: Its upper end.
        seeds: How many.
        draws: The accuracy as it might have come out with other test images and seeds, [draws].
    """

    images: int
    fraction: float
    accuracy: float
    low: float
    high: float
    seeds: int
    draws: bootstrap.Floats = field(default_factory=lambda: np.empty(0), repr=False)


Curve = Sequence[Point]
"""A model's points, fewest images first; accuracy is linear over log(images) between them."""


def measure_curves(
    final: pa.Table, runs: Sequence[PredictedRun], *, draws: int = bootstrap.DRAWS
) -> dict[Model, list[Point]]:
    """The learning curve of each model, in the order of the tables.

    Args:
        final: `final.parquet`; gives the number of training images of each fraction.
        runs: The final runs, from `predictions.split_runs`.
        draws: Bootstrap draws.

    Raises:
        ValueError: Two runs were not tested on the same number of images.
    """
    images = {
        (row["family"], row["role"], row["train_fraction"]): row["train_images"]
        for row in final.to_pylist()
        if row["train_images"]
    }
    curves: dict[Model, list[Point]] = {run.model: [] for run in runs}
    if not runs:
        return {}
    generator = np.random.default_rng([bootstrap.SEED, 2])
    # One bootstrap for all models, as in the comparison of pairs.
    accuracies = bootstrap.accuracy_draws(np.stack([run.correct for run in runs]), draws=draws)
    for fraction in sorted({run.fraction for run in runs}):
        for model, curve in curves.items():
            rows = [
                i for i, run in enumerate(runs) if (run.fraction, run.model) == (fraction, model)
            ]
            size = images.get((*model, fraction))
            if size and rows:
                own = [runs[row] for row in rows]
                curve.append(_point(size, own, accuracies[rows], generator))
    return {model: curve for model, curve in curves.items() if curve}


def find_crossings(a: Curve, b: Curve) -> list[float]:
    """Training images at which the more accurate of two models changes, fewest first.

    Between two sizes that both were measured at, the difference is linear over log(images); where
    the models tie at measured sizes in between, the first of these is the crossing.
    """
    differences = _differences(a, b)
    decided = [index for index, (_, value) in enumerate(differences) if value]
    crossings = []
    for left, right in pairwise(decided):
        (x0, d0), (x1, d1) = differences[left], differences[right]
        if d0 * d1 < 0:
            tied = right > left + 1
            share = d0 / (d0 - d1)
            log_images = np.log(x0) + share * (np.log(x1) - np.log(x0))
            crossings.append(float(differences[left + 1][0] if tied else np.exp(log_images)))
    return crossings


def crossing_interval(a: Curve, b: Curve) -> tuple[float, float]:
    """The 95% interval of the training images at which the lead changes first.

    In each draw of the points' accuracies, whoever leads with the fewest images on the curves as
    they are leads until a crossing, or not at all, or everywhere. Source of the method: the
    percentile bootstrap, Efron and Tibshirani (1993), chapter 13.

    Args:
        a: A curve with draws.
        b: Another that is measured at two of the same sizes and crosses it.

    Returns:
        Images; 0 where the interval begins below the fewest, infinity where it ends above the most.
    """
    found = _first_crossings(a, b)
    tail = (1 - bootstrap.CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def share_of_changed_leads(a: Curve, b: Curve) -> float:
    """In how many draws of two curves that do not cross the one behind is ahead somewhere."""
    return float(np.isfinite(_first_crossings(a, b)).mean())


def _first_crossings(a: Curve, b: Curve) -> bootstrap.Floats:
    """Training images at which the lead changes in each draw, [draws]; 0 below, inf above range."""
    of_b = {point.images: point for point in b}
    shared = [(point, of_b[point.images]) for point in a if point.images in of_b]
    sign = next(np.sign(d) for _, d in _differences(a, b) if d)
    ahead = sign * np.stack([one.draws - other.draws for one, other in shared])
    found = np.full(ahead.shape[1], np.inf)
    # From the most images to the fewest, so that the first crossing is what remains.
    for (x0, d0), (x1, d1) in reversed(
        list(pairwise(zip([one.images for one, _ in shared], ahead, strict=True)))
    ):
        crossing = (d0 > 0) & (d1 <= 0)
        share = d0[crossing] / (d0[crossing] - d1[crossing])
        found[crossing] = np.exp(np.log(x0) + share * (np.log(x1) - np.log(x0)))
    found[ahead[0] <= 0] = 0
    return found


def shared_sizes(a: Curve, b: Curve) -> list[int]:
    """Training images at which both were measured, fewest first."""
    return [images for images, _ in _differences(a, b)]


def images_to_reach(curve: Curve, accuracy: float) -> float | None:
    """The fewest training images with which a model reaches an accuracy.

    Args:
        curve: Of the model.
        accuracy: A fraction.

    Returns:
        Images; those of the first point where it is reached there already, None where no point
        reaches it.
    """
    if curve[0].accuracy >= accuracy:
        return float(curve[0].images)
    for before, after in pairwise(curve):
        if after.accuracy >= accuracy:
            share = (accuracy - before.accuracy) / (after.accuracy - before.accuracy)
            steps = np.log(after.images) - np.log(before.images)
            return float(np.exp(np.log(before.images) + share * steps))
    return None


def _differences(a: Curve, b: Curve) -> list[tuple[int, float]]:
    """Images and accuracy of a minus that of b, at the sizes that both were measured at."""
    of_b: Mapping[int, float] = {point.images: point.accuracy for point in b}
    return [
        (point.images, point.accuracy - of_b[point.images]) for point in a if point.images in of_b
    ]


def _point(
    images: int,
    runs: Sequence[PredictedRun],
    draws: bootstrap.Floats,
    generator: np.random.Generator,
) -> Point:
    """One model at one fraction, from its seeds' accuracies on resampled images, [seeds, draws]."""
    own = SeedRuns(points=np.array([run.correct.mean() for run in runs]), draws=draws)
    low, high = np.clip(mean_interval(own), 0, 1)  # Student's t knows no bounds
    return Point(
        images=images,
        fraction=runs[0].fraction,
        accuracy=own.mean,
        low=float(low),
        high=float(high),
        seeds=len(runs),
        draws=noisy_means(own, generator),
    )


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
