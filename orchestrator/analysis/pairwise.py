"""Pairs of models shown: tuned against baseline, families against each other, and every pair."""

from collections.abc import Iterator, Sequence

from orchestrator.analysis.pair_words import (
    difference,
    excludes_zero,
    holm_of_seeds,
    interval_cell,
    is_measured,
    leader_first,
    other_metrics,
    swapped,
)
from orchestrator.analysis.section import MISSING, Row, Section, grouped, model_name
from orchestrator.results.schema import METRICS, ROLES

ENOUGH_SEEDS = 3
"""For intervals that hold what they say; see docs/STATISTICS.md."""
PAIR = ("train_fraction", "a_family", "a_role", "b_family", "b_role")


def pair_sections(pairs: Sequence[Row]) -> tuple[Section, ...]:
    """The sections on pairs, from the rows of `comparison.parquet`."""
    return (_tuning_section(pairs), _families_section(pairs), *_all_sections(pairs))


def _tuning_section(pairs: Sequence[Row]) -> Section:
    """Tuned minus baseline of each family that has another winner."""
    means = [row for row in pairs if row["seed"] is None and row["a_family"] == row["b_family"]]
    same = _unchanged(pairs)
    shown = [row for row in means if (row["train_fraction"], row["a_family"]) not in same]
    rows, sentences = [], [*_interval_notes(shown), *_unchanged_notes(same)]
    for (fraction, family), metrics in grouped(shown, "train_fraction", "a_family"):
        of_metric = {row["metric"]: swapped(row) for row in metrics}
        cells = [interval_cell(of_metric[metric], metric) for metric in METRICS]
        rows.append((f"{fraction:g}", family, *cells))
        sentences.append(f"{difference(of_metric['accuracy'])}{_also(metrics)}.")
    return Section(
        title="Tuned minus baseline",
        columns=("train fraction", "family", "loss", "accuracy (points)", "precision", "recall"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _unchanged(pairs: Sequence[Row]) -> list[tuple[float, str]]:
    """Fraction and family where tuned and baseline are one model: no loss differs on any image."""
    return [
        (row["train_fraction"], row["a_family"])
        for row in pairs
        if row["seed"] is None
        and row["a_family"] == row["b_family"]
        and row["metric"] == "loss"
        and row["difference"] == row["ci_low"] == row["ci_high"] == 0
    ]


def _unchanged_notes(same: Sequence[tuple[float, str]]) -> Iterator[str]:
    for fraction in dict.fromkeys(each for each, _ in same):
        families = ", ".join(family for each, family in same if each == fraction)
        yield (
            f"At train fraction {fraction:g} the search found nothing better than the baseline of "
            f"{families}: tuned and baseline are the same model there."
        )


def _interval_notes(means: Sequence[Row]) -> Iterator[str]:
    """Sentences on what the intervals of differences of seed means cover."""
    if not means:
        return
    yield "Differences of the means over seeds, in brackets their 95% intervals."
    seeds = min(row["n_seeds"] for row in means)
    if seeds == 1:
        yield "With one seed an interval covers test-sampling noise only, not training noise."
        return
    yield (
        "The intervals cover test-sampling noise (bootstrap over images) and training noise "
        f"(Student's t over {seeds} seeds); fewer seeds make them wider."
    )
    if seeds < ENOUGH_SEEDS:
        yield (
            "From two seeds training noise is hardly known: in simulated studies such intervals "
            "are very wide and hold the truth in 93% to 98% of cases."
        )


def _families_section(pairs: Sequence[Row]) -> Section:
    """A sentence for every pair of tuned families."""
    tuned = [row for row in pairs if row["a_role"] == row["b_role"] == ROLES[1]]
    sentences = []
    for _, rows in grouped(tuned, *PAIR):
        accuracies = [row for row in rows if row["metric"] == "accuracy"]
        listed = ", ".join(holm_of_seeds(accuracies)) or MISSING
        means = [row for row in rows if row["seed"] is None]
        sentences += [
            f"{difference(row)}{_also(means)}; Holm-adjusted p: {listed}."
            for row in means
            if row["metric"] == "accuracy"
        ]
    if sentences:
        sentences.append(
            "p is McNemar's exact test on the same test images, adjusted by Holm over all pairs of "
            "families and roles of that train fraction and seed."
        )
    return Section(title="Tuned families against each other", sentences=tuple(sentences))


def _also(means: Sequence[Row]) -> str:
    """What the other metrics say of a pair, as the end of a sentence."""
    said = other_metrics({row["metric"]: row for row in means})
    return f"; {said}" if said else ""


def _all_sections(pairs: Sequence[Row]) -> Iterator[Section]:
    """Every pair, a row each that reads as a sentence, one table for each train fraction."""
    same = _unchanged(pairs)
    again = {(fraction, family, ROLES[1]) for fraction, family in same}
    means = [
        row
        for row in pairs
        if row["seed"] is None
        and row["metric"] == "accuracy"
        and not any((row["train_fraction"], *_model(row, side)) in again for side in ("a_", "b_"))
    ]
    for (fraction,), of_fraction in grouped(means, "train_fraction"):
        if len(of_fraction) > 1:
            yield Section(
                title=f"Every pair at train fraction {fraction:g}",
                columns=("model", "is more accurate than", "by points [95% interval]", "certain"),
                rows=tuple(_pair_row(leader_first(row)) for row in of_fraction),
                sentences=(
                    "Certain is what has an interval without 0. These intervals are not adjusted "
                    f"for there being {len(of_fraction)} of them; McNemar's p-values of each seed, "
                    "which are, stand in comparison.parquet with the other metrics.",
                    *_unchanged_notes([each for each in same if each[0] == fraction]),
                ),
            )


def _model(row: Row, side: str) -> tuple[str, str]:
    return row[f"{side}family"], row[f"{side}role"]


def _pair_row(row: Row) -> tuple[str, ...]:
    names = model_name(row, "a_"), model_name(row, "b_")
    if not is_measured(row):
        return *names, MISSING, MISSING
    return *names, interval_cell(row, "accuracy"), "yes" if excludes_zero(row) else "no"
