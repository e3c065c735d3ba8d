"""Training noise apart: how often one more training of a model beats one of another."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import pyarrow as pa
from scipy.stats import mannwhitneyu

from orchestrator.analysis.section import Row, Section, grouped, model_name, percent, present
from orchestrator.results.schema import ROLES

FEWEST_SEEDS = 2
ENOUGH_SEEDS = 5


def probability_of_improvement(a: Sequence[float], b: Sequence[float]) -> float:
    """The share of pairs of trainings, one of each model, in which a is better; ties count half.

    It is the Mann-Whitney U statistic over the number of pairs. Source: Agarwal et al. (2021),
    Deep Reinforcement Learning at the Edge of the Statistical Precipice, section 4.2.

    Args:
        a: Test accuracy of each seed of one model, fractions; at least one.
        b: That of each seed of the other.
    """
    return float(mannwhitneyu(a, b, method="asymptotic").statistic) / (len(a) * len(b))


def training_noise_sections(final: pa.Table) -> tuple[Section, ...]:
    """The section on training noise: tuned families against each other, tuned against baseline.

    Args:
        final: `final.parquet`.
    """
    rows: list[Row] = final.to_pylist()
    if not rows:
        return ()
    found = [
        line
        for _, of_fraction in sorted(grouped(rows, "train_fraction"))
        for line in _lines(of_fraction)
    ]
    return (
        Section(
            title="Training noise: would one more training come out the same?",
            columns=("train fraction", "model", "against", "seeds", "better in"),
            rows=tuple(found),
            sentences=tuple(_notes(rows, found)),
        ),
    )


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """A row for each pair that has at least two seeds on both sides and is not the same runs."""
    models = [runs for _, runs in grouped(rows, "family", "role")]
    for a, b in combinations(models, 2):
        if not _are_compared(a[0], b[0]) or _trials(a) == _trials(b):
            continue
        of_a, of_b = (present(run["test_accuracy"] for run in runs) for runs in (a, b))
        if min(len(of_a), len(of_b)) < FEWEST_SEEDS:
            continue
        share = probability_of_improvement(of_a, of_b)
        first, second = (a, b) if share >= 1 / 2 else (b, a)
        seeds = (len(of_a), len(of_b)) if share >= 1 / 2 else (len(of_b), len(of_a))
        yield (
            f"{a[0]['train_fraction']:g}",
            model_name(first[0]),
            model_name(second[0]),
            f"{seeds[0]} and {seeds[1]}",
            percent(max(share, 1 - share), 0),
        )


def _are_compared(a: Row, b: Row) -> bool:
    return bool(a["family"] == b["family"] or a["role"] == b["role"] == ROLES[1])


def _trials(runs: Sequence[Row]) -> set[str]:
    return {run["trial_id"] for run in runs}


def _notes(rows: Sequence[Row], found: Sequence[tuple[str, ...]]) -> Iterator[str]:
    seeds = [len(runs) for _, runs in grouped(rows, "train_fraction", "family", "role")]
    if found:
        yield (
            "The share of all pairs of trainings, one of each model, in which the first has the "
            "higher test accuracy, ties counted half (Agarwal et al. 2021): 50% is a coin toss."
        )
    if min(seeds) < FEWEST_SEEDS:
        yield "A model with one seed shows no training noise and is left out; see --seeds."
    elif min(seeds) < ENOUGH_SEEDS:
        pairs = min(seeds) ** 2
        yield f"From {min(seeds)} seeds there are {pairs} pairs: a share is then a rough one."
