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
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.results.rows import Model
from orchestrator.results.schema import ROLES
from orchestrator.stats import sample_efficiency as stats
from orchestrator.stats.predictions import PredictedRun, repeated
from orchestrator.stats.sample_efficiency import FEWEST_SIZES, Curve

STEPS: Final = "Every size trains for the same epochs, so fewer images are fewer steps, too."
EQUAL_STEPS: Final = (
    "Fewer images were trained on for more epochs, so that every size had about the same steps."
)
SHORTER_SEARCHES: Final = (
    "The searches with fewer images had no more epochs than that with the most, so these "
    "hyperparameters were chosen for fewer steps than they were re-trained for."
)
CROSSINGS: Final = ("role", "a", "b", "first", "last", "images", "low", "high", "changed")
EQUAL: Final = ("leader", "images", "follower", "bound", "needed", "times")
DRAW: Final = (
    "The images of each size were drawn once, for all families and seeds; which ones they are is "
    "in no interval."
)


def sample_efficiency_sections(
    final: pa.Table,
    runs: Sequence[PredictedRun],
    settings: StoredSettings,
    curves: Mapping[Model, Curve] | None = None,
) -> Iterator[Section]:
    """Sample efficiency; nothing of a study with one train fraction.

    Args:
        final: `final.parquet`.
        runs: From `predictions.split_runs`.
        settings: The study's.
        curves: Where they were measured already.
    """
    if len({run.fraction for run in runs}) < FEWEST_SIZES:
        return
    curves = stats.measure_curves(final, runs) if curves is None else curves
    # A baseline that is the winner of each family at each fraction stands once.
    alike = len(repeated(runs)) == sum(run.role == ROLES[1] for run in runs)
    roles = ROLES[1:] if alike else tuple(reversed(ROLES))
    chosen = (
        "The hyperparameters were chosen at each number of images by a search of its own."
        if settings.tune_per_fraction
        else "The hyperparameters were chosen with the most images and are the same with fewer."
    )
    steps = EQUAL_STEPS if settings.equal_steps else STEPS
    equal_and_own = settings.equal_steps and settings.tune_per_fraction
    shorter = (SHORTER_SEARCHES,) if equal_and_own else ()
    yield _accuracy_section(final, (steps, DRAW, chosen, *shorter))
    yield _curve_section({model: own for model, own in curves.items() if model[1] in roles})
    yield from _crossing_sections(curves, roles)
    tuned = {family: own for (family, role), own in curves.items() if role == ROLES[1]}
    yield from _equal_sections(tuned, steps)


def _accuracy_section(final: pa.Table, notes: tuple[str, ...]) -> Section:
    """The tuned models, a column for each number of images."""
    runs = frame(final)
    runs = runs[runs["role"] == ROLES[1]].sort_values(
        "train_fraction", ascending=False, kind="stable"
    )
    means = over_seeds(runs, ["family", "train_images"], ["test_accuracy"])
    means = means.rename(columns=lambda name: name.removeprefix("test_")).set_index("family")
    one = spread("accuracy", "accuracy")
    sizes = {
        count(size): means.loc[means["train_images"] == size, [*one.columns]].add_suffix(f" {size}")
        for size in means["train_images"].unique()
    }
    formats = {size: Format(tuple(own.columns), one.write) for size, own in sizes.items()}
    return Section(
        key="data/accuracy",
        title="Test accuracy of the tuned models by training images",
        table=pd.concat(sizes.values(), axis=1).rename_axis("family").reset_index(),
        formats={"family": words("family"), **formats},
        notes=notes,
        place="terminal",
    )


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
        _crossing(role, a, b, curves)
        for role in roles
        for a, b in combinations([family for family, own in curves if own == role], 2)
        if len(stats.differences(curves[a, role], curves[b, role])) >= FEWEST_SIZES
    ]
    if not rows:
        return
    yield Section(
        key="data/crossings",
        title="Where families cross",
        table=pd.DataFrame(rows, columns=list(CROSSINGS)),
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


def _crossing(role: str, a: str, b: str, curves: Mapping[Model, Curve]) -> tuple[Any, ...]:
    both = curves[a, role], curves[b, role]
    leads = [difference > 0 for difference in stats.differences(*both).values() if difference]
    first, last = ((a if leads[end] else b) if leads else "equal" for end in (0, -1))
    found = stats.find_crossings(*both)
    low, high = stats.crossing_interval(*both) if len(found) == 1 else (np.nan, np.nan)
    changed = stats.share_of_changed_leads(*both) if leads and not found else np.nan
    return role, a, b, first, last, found or None, low, high, changed


def _equal_sections(curves: Mapping[str, Curve], steps: str) -> Iterator[Section]:
    """How many images the less accurate of two tuned families needs to come up to the other."""
    rows = []
    for a, b in combinations(curves, 2):
        for images, difference in stats.differences(curves[a], curves[b]).items():
            if difference:
                first, second = (a, b) if difference > 0 else (b, a)
                rows.append(
                    (first, images, second, *_needed(curves[first], curves[second], images))
                )
    if not rows:
        return
    yield Section(
        key="data/equal",
        title="Training images for the same accuracy, tuned",
        table=pd.DataFrame(rows, columns=list(EQUAL)),
        formats={
            "what this reaches": words("leader"),
            "with images": number("images"),
            "this needs": words("follower"),
            "images": Format(("bound", "needed"), lambda bound, x: f"{bound}{_about(x)}"),
            "times as many": Format(("bound", "times"), lambda bound, x: f"{bound}{x:.1f}"),
        },
        notes=("Between measured sizes accuracy is linear over log(images).", steps),
    )


def _needed(ahead: Curve, behind: Curve, images: int) -> tuple[str, float, float]:
    """A bound in words, images, and times as many, for what another reaches with `images`."""
    target = next(point.accuracy for point in ahead if point.images == images)
    needed = stats.images_to_reach(behind, target)
    if needed is None:
        return "more than ", float(behind[-1].images), behind[-1].images / images
    return "at most " if needed <= behind[0].images else "", needed, needed / images


def _about(images: float) -> str:
    """Images to two significant digits, since more would not be known."""
    return f"{float(f'{images:.2g}'):,.0f}"
