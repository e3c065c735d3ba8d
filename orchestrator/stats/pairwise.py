"""Every pair of models compared on the same test images: the rows of `comparison.parquet`."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.results import schema
from orchestrator.stats import bootstrap, significance
from orchestrator.stats.intervals import SeedRuns, mean_interval
from orchestrator.stats.predictions import PredictedRun

Model = tuple[str, str]
"""A family and a role (`baseline` or `tuned`)."""
METRICS = ("accuracy", "precision", "recall", "loss")


SMALLEST = float(np.nextafter(np.float32(0), np.float32(1)))
"""The smallest positive float32: a probability of 0 is read as this, so no loss is infinite."""


@dataclass(frozen=True, kw_only=True)
class _Predictions:
    """What the models of one train fraction said about the same test images."""

    labels: bootstrap.Integers
    """[images]"""
    predicted: bootstrap.Integers
    """[distinct runs, images]"""
    losses: bootstrap.Floats
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
    correct: bootstrap.Bools | None
    """Whether each test image is classified correctly, [images]; None for a mean of seeds."""


@dataclass(frozen=True, kw_only=True)
class TestedStudy:
    """What a study's models said about its test images.

    Attributes:
        name: By which it is shown.
        data: Its data files with their hashes, as text.
        runs: At the largest train fraction, from `predictions.split_runs`.
    """

    name: str
    data: str
    runs: Sequence[PredictedRun]

    def of_model(self, model: tuple[str, str]) -> list[PredictedRun]:
        """The runs of a family and role."""
        return [run for run in self.runs if run.model == model]


def compare(final: pa.Table, predictions: pa.Table, *, draws: int = bootstrap.DRAWS) -> pa.Table:
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
    return schema.to_table(rows, schema.FIXED_SCHEMAS["comparison"])


def _models(final: pa.Table) -> list[Model]:
    """The models in the order of the tables: families as they appear, baseline before tuned."""
    families = dict.fromkeys(final["family"].to_pylist())
    present = set(zip(final["family"].to_pylist(), final["role"].to_pylist(), strict=True))
    return [
        (family, role) for family in families for role in schema.ROLES if (family, role) in present
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
    arrays: list[tuple[bootstrap.Integers, bootstrap.Floats]] = []
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


def _arrays(table: pa.Table) -> tuple[bootstrap.Integers, bootstrap.Floats]:
    """Predicted classes and cross-entropy in nats of one run, both [images]."""
    nested = table["probabilities"].combine_chunks()
    probabilities = nested.flatten().to_numpy().reshape(table.num_rows, -1)
    of_label = probabilities[np.arange(table.num_rows), table["label"].to_numpy()]
    losses = -np.log(np.maximum(of_label.astype(np.float64), SMALLEST))
    return table["predicted"].to_numpy(), losses


def _compare_fraction(part: _Predictions, draws: int) -> Iterator[dict[str, Any]]:
    """The rows of one train fraction: each seed, then the means over seeds."""
    estimates = bootstrap.estimate(
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
    estimates: bootstrap.Estimates,
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
    for row, p, adjusted in zip(accuracies, p_values, significance.holm(p_values), strict=True):
        row |= {"p_value": p, "p_value_holm": float(adjusted)}
    return rows


def _p_values(pairs: Sequence[tuple[_Entry, _Entry]]) -> list[float]:
    """McNemar's p-value of each pair of runs; none for pairs of means, which have no images."""
    return [
        significance.mcnemar_p_value(a.correct, b.correct)
        for a, b in pairs
        if a.correct is not None and b.correct is not None
    ]


def _row(a: _Entry, b: _Entry, metric: str) -> dict[str, Any]:
    of_a, of_b = a.metrics[metric], b.metrics[metric]
    low, high = (
        # The same trainings in both: what chance there was in them is in neither side alone.
        bootstrap.percentile_interval(of_a.mean_draws - of_b.mean_draws)
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


def why_not_comparable(a: TestedStudy, b: TestedStudy) -> str | None:
    """Why two studies cannot be compared image by image; None where they can."""
    if not a.runs or not b.runs:
        return f"{(b if a.runs else a).name} has no final runs"
    if a.data != b.data:
        return "different data files, so different test images"
    of_a, of_b = a.runs[0], b.runs[0]
    for what in ("images", "labels"):
        if not np.array_equal(getattr(of_a, what), getattr(of_b, what)):
            return "different test images"
    if of_a.probabilities.shape != of_b.probabilities.shape:
        return "different numbers of classes"
    return None


def pair_studies(
    studies: Sequence[TestedStudy], *, draws: int = bootstrap.DRAWS
) -> list[dict[str, Any]]:
    """Every model that two comparable studies share; a difference is that of a minus b.

    Returns:
        Rows as of `comparison.parquet`, with `a_study` and `b_study`, `a_fraction` and
        `b_fraction`. Rows of a seed that both have carry McNemar's p, adjusted by Holm over all
        pairs of studies and models of that seed.
    """
    rows: list[dict[str, Any]] = []
    for a, b in combinations(studies, 2):
        if why_not_comparable(a, b) is None:
            for model in dict.fromkeys(run.model for run in a.runs):
                if b.of_model(model):
                    rows += _pair(a, b, model, draws)
    for seed in sorted({row["seed"] for row in rows if row["seed"] is not None}):
        tested = [row for row in rows if (row["seed"], row["metric"]) == (seed, "accuracy")]
        adjusted = significance.holm([row["p_value"] for row in tested])
        for row, value in zip(tested, adjusted, strict=True):
            row["p_value_holm"] = float(value)
    return rows


def _pair(
    a: TestedStudy, b: TestedStudy, model: tuple[str, str], draws: int
) -> Iterator[dict[str, Any]]:
    of_a, of_b = a.of_model(model), b.of_model(model)
    runs = [*of_a, *of_b]
    found = bootstrap.estimate(
        runs[0].labels,
        np.stack([run.predicted for run in runs]),
        np.stack([_losses(run) for run in runs]),
        classes=runs[0].probabilities.shape[1],
        draws=draws,
    )
    shared = {
        "a_study": a.name,
        "b_study": b.name,
        "a_fraction": of_a[0].fraction,
        "b_fraction": of_b[0].fraction,
        **dict.fromkeys(("a_family", "b_family"), model[0]),
        **dict.fromkeys(("a_role", "b_role"), model[1]),
        "n_images": len(runs[0].labels),
    }
    of_seed = {run.seed: index for index, run in enumerate(of_b, start=len(of_a))}
    pairs = [
        (run.seed, [index], [of_seed[run.seed]])
        for index, run in enumerate(of_a)
        if run.seed in of_seed
    ]
    everything = (None, list(range(len(of_a))), list(range(len(of_a), len(runs))))
    for seed, left, right in (*pairs, everything):
        for metric in METRICS:
            row = {
                **shared,
                "seed": seed,
                "metric": metric,
                **_difference(found, metric, left, right),
            }
            if seed is not None and metric == "accuracy":
                row["p_value"] = significance.mcnemar_p_value(
                    runs[left[0]].correct, runs[right[0]].correct
                )
            yield row


def _difference(
    found: bootstrap.Estimates, metric: str, left: list[int], right: list[int]
) -> dict[str, Any]:
    a, b = (
        SeedRuns(points=found.point[metric][rows], draws=found.draws[metric][rows])
        for rows in (left, right)
    )
    low, high = (
        # The same trainings, found again in the other study.
        bootstrap.percentile_interval(a.mean_draws - b.mean_draws)
        if np.array_equal(a.draws, b.draws)
        else mean_interval(a, b)
    )
    values = {"difference": a.mean - b.mean, "ci_low": low, "ci_high": high}
    return {
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
        "p_value": None,
        "p_value_holm": None,
        "n_seeds": min(len(left), len(right)),
    }


def _losses(run: PredictedRun) -> bootstrap.Floats:
    """Cross-entropy of each image in nats, as in the comparison within a study."""
    of_label = run.probabilities[np.arange(len(run.labels)), run.labels]
    return np.asarray(-np.log(np.maximum(of_label, SMALLEST)))
