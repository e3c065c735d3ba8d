"""Every pair of models compared on the same test images: the rows of `comparison.parquet`."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.results import schema as results
from orchestrator.stats import bootstrap as statistics
from orchestrator.stats.intervals import SeedRuns, mean_interval

Model = tuple[str, str]
"""A family and a role (`baseline` or `tuned`)."""

METRICS = ("accuracy", "precision", "recall", "loss")
SMALLEST = float(np.nextafter(np.float32(0), np.float32(1)))
"""The smallest positive float32: a probability of 0 is read as this, so no loss is infinite."""


@dataclass(frozen=True, kw_only=True)
class _Predictions:
    """What the models of one train fraction said about the same test images."""

    labels: statistics.Integers
    """[images]"""
    predicted: statistics.Integers
    """[distinct runs, images]"""
    losses: statistics.Floats
    """[distinct runs, images], in nats"""
    classes: int
    seeds: Mapping[Model, Mapping[int, int]]
    """Model to seed to row in `predicted` and `losses`; identical runs share one row."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One side of a pair: a model at one seed, or the mean of its seeds."""

    model: Model
    rows: tuple[int, ...]
    """Of its runs in `_Predictions`: the same in a winner that is its baseline."""
    metrics: Mapping[str, SeedRuns]
    correct: statistics.Bools | None
    """Whether each test image is classified correctly, [images]; None for a mean of seeds."""


def compare(final: pa.Table, predictions: pa.Table, *, draws: int = statistics.DRAWS) -> pa.Table:
    """Compares all pairs of (family, role) within each train fraction; a difference is a - b.

    A row with a seed pairs the two runs of that seed: its interval covers test-sampling noise, and
    accuracy has McNemar's exact p-value, Holm-adjusted over the pairs of that fraction and seed.
    A row with seed null is the difference of the seed means; its interval covers test-sampling
    noise (paired) and training noise (independent in a and b), see `stats.intervals`. `n_seeds` is
    the smaller number of the two; with one seed nothing is known of training noise.

    Args:
        final: `final.parquet`; gives the order of the families and the study's name.
        predictions: `predictions.parquet`.
        draws: Bootstrap draws.

    Returns:
        The table `comparison` of `schema.FIXED_SCHEMAS`.

    Raises:
        ValueError: Two runs of one fraction were not tested on the same images.
    """
    models = _models(final)
    study = final["study"][0].as_py() if final.num_rows else None
    rows: list[dict[str, Any]] = []
    for fraction, part in _by_fraction(predictions, models):
        shared = {"study": study, "train_fraction": fraction, "n_images": len(part.labels)}
        rows += [{**shared, **row} for row in _compare_fraction(part, draws)]
    return results.to_table(rows, results.FIXED_SCHEMAS["comparison"])


def _models(final: pa.Table) -> list[Model]:
    """The models in the order of the tables: families as they appear, baseline before tuned."""
    families = dict.fromkeys(final["family"].to_pylist())
    present = set(zip(final["family"].to_pylist(), final["role"].to_pylist(), strict=True))
    return [
        (family, role) for family in families for role in results.ROLES if (family, role) in present
    ]


def _by_fraction(
    predictions: pa.Table, models: Sequence[Model]
) -> Iterator[tuple[float, _Predictions]]:
    """The predictions of each train fraction, smallest first."""
    keys = predictions.select(["train_fraction", "family", "role", "seed"]).to_pandas()
    runs = keys.groupby(list(keys.columns), observed=True, sort=False).indices
    for fraction in sorted({key[0] for key in runs}):
        of_fraction = {
            (key[1], key[2], int(key[3])): predictions.take(rows)
            for key, rows in runs.items()
            if key[0] == fraction
        }
        yield float(fraction), _gather(of_fraction, models)


def _gather(runs: Mapping[tuple[str, str, int], pa.Table], models: Sequence[Model]) -> _Predictions:
    """One fraction's runs as arrays over the images they share, identical runs only once.

    A winner that is its baseline stands in both roles with the same rows; sharing one row makes
    the two exactly equal in every draw.
    """
    distinct: dict[bytes, int] = {}
    arrays: list[tuple[statistics.Integers, statistics.Floats]] = []
    seeds: dict[Model, dict[int, int]] = {}
    tables = {key: table.sort_by("image_index") for key, table in runs.items()}
    first = next(iter(tables.values()))
    for family, role, seed in sorted(tables, key=lambda key: key[2]):
        table = tables[family, role, seed]
        _check_same_images(first, table, f"{family} {role} seed {seed}")
        predicted, losses = _arrays(table)
        row = distinct.setdefault(predicted.tobytes() + losses.tobytes(), len(arrays))
        if row == len(arrays):
            arrays.append((predicted, losses))
        seeds.setdefault((family, role), {})[seed] = row
    return _Predictions(
        labels=first["label"].to_numpy(),
        predicted=np.stack([predicted for predicted, _ in arrays]),
        losses=np.stack([losses for _, losses in arrays]),
        classes=len(first["probabilities"][0]),
        seeds={model: seeds[model] for model in models if model in seeds},
    )


def _check_same_images(first: pa.Table, other: pa.Table, name: str) -> None:
    shared = ["image_index", "label"]
    if not first.select(shared).equals(other.select(shared)):
        message = (
            "all runs of a train fraction must be tested on the same images with the same labels, "
            f"but {name} was not"
        )
        raise ValueError(message)


def _arrays(table: pa.Table) -> tuple[statistics.Integers, statistics.Floats]:
    """Predicted classes and cross-entropy in nats of one run, both [images]."""
    nested = table["probabilities"].combine_chunks()
    probabilities = nested.flatten().to_numpy().reshape(table.num_rows, -1)
    of_label = probabilities[np.arange(table.num_rows), table["label"].to_numpy()]
    losses = -np.log(np.maximum(of_label.astype(np.float64), SMALLEST))
    return table["predicted"].to_numpy(), losses


def _compare_fraction(part: _Predictions, draws: int) -> Iterator[dict[str, Any]]:
    """The rows of one train fraction: each seed, then the means over seeds."""
    estimates = statistics.estimate(
        part.labels, part.predicted, part.losses, classes=part.classes, draws=draws
    )
    for seed in sorted({seed for seeds in part.seeds.values() for seed in seeds}):
        entries = [
            _entry(model, (seeds[seed],), part, estimates)
            for model, seeds in part.seeds.items()
            if seed in seeds
        ]
        yield from _rows(entries, seed)
    means = [
        _entry(model, tuple(seeds.values()), part, estimates, of_seed=False)
        for model, seeds in part.seeds.items()
    ]
    yield from _rows(means, None)


def _entry(
    model: Model,
    rows: tuple[int, ...],
    part: _Predictions,
    estimates: statistics.Estimates,
    *,
    of_seed: bool = True,
) -> _Entry:
    chosen = list(rows)
    return _Entry(
        model=model,
        rows=rows,
        metrics={
            metric: SeedRuns(
                points=estimates.point[metric][chosen], draws=estimates.draws[metric][chosen]
            )
            for metric in METRICS
        },
        correct=part.predicted[rows[0]] == part.labels if of_seed else None,
    )


def _rows(entries: Iterable[_Entry], seed: int | None) -> list[dict[str, Any]]:
    """The rows of all pairs of entries, pair by pair and metric by metric."""
    pairs = list(combinations(entries, 2))
    rows = [{"seed": seed, **_row(a, b, metric)} for a, b in pairs for metric in METRICS]
    p_values = _p_values(pairs)
    if not p_values:
        return rows
    accuracies = [row for row in rows if row["metric"] == "accuracy"]
    for row, p, adjusted in zip(accuracies, p_values, statistics.holm(p_values), strict=True):
        row |= {"p_value": p, "p_value_holm": float(adjusted)}
    return rows


def _p_values(pairs: Sequence[tuple[_Entry, _Entry]]) -> list[float]:
    """McNemar's p-value of each pair of runs; none for pairs of means, which have no images."""
    return [
        statistics.mcnemar_p_value(a.correct, b.correct)
        for a, b in pairs
        if a.correct is not None and b.correct is not None
    ]


def _row(a: _Entry, b: _Entry, metric: str) -> dict[str, Any]:
    of_a, of_b = a.metrics[metric], b.metrics[metric]
    low, high = (
        # The same trainings in both: what chance there was in them is in neither side alone.
        statistics.percentile_interval(of_a.mean_draws - of_b.mean_draws)
        if a.rows == b.rows
        else mean_interval(of_a, of_b)
    )
    if metric != "loss":  # no share can differ by more; Student's t knows no bounds
        low, high = max(low, -1.0), min(high, 1.0)
    return {
        "a_family": a.model[0],
        "a_role": a.model[1],
        "b_family": b.model[0],
        "b_role": b.model[1],
        "metric": metric,
        "difference": _finite(of_a.mean - of_b.mean),
        "ci_low": _finite(low),
        "ci_high": _finite(high),
        "n_seeds": min(len(a.rows), len(b.rows)),
    }


def _finite(value: float) -> float | None:
    """The value, or null where a model's probabilities were no numbers."""
    return value if math.isfinite(value) else None
