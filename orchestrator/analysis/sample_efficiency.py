"""Sample efficiency: accuracy against training images, crossings, images for equal accuracy."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.analysis.formats import number, share, spread, words
from orchestrator.analysis.frames import frame, over_seeds
from orchestrator.analysis.section import Format, Section, count
from orchestrator.results.rows import Model
from orchestrator.results.schema import ROLES
from orchestrator.stats.predictions import PredictedRun, repeated
from orchestrator.stats.sample_efficiency import (
    FEWEST_SIZES,
    Curve,
    crossing_interval,
    find_crossings,
    images_to_reach,
    leader,
    measure_curves,
    share_of_changed_leads,
    shared_sizes,
)

STEPS: Final = "Every size trains for the same epochs, so fewer images are fewer steps, too."
EQUAL_STEPS: Final = (
    "Fewer images were trained on for more epochs, so that every size had about the same steps."
)
SHORTER_SEARCHES: Final = (
    "The searches with fewer images had no more epochs than that with the most, so these "
    "hyperparameters were chosen for fewer steps than they were re-trained for."
)
DRAW: Final = (
    "The images of each size were drawn once, for all families and seeds; which ones they are is "
    "in no interval."
)


def sample_efficiency_sections(
    final: pa.Table,
    runs: Sequence[PredictedRun],
    *,
    per_fraction: bool = False,
    equal_steps: bool = False,
    curves: Mapping[Model, Curve] | None = None,
) -> Iterator[Section]:
    """Sample efficiency; nothing of a study with one train fraction.

    Args:
        final: `final.parquet`.
        runs: The final runs, from `predictions.split_runs`.
        per_fraction: Each fraction had a search of its own.
        equal_steps: Smaller fractions were trained for as many steps as the largest.
        curves: From `sample_efficiency.measure_curves`, where they were measured already.
    """
    if len({run.fraction for run in runs}) < FEWEST_SIZES:
        return
    curves = measure_curves(final, runs) if curves is None else curves
    roles = _different_roles(runs)
    chosen = (
        "The hyperparameters were chosen at each number of images by a search of its own."
        if per_fraction
        else "The hyperparameters were chosen with the most images and are the same with fewer."
    )
    steps = EQUAL_STEPS if equal_steps else STEPS
    shorter = (SHORTER_SEARCHES,) if equal_steps and per_fraction else ()
    yield _accuracy_section(final, (steps, DRAW, chosen, *shorter))
    yield _curve_section({model: own for model, own in curves.items() if model[1] in roles})
    yield from _crossing_sections(curves, roles)
    tuned = {family: own for (family, role), own in curves.items() if role == ROLES[1]}
    yield from _equal_sections(tuned, steps)


def _different_roles(runs: Sequence[PredictedRun]) -> tuple[str, ...]:
    """`tuned`, and `baseline` unless it is the winner of each family at each fraction."""
    tuned = [run for run in runs if run.role == ROLES[1]]
    return ROLES[1:] if len(repeated(runs)) == len(tuned) else tuple(reversed(ROLES))


def _accuracy_section(final: pa.Table, notes: tuple[str, ...]) -> Section:
    """The tuned models, a column for each number of images."""
    runs = frame(final)
    runs = runs[runs["role"] == ROLES[1]].sort_values(
        "train_fraction", ascending=False, kind="stable"
    )
    means = over_seeds(runs, ["family", "train_images"], ["test_accuracy"])
    sizes = means["train_images"].unique()
    parts = [
        means[means["train_images"] == size]
        .set_index("family")[["test_accuracy", "test_accuracy_sd", "test_accuracy_known", "seeds"]]
        .rename(columns=lambda name, size=size: f"{name} {size}".replace("test_", ""))
        for size in sizes
    ]
    return Section(
        key="data/accuracy",
        title="Test accuracy of the tuned models by training images",
        table=pd.concat(parts, axis=1).rename_axis("family").reset_index(),
        formats={"family": words("family"), **{count(size): _at(size) for size in sizes}},
        notes=notes,
        place="terminal",
    )


def _at(size: int) -> Format:
    one = spread("accuracy", "accuracy")
    names = ("accuracy", "accuracy_sd", "accuracy_known", "seeds")
    return Format(tuple(f"{name} {size}" for name in names), one.write)


def _curve_section(curves: Mapping[Model, Curve]) -> Section:
    rows = [
        {"family": family, "role": role}
        | {name: getattr(point, name) for name in ("images", "accuracy", "low", "high", "seeds")}
        for (family, role), curve in curves.items()
        for point in curve
    ]
    return Section(
        key="data/curves",
        title="Test accuracy against training images",
        table=pd.DataFrame(rows),
        formats={
            "model": words("family", "role"),
            "training images": number("images"),
            "test accuracy": share("accuracy"),
            "95% from": share("low"),
            "to": share("high"),
            "seeds": number("seeds"),
        },
        notes=(
            "Mean over seeds, its 95% interval over test images and, with several, over seeds.",
        ),
    )


def _crossing_sections(curves: Mapping[Model, Curve], roles: Sequence[str]) -> Iterator[Section]:
    """Who leads with the fewest and the most images, and where that changes."""
    rows = [
        _crossing(role, (a, curves[a, role]), (b, curves[b, role]))
        for role in roles
        for a, b in combinations([f for f, own in curves if own == role], 2)
        if len(shared_sizes(curves[a, role], curves[b, role])) >= FEWEST_SIZES
    ]
    if not rows:
        return
    yield Section(
        key="data/crossings",
        title="Where families cross",
        table=pd.DataFrame(rows),
        formats={
            "role": words("role"),
            "one": words("a"),
            "other": words("b"),
            "ahead with the fewest": words("first"),
            "with the most": words("last"),
            "cross at images": Format(("images",), lambda images: ", ".join(map(_about, images))),
            "95% from": Format(("low",), lambda low: _about(low) if low else "below the fewest"),
            "to": Format(("high",), lambda x: "above the most" if math.isinf(x) else _about(x)),
            "led otherwise somewhere": share("changed", 0),
        },
        notes=(
            "Between measured sizes accuracy is linear over log(images). An interval is that of "
            "the only crossing; without one the last column is the share of resamples in which "
            "the one behind is ahead somewhere.",
        ),
    )


def _crossing(role: str, a: tuple[str, Curve], b: tuple[str, Curve]) -> dict[str, Any]:
    sizes, found = shared_sizes(a[1], b[1]), find_crossings(a[1], b[1])
    first, last = leader(a[1], b[1], sizes), leader(a[1], b[1], sizes[::-1])
    names = {1: a[0], -1: b[0], 0: "equal"}
    low, high = crossing_interval(a[1], b[1]) if len(found) == 1 else (np.nan, np.nan)
    changed = share_of_changed_leads(a[1], b[1]) if first and not found else np.nan
    return {
        "role": role,
        "a": a[0],
        "b": b[0],
        "first": names[first],
        "last": names[last],
        "images": found or None,
        "low": low,
        "high": high,
        "changed": changed,
    }


def _equal_sections(curves: Mapping[str, Curve], steps: str) -> Iterator[Section]:
    """How many images the less accurate of two tuned families needs to come up to the other."""
    rows = []
    for a, b in combinations(curves, 2):
        for images in shared_sizes(curves[a], curves[b]):
            ahead = leader(curves[a], curves[b], [images])
            if ahead:
                first, second = (a, b) if ahead > 0 else (b, a)
                rows.append(_needed(first, second, curves, images))
    if not rows:
        return
    yield Section(
        key="data/equal",
        title="Training images for the same accuracy, tuned",
        table=pd.DataFrame(rows),
        formats={
            "what this reaches": words("leader"),
            "with images": number("images"),
            "this needs": words("follower"),
            "images": Format(("bound", "needed"), lambda bound, x: f"{bound}{_about(x)}"),
            "times as many": Format(("bound", "times"), lambda bound, x: f"{bound}{x:.1f}"),
        },
        notes=("Between measured sizes accuracy is linear over log(images).", steps),
    )


def _needed(first: str, second: str, curves: Mapping[str, Curve], images: int) -> dict[str, Any]:
    target = next(point.accuracy for point in curves[first] if point.images == images)
    curve = curves[second]
    needed = images_to_reach(curve, target)
    bound = "more than " if needed is None else "at most " if needed <= curve[0].images else ""
    value = float(curve[-1].images) if needed is None else needed
    return {
        "leader": first,
        "images": images,
        "follower": second,
        "bound": bound,
        "needed": value,
        "times": value / images,
    }


def _about(images: float) -> str:
    """Images to two significant digits, since more would not be known."""
    return f"{float(f'{images:.2g}'):,.0f}"
