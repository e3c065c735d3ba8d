"""The answer in one sentence with its interval: which tuned family is the most accurate."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from orchestrator.analysis.pairwise import ends, excludes_zero, is_certain, is_measured, swapped
from orchestrator.analysis.section import at_largest, count, grouped, percent, points, present
from orchestrator.cli import counted
from orchestrator.results.rows import ComparisonRow, FinalRow, MeasuredRow, models_of
from orchestrator.results.schema import ROLES

TUNED: Final = ROLES[1]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found, in one sentence with the interval, and what else belongs to it."""

    headline: str
    details: tuple[str, ...] = ()


def answer(
    final: Sequence[FinalRow], comparison: Sequence[ComparisonRow], objective: str = "accuracy"
) -> Answer:
    """What can be said of a study that has ended, whose epochs and trials were compared by this."""
    ranked = rank(final)
    if not ranked:
        return Answer(headline="No answer: no family has a tuned model that was tested.")
    gains = tuple(_gains(comparison))
    if len(ranked) == 1:
        ((only, accuracies),) = ranked.items()
        tuned = "tuned" if len(accuracies) > 1 else "tuned and trained once"
        headline = (
            f"Nothing to compare: {only} alone was tested; {tuned}, it is right on "
            f"{_mean(accuracies)} of the test images."
        )
        return Answer(headline=headline, details=gains)
    details = (*_by_recall(ranked, comparison, objective), _reach(final, ranked), *gains)
    return Answer(headline=_verdict(ranked, comparison), details=details)


def rank(final: Sequence[FinalRow]) -> dict[str, list[float]]:
    """The test accuracies of each tuned family at the largest fraction, the most accurate first."""
    tuned = grouped([row for row in at_largest(final) if row["role"] == TUNED], "family")
    found = {family: present(row["test_accuracy"] for row in rows) for (family,), rows in tuned}
    known = sorted(filter(found.get, found), key=lambda family: -float(np.mean(found[family])))
    return {family: found[family] for family in known}


def _mean(accuracies: Sequence[float]) -> str:
    return percent(float(np.mean(accuracies)))


def _by_recall(
    ranked: Iterable[str], comparison: Sequence[ComparisonRow], objective: str
) -> Iterator[str]:
    """How the two best stand in balanced accuracy, where that was what a study was about."""
    if objective != "balanced_accuracy":
        return
    row = pair_of(comparison, ranked, metric="recall")
    if row is not None:
        difference, low, high = map(points, ends(row))
        yield (
            f"In balanced accuracy, by which trials and epochs were chosen, {row['a_family']} "
            f"minus {row['b_family']} is {difference} percentage points (95% interval {low} to "
            f"{high})."
        )


def mean_pairs(comparison: Sequence[ComparisonRow], metric: str = "accuracy") -> list[MeasuredRow]:
    """The rows of a metric over all seeds that have a difference and an interval."""
    return [
        row
        for row in comparison
        if row["seed"] is None and row["metric"] == metric and is_measured(row)
    ]


def pair_of(
    comparison: Sequence[ComparisonRow], ranked: Iterable[str], metric: str = "accuracy"
) -> MeasuredRow | None:
    """The row of the two best at the largest fraction, as the first minus the second."""
    wanted = tuple((family, TUNED) for family in islice(ranked, 2))
    for row in at_largest(mean_pairs(comparison, metric)):
        if models_of(row) == wanted:
            return row
        if models_of(row) == wanted[::-1]:
            return swapped(row)
    return None


def _verdict(ranked: Mapping[str, Sequence[float]], comparison: Sequence[ComparisonRow]) -> str:
    first, second = islice(ranked, 2)
    one, other = (_mean(ranked[family]) for family in (first, second))
    row = pair_of(comparison, ranked)
    if row is None:
        return (
            f"{first} is right on {one} of the test images and {second} on {other}, but the two "
            "were not compared."
        )
    difference, low, high = (100 * each for each in ends(row))
    certain = is_certain(row)
    interval = f"95% interval {low:z.2f} to {high:z.2f}, which "
    interval += "excludes 0" if excludes_zero(row) else "includes 0"
    if excludes_zero(row) and not certain:
        interval += f", but not after the correction for all pairs: p {row['p_value_holm']:.2f}"
    start, of, the, among = "", "", "The", f" of {len(ranked)}"
    if row["n_seeds"] == 1:  # whose interval knows nothing of other trainings of the same family
        once = [family for family, own in ranked.items() if len(own) == 1]
        start, the = f"Of these trainings, one alone of {' and '.join(once)}, ", "the"
        if len(once) == len(ranked):
            start = f"Of these {len(ranked)} trained networks, compared by one training each, "
            of, among = "that of ", ""
    if certain:
        return (
            f"{start}{of}{first} is the most accurate{among}: {one} on the test set, "
            f"{difference:z.2f} percentage points above {of}{second} ({interval})."
        )
    return (
        f"{start}{the} two best cannot be told apart: {of}{first} is right on {one} of the test "
        f"images and {of}{second} on {other}, a difference of {difference:z.2f} percentage points "
        f"({interval})."
    )


def _reach(final: Sequence[FinalRow], ranked: Mapping[str, Sequence[float]]) -> str:
    own, seeds = at_largest(final)[0], [*map(len, ranked.values())]
    runs = "one training each, so training noise is not in the interval"
    if max(seeds) > 1:
        ends = sorted({min(seeds), max(seeds)})
        runs = f"means over {' to '.join(map(str, ends))} trainings each"
        if min(seeds) == 1:
            runs += ", and of one alone training noise is in no interval"
    return (
        f"Measured on {counted(own['test_images'], 'test image')} after training on "
        f"{count(own['train_images'])}; {runs}."
    )


def _gains(comparison: Sequence[ComparisonRow]) -> Iterator[str]:
    gains = []
    for row in at_largest(mean_pairs(comparison)):
        if row["a_family"] == row["b_family"]:
            difference, low, high = map(points, ends(swapped(row)))
            gain = f"{difference} [{low}, {high}]" if any(ends(row)) else "0 (its baseline)"
            gains.append(f"{row['a_family']} {gain}")
    if gains:
        yield f"Tuned minus baseline, in percentage points: {'; '.join(gains)}."
