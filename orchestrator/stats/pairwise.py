"""Every pair of models compared on the same test images: the rows of `comparison.parquet`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pyarrow as pa

from orchestrator.results import schema
from orchestrator.results.rows import Model
from orchestrator.results.study_record import Question
from orchestrator.stats import bootstrap
from orchestrator.stats.differences import Pair, TestedRuns, adjust, pair
from orchestrator.stats.predictions import split_runs


def compare(
    final: pa.Table,
    predictions: pa.Table,
    *,
    registered: Sequence[Question] | None = None,
    draws: int = bootstrap.DRAWS,
) -> pa.Table:
    """Compares all pairs of (family, role) within each train fraction; a difference is a - b.

    A row with a seed pairs the two runs of that seed: its interval covers test-sampling noise, and
    the p of accuracy is McNemar's exact one. A row with seed null is the difference of the seed
    means; its interval covers test-sampling noise (paired) and training noise (independent in a
    and b), and the p of accuracy is that of this interval, see `stats.intervals`. `n_seeds` is the
    smaller number of the two; with one seed nothing is known of training noise. Each p is adjusted
    by Holm over the distinct pairs of that fraction and seed, or of the means of that fraction.
    Questions that were registered before the search are adjusted together, whatever their
    fraction, and apart from the pairs of means that were not.

    Returns:
        The table `comparison` of `schema.FIXED_SCHEMAS`, families in the order of the final runs.

    Raises:
        ValueError: Two runs of one fraction were not tested on the same images.
    """
    named = dict.fromkeys(zip(final["family"].to_pylist(), final["role"].to_pylist(), strict=True))
    families = dict.fromkeys(family for family, _ in named)
    models = [(name, role) for name in families for role in schema.ROLES if (name, role) in named]
    study = final["study"][0].as_py() if final.num_rows else None
    runs = split_runs(predictions)
    found: list[Pair] = []
    for fraction in sorted({run.fraction for run in runs}):
        own = [run for run in runs if run.fraction == fraction]
        for run in own:
            if not run.same_images(own[0]):
                raise ValueError(
                    "all runs of a train fraction must be tested on the same images with the same "
                    f"labels, but {run.family} {run.role} seed {run.seed} was not"
                )
        shared = {"study": study, "train_fraction": fraction, "n_images": len(own[0].labels)}
        found += _compare_fraction(TestedRuns.of(own, draws), models, shared)
    _adjust_means(found, registered)
    rows = [row for each in found for row in each.rows]
    return schema.to_table(rows, schema.FIXED_SCHEMAS["comparison"])


def compare_models(tested: TestedRuns, models: Sequence[Model]) -> Iterator[dict[str, Any]]:
    """All pairs of models with runs at one train fraction: of each seed, then of the means."""
    found = list(_compare_fraction(tested, models, {}))
    adjust([each for each in found if each.rows[0]["seed"] is None])
    for each in found:
        yield from each.rows


def _compare_fraction(
    tested: TestedRuns, models: Sequence[Model], shared: Mapping[str, object]
) -> Iterator[Pair]:
    """The pairs of one train fraction: of each seed, adjusted, then of the means over seeds."""
    for seed in (*sorted({run.seed for run in tested.runs}), None):
        numbers = {model: tested.of_model(model, seed) for model in models}
        pairs = []
        for a, b in combinations([model for model in models if numbers[model]], 2):
            named = zip(("a_family", "a_role", "b_family", "b_role"), (*a, *b), strict=True)
            own = {**shared, "seed": seed, **dict(named)}
            pairs.append(pair(tested, numbers[a], numbers[b], own))
        if seed is not None:
            adjust(pairs)
        yield from pairs


def _adjust_means(found: Sequence[Pair], registered: Sequence[Question] | None) -> None:
    """Adjusts the pairs of means: registered questions together, others within their fraction."""
    families: dict[float | None, list[Pair]] = {}
    asked = {question.asked for question in registered or ()}
    for each in found:
        row = each.rows[0]
        if row["seed"] is not None:
            continue
        models = frozenset((row[f"{side}_family"], row[f"{side}_role"]) for side in "ab")
        is_asked = (row["train_fraction"], models) in asked
        families.setdefault(None if is_asked else row["train_fraction"], []).append(each)
        for own in each.rows:
            own["registered"] = None if registered is None else is_asked
    for pairs in families.values():
        adjust(pairs)
