"""The question and its answer in one sentence, with the interval, from the stored comparison."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from orchestrator.analysis.section import Row, count, duration, grouped, percent, points, present
from orchestrator.report.inputs import Inputs
from orchestrator.results.schema import ROLES

TUNED: Final = ROLES[1]
FEWEST_TO_COMPARE: Final = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the study found.

    Attributes:
        question: What was asked.
        headline: One sentence, with the interval.
        details: What else belongs to it.
    """

    question: str
    headline: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A tuned family at the largest train fraction, with its mean test accuracy over seeds."""

    family: str
    accuracy: float
    seeds: int


def answer(inputs: Inputs) -> Answer:
    """What can be said, whatever the state of the study."""
    question = _question(inputs)
    if not inputs.ended:
        return Answer(question=question, headline=f"No answer yet: {progress(inputs)}")
    ranked = rank(inputs.final)
    if not ranked:
        return Answer(
            question=question,
            headline="No answer: no family has a tuned model that was tested.",
        )
    if len(ranked) < FEWEST_TO_COMPARE:
        only = ranked[0]
        headline = (
            f"Nothing to compare: {only.family} alone was tested; tuned, it is right on "
            f"{percent(only.accuracy)} of the test images."
        )
        return Answer(question=question, headline=headline, details=tuple(_gains(inputs)))
    return Answer(
        question=question,
        headline=_verdict(ranked, inputs.comparison),
        details=(*_reach(inputs, ranked), *_gains(inputs)),
    )


def progress(inputs: Inputs) -> str:
    """How far a study is that has not ended."""
    standing = inputs.standing
    ended = sum(f.stopped + f.completed + f.failed + f.diverged for f in standing.families)
    planned = sum(f.trials for f in standing.families)
    text = f"the study is {standing.state}; {ended:,} of {planned:,} trials have ended"
    if standing.finals is None:
        text += " and the finals have not begun."
    else:
        text += (
            f" and {standing.finals.done:,} of {standing.finals.expected:,} final runs are done."
        )
    if standing.time_left_seconds is not None:
        text += f" If it goes on as so far, about {duration(standing.time_left_seconds)} are left."
    return text


def rank(final: Sequence[Row]) -> list[Ranked]:
    """Tuned families at the largest fraction, the most accurate first."""
    largest = max((row["train_fraction"] for row in final), default=None)
    tuned = [row for row in final if (row["role"], row["train_fraction"]) == (TUNED, largest)]
    ranked = []
    for (family,), rows in grouped(tuned, "family"):
        values = present(row["test_accuracy"] for row in rows)
        if values:
            ranked.append(Ranked(family=family, accuracy=float(np.mean(values)), seeds=len(values)))
    return sorted(ranked, key=lambda each: -each.accuracy)


def mean_pairs(comparison: Sequence[Row], metric: str = "accuracy") -> list[Row]:
    """The rows over all seeds of one metric that have a difference and an interval."""
    return [
        row
        for row in comparison
        if row["seed"] is None
        and row["metric"] == metric
        and None not in (row["difference"], row["ci_low"], row["ci_high"])
    ]


def turned(row: Row) -> tuple[float, float, float]:
    """Difference, low and high of a pair seen from its other side."""
    return 0 - row["difference"], 0 - row["ci_high"], 0 - row["ci_low"]


def pair_of(comparison: Sequence[Row], first: str, second: str) -> tuple[float, ...] | None:
    """Difference, low and high of two tuned families at the largest fraction, as fractions."""
    rows = mean_pairs(comparison)
    largest = max((row["train_fraction"] for row in rows), default=None)
    for row in rows:
        names = row["a_family"], row["b_family"]
        roles = row["a_role"], row["b_role"]
        if roles == (TUNED, TUNED) and row["train_fraction"] == largest:
            if names == (first, second):
                return row["difference"], row["ci_low"], row["ci_high"]
            if names == (second, first):
                return turned(row)
    return None


def _question(inputs: Inputs) -> str:
    families = inputs.families
    names = families[0] if len(families) == 1 else f"{', '.join(families[:-1])} and {families[-1]}"
    dataset = inputs.study["settings"]["dataset"]
    return f"How accurate are {names} on {dataset}, each tuned, and is the difference real?"


def _verdict(ranked: Sequence[Ranked], comparison: Sequence[Row]) -> str:
    first, second = ranked[:2]
    found = pair_of(comparison, first.family, second.family)
    if found is None:
        return (
            f"{first.family} is right on {percent(first.accuracy)} of the test images and "
            f"{second.family} on {percent(second.accuracy)}, but the two were not compared."
        )
    difference, low, high = (100 * value for value in found)
    interval = f"95% interval {low:z.2f} to {high:z.2f}"
    if low > 0 or high < 0:
        return (
            f"{first.family} is the most accurate of {len(ranked)}: {percent(first.accuracy)} on "
            f"the test set, {difference:z.2f} percentage points above {second.family} ({interval}, "
            "which excludes 0)."
        )
    return (
        f"The two best cannot be told apart: {first.family} is right on "
        f"{percent(first.accuracy)} of the test images and {second.family} on "
        f"{percent(second.accuracy)}, a difference of {difference:z.2f} percentage points "
        f"({interval}, which includes 0)."
    )


def _reach(inputs: Inputs, ranked: Sequence[Ranked]) -> Iterator[str]:
    """What the sentence rests on."""
    rows = inputs.final
    largest = max(row["train_fraction"] for row in rows)
    own = next(row for row in rows if row["train_fraction"] == largest)
    seeds = sorted({each.seeds for each in ranked})
    what = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    runs = "one training each, so training noise is not in the interval"
    if seeds[-1] > 1:
        runs = f"means over {what} trainings each"
    yield (
        f"Measured on {count(own['test_images'])} test images after training on "
        f"{count(own['train_images'])}; {runs}."
    )


def _gains(inputs: Inputs) -> Iterator[str]:
    """What tuning brought to each family, in one sentence."""
    rows = mean_pairs(inputs.comparison)
    largest = max((row["train_fraction"] for row in rows), default=None)
    gains = []
    for row in rows:
        same = row["a_family"] == row["b_family"] and row["train_fraction"] == largest
        if same:
            numbers = turned(row)
            found = "0, since its best trial is the baseline"
            if any(numbers):
                difference, low, high = map(points, numbers)
                found = f"{difference} [{low}, {high}]"
            gains.append(f"{row['a_family']} {found}")
    if gains:
        yield f"Tuned minus baseline, in percentage points: {'; '.join(gains)}."
