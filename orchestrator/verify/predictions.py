"""What must be true of a study's predictions: the test metrics and the comparison follow from them.

The metrics are computed by scikit-learn, not by the code that the finals were tested with.
"""

import functools
import math
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from orchestrator.results.final_runs import Key, key_of
from orchestrator.results.rows import ComparisonRow, models_of
from orchestrator.verify.finals import name_of
from orchestrator.verify.tables import ROUNDING, Tables, differing, repeated

# Probabilities are stored as float32, of which a loss is off by a few of its last digits.
TOLERANCE: Final = 2e-6
SUM_TOLERANCE: Final = 1e-4
# Below this a float32 has lost digits, so that a loss is known from one side only.
SMALLEST: Final = float(np.finfo(np.float32).tiny)
POINTS: Final = ("difference", "n_images", "n_seeds", "registered")
ENDS: Final = ("ci_low", "ci_high")
P_VALUES: Final = ("p_value", "p_value_holm")
# Of sums over images in another order, and of a p that is found by halving.
RESAMPLED: Final = 1e-8
LEVEL: Final = 0.05

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def check_predictions(tables: Tables) -> Iterator[str]:
    """The test metrics of each final run are what its predictions give."""
    final = {key_of(row): row for row in tables.final}
    runs = _runs(tables.table("predictions"))
    for key in sorted(runs.keys() - final.keys()):
        yield f"{name_of(key)} has predictions, but is not in final.parquet"
    labels = Counter(_array(run, "label").tobytes() for run in runs.values()).most_common(1)
    for key, row in sorted(final.items()):
        if key not in runs:
            yield f"{name_of(key)} must have predictions, but has none"
            continue
        violation = _violation(runs[key], row["test_images"], len(tables.study.dataset.classes))
        if violation is not None:
            yield f"{name_of(key)} must have {violation}"
            continue
        if _array(runs[key], "label").tobytes() != labels[0][0]:
            yield f"{name_of(key)} must be tested on the same labels as the others, but is not"
        yield from _check_run(name_of(key), row, runs[key])


def check_comparison(tables: Tables) -> Iterator[str]:
    """The comparison is what the predictions give.

    Intervals, and the p of means, are made by a method that may change between versions: those of a
    study of other code are held against each other alone, see `interval_notes`.
    """
    expected = {_pair(row): row for row in tables.compared_again}
    rows: list[ComparisonRow] = tables.table("comparison").to_pylist()
    own = tables.is_of_this_code
    # Older studies have no p of means, and Holm's over repeated tests.
    older = not own and all(row["p_value"] is None for row in rows if _is_of_means(row))
    found = {_pair(row): row for row in rows}
    yield from repeated(map(_pair, rows), "be compared once", " times")
    for pair in expected:
        if pair not in found:
            yield f"{pair} must be in comparison.parquet, but is missing"
    for pair, row in found.items():
        if pair not in expected:
            yield f"{pair} must not be in comparison.parquet: no finals have it"
            continue
        exact, resampled = [*POINTS], [*ENDS]
        if _is_of_means(row):
            resampled += P_VALUES
        elif not older:
            exact += P_VALUES
        yield from _differing(pair, exact, expected[pair], row)
        if own:
            yield from _differing(pair, resampled, expected[pair], row, RESAMPLED)
        elif _is_of_means(row) and not older:
            yield from _p_of_means(pair, row)
        yield from _interval(pair, row)


def interval_notes(tables: Tables) -> Iterator[str]:
    """How many intervals of a study of other code are not those that this code computes."""
    if not {"final", "predictions", "comparison"} <= {*tables.usable}:
        return
    if tables.is_of_this_code:
        return
    expected = {_pair(row): row for row in tables.compared_again}
    rows: list[ComparisonRow] = tables.table("comparison").to_pylist()
    others = sum(
        any(_differing("", ENDS, expected[pair], row, RESAMPLED))
        for pair, row in ((_pair(row), row) for row in rows)
    )
    if others:
        yield (
            f"the intervals of {others} of {len(rows)} rows in comparison.parquet are not those "
            "that this version computes; the study is of another"
        )


def _differing(
    pair: str,
    names: Iterable[str],
    expected: ComparisonRow,
    row: ComparisonRow,
    rounding: float = ROUNDING,
) -> Iterator[str]:
    values: Mapping[str, object] = expected
    points = {name: values.get(name) for name in names}
    yield from differing(pair, points, row, " as the predictions give", rounding=rounding)


def _is_of_means(row: ComparisonRow) -> bool:
    return row["seed"] is None and row["metric"] == "accuracy"


def _interval(what: str, row: ComparisonRow) -> Iterator[str]:
    low, high = row["ci_low"], row["ci_high"]
    if (low is None) != (high is None):
        yield f"the interval of {what} must have two ends, but has one"
    elif low is not None and high is not None and low > high:
        yield f"the interval of {what} must not end before it begins, but does"


def _p_of_means(what: str, row: ComparisonRow) -> Iterator[str]:
    """The p of a difference of means is below 0.05 where its 95% interval excludes 0, not else."""
    p, holm, low, high = row["p_value"], row["p_value_holm"], row["ci_low"], row["ci_high"]
    if p is None or holm is None or not 0 < p <= holm <= 1:
        yield f"0 < p_value <= p_value_holm <= 1 must hold of {what}, but they are {p} and {holm}"
    elif low is not None and high is not None and (p < LEVEL) != (low > 0 or high < 0):
        yield (
            f"p_value of {what} must be below {LEVEL:g} exactly where its interval excludes 0, but "
            f"is {p} with {low} to {high}"
        )


def _violation(part: pa.Table, images: int, classes: int) -> str | None:
    """What a run's predictions must have and lack before their values can be looked at."""
    if part["image_index"].to_pylist() != list(range(images)):
        return f"one prediction for each of {images} images, but has not"
    if set(pc.unique(pc.list_value_length(part["probabilities"])).to_pylist()) != {classes}:
        return f"a probability for each of {classes} classes everywhere, but has not"
    labels = _array(part, "label")
    if labels.min() < 0 or labels.max() >= classes:
        return f"labels from 0 to {classes - 1}, but has others"
    return None


def _check_run(name: str, row: Mapping[str, Any], part: pa.Table) -> Iterator[str]:
    labels, predicted = _array(part, "label"), _array(part, "predicted")
    probabilities = np.stack(part["probabilities"].to_numpy()).astype(np.float64)
    for what, wrong in (
        ("probabilities that sum to 1", np.abs(probabilities.sum(axis=1) - 1) > SUM_TOLERANCE),
        ("predicted the most probable class", probabilities.argmax(axis=1) != predicted),
    ):
        if wrong.any():
            yield f"{name} must have {what}, but has not at image {np.flatnonzero(wrong)[0]}"
    for metric, value in _metrics(labels, predicted, probabilities).items():
        if not math.isclose(row[metric], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"{metric} of {name} must be {value} as predicted, but is {row[metric]}"
    of_label = probabilities[np.arange(len(labels)), labels]
    least = float(-np.log(np.maximum(of_label, SMALLEST)).mean())
    slack = TOLERANCE * max(1.0, least)
    most = least if of_label.min() >= SMALLEST else math.inf
    if not least - slack <= row["test_loss"] <= most + slack:
        yield f"test_loss of {name} must be {least} as predicted, but is {row['test_loss']}"


def _metrics(labels: Integers, predicted: Integers, probabilities: Floats) -> dict[str, float]:
    """The columns of `final.parquet` but the loss; arguments [images] and [images, classes]."""
    classes = probabilities.shape[1]
    macro = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    micro = precision_recall_fscore_support(
        np.eye(classes)[labels] > 0,
        probabilities > 0.5,  # noqa: PLR2004 (the threshold that names the columns)
        average="micro",
        zero_division=0,
    )
    return {
        "test_accuracy": accuracy_score(labels, predicted),
        **dict(zip(("test_precision", "test_recall"), macro, strict=False)),
        "test_precision_micro_at_half": micro[0],
        "test_recall_micro_at_half": micro[1],
        "classes_never_predicted": classes - len(np.unique(predicted)),
    }


def _runs(predictions: pa.Table) -> dict[Key, pa.Table]:
    """The predictions of each final run, by image."""
    columns = ["family", "role", "seed", "train_fraction"]
    keys = predictions.select(columns).group_by(columns).aggregate([]).to_pylist()
    return {
        key_of(key): predictions.filter(
            functools.reduce(operator.and_, (pc.field(name) == key[name] for name in columns))
        ).sort_by("image_index")
        for key in keys
    }


def _array(part: pa.Table, name: str) -> Integers:
    return np.asarray(part[name].to_numpy(), np.int64)


def _pair(row: ComparisonRow) -> str:
    """What is compared, in words."""
    a, b = map(" ".join, models_of(row))
    seeds = "all seeds" if row["seed"] is None else f"seed {row['seed']}"
    return f"{row['metric']} of {a} - {b}, fraction {row['train_fraction']:g}, {seeds}"
