"""Whether the families were treated alike: effort, gain over the baseline, luck and optimism."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import pyarrow as pa

from orchestrator.analysis.budget_use import effort_section, measure_effort
from orchestrator.analysis.section import (
    MISSING,
    Row,
    Section,
    count,
    grouped,
    percent,
    points,
    present,
)
from orchestrator.results.schema import ROLES

ELIGIBLE = ("completed", "stopped")
"""States of trials that can win: neither diverged nor failed."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What one family's search chose, and how that held up.

    Attributes:
        family: The family's name.
        candidates: Best validation accuracy of each trial that can win, fractions; a stopped
            trial's is its best so far.
        without: Trials that cannot win: diverged, failed, or still running.
        baseline: The baseline trial's validation accuracy, a fraction; None where it has none.
        winner: The winner's trial_id; None where no trial can win.
        winner_is_baseline: Nothing better than the baseline was found.
        search_validation: The winner's validation accuracy in the search.
        final_validation: That of its re-trainings at the fraction searched at, mean over seeds.
        final_test: Their test accuracy, mean over seeds.
    """

    family: str
    candidates: tuple[float, ...]
    without: int
    baseline: float | None
    winner: str | None
    winner_is_baseline: bool
    search_validation: float | None
    final_validation: float | None
    final_test: float | None

    @property
    def search_optimism(self) -> float | None:
        """Validation accuracy of the winner in the search minus its test accuracy."""
        return _minus(self.search_validation, self.final_test)

    @property
    def final_optimism(self) -> float | None:
        """Validation accuracy of the re-trained winner minus its test accuracy."""
        return _minus(self.final_validation, self.final_test)


def expected_best(values: Sequence[float], k: int) -> float:
    """The exact expectation of the best of k values drawn without replacement.

    The i-th smallest of n values is the best in C(i-1, k-1) of the C(n, k) draws. Source of the
    question: Dodge et al. (2019), Show Your Work, which draws with replacement; without, the
    estimate has no bias (Tang et al. 2020).

    Args:
        values: Of the trials observed, in any order.
        k: How many are drawn.

    Raises:
        ValueError: k is not from 1 to the number of values.
    """
    n = len(values)
    if not 1 <= k <= n:
        message = f"`1 <= k <= number of values` must hold, but got (k={k}, values={n})"
        raise ValueError(message)
    draws = comb(n, k)
    return sum(value * (comb(i, k - 1) / draws) for i, value in enumerate(sorted(values)))


def describe_selection(
    families: Sequence[str], trials: pa.Table, final: pa.Table
) -> list[Selection]:
    """What each family's search chose, and how that held up in the finals.

    Args:
        families: Names, in the order of the result.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    searched = dict(grouped(trials.to_pylist(), "family"))
    retrained = dict(grouped(final.to_pylist(), "family", "role", "train_fraction"))
    selections = []
    for family in families:
        own = searched.get((family,), [])
        fraction = own[0]["train_fraction"] if own else None  # that it was searched at
        selections.append(_selection(family, own, retrained.get((family, ROLES[1], fraction), [])))
    return selections


def _selection(family: str, trials: Sequence[Row], finals: Sequence[Row]) -> Selection:
    eligible = [
        row for row in trials if row["status"] in ELIGIBLE and present([row["validation_accuracy"]])
    ]
    winner = min(eligible, key=_rank, default=None)
    baselines = [row["validation_accuracy"] for row in trials if row["role"] == "baseline"]
    return Selection(
        family=family,
        candidates=tuple(row["validation_accuracy"] for row in eligible),
        without=len(trials) - len(eligible),
        baseline=next(iter(present(baselines)), None),
        winner=winner["trial_id"] if winner else None,
        winner_is_baseline=winner is not None and winner["role"] == "baseline",
        search_validation=winner["validation_accuracy"] if winner else None,
        final_validation=_mean(row["validation_accuracy"] for row in finals),
        final_test=_mean(row["test_accuracy"] for row in finals),
    )


def _rank(row: Row) -> tuple[float, float, str]:
    """As the study chooses: highest validation accuracy, ties by lower loss, then by trial_id."""
    loss = next(iter(present([row["validation_loss"]])), np.inf)
    return -row["validation_accuracy"], loss, row["trial_id"]


def _mean(values: Iterable[float | None]) -> float | None:
    known = present(values)
    return float(np.mean(known)) if known else None


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def fairness_sections(study: Row, trials: pa.Table, final: pa.Table) -> tuple[Section, ...]:
    """The sections on fairness, for `comparison.md` and the terminal.

    Args:
        study: `study.json`, with `families` in its `settings`.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    families = study["settings"]["families"]
    selections = describe_selection(families, trials, final)
    return (
        effort_section(study, measure_effort(families, trials, final)),
        _gain_section(selections),
        _luck_section(selections),
        _optimism_section(selections),
    )


def _gain_section(selections: Sequence[Selection]) -> Section:
    rows, sentences = [], []
    for each in selections:
        gain = None
        if each.baseline is not None and each.search_validation is not None:
            gain = each.search_validation - each.baseline
        rows.append(
            (
                each.family,
                percent(each.baseline),
                each.winner or MISSING,
                percent(each.search_validation),
                points(gain),
            )
        )
        sentences.append(f"{each.family}: {_gain_sentence(each, gain)}")
    return Section(
        title="Fairness: the best trial against the baseline, on validation",
        columns=("family", "baseline", "best trial", "its accuracy", "gain (points)"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _gain_sentence(each: Selection, gain: float | None) -> str:
    eligible = f"{len(each.candidates):,} trial{'s' if len(each.candidates) > 1 else ''}"
    if each.winner is None:
        return "no trial can win."
    if each.winner_is_baseline:
        return f"the baseline is the best of the {eligible} that can win."
    if gain is None:
        return f"{each.winner} is the best of {eligible}; the baseline has no accuracy to compare."
    if gain <= 0:  # a tie that its lower loss won, or a baseline that failed after its best epoch
        return (
            f"{each.winner}, the best of {eligible}, is no more accurate than the baseline "
            f"({points(gain)} points)."
        )
    return (
        f"{each.winner}, the best of {eligible}, is {100 * gain:.2f} percentage points above the "
        "baseline on the validation images it was chosen by, so this gain is too large rather than "
        "too small."
    )


def _luck_section(selections: Sequence[Selection]) -> Section:
    most = max((len(each.candidates) for each in selections), default=0)
    if not most:
        return Section(title="Fairness: expected best of k trials")
    draws = [2**power for power in range(most.bit_length())]
    sentences = [
        "The exact expectation of the best validation accuracy among k of the family's trials "
        "drawn without replacement (after Dodge et al. 2019, Show Your Work), baseline included. "
        "A trial stopped early counts at its best so far, and the later trials of a search learn "
        "from the earlier ones: read it as a description of this search."
    ]
    sentences += [
        f"{each.family}: {each.without:,} of {each.without + len(each.candidates):,} trials are "
        "left out, since they diverged, failed or have not ended."
        for each in selections
        if each.without
    ]
    return Section(
        title="Fairness: expected best of k trials",
        columns=("family", "trials", *(f"k={k}" for k in draws)),
        rows=tuple(
            (
                each.family,
                count(len(each.candidates)),
                *(
                    percent(expected_best(each.candidates, k))
                    if k <= len(each.candidates)
                    else MISSING
                    for k in draws
                ),
            )
            for each in selections
        ),
        sentences=tuple(sentences),
    )


def _optimism_section(selections: Sequence[Selection]) -> Section:
    measured = [each for each in selections if each.final_test is not None]
    if not measured:
        return Section(title="Fairness: selection optimism")
    sentences = [
        "Validation minus test accuracy of each family's winner: in the search, which chose it by "
        "that accuracy, and re-trained (means over seeds, each at its best validation epoch)."
    ]
    sentences += [
        f"{each.family}: the search promised {_promise(each.search_optimism)} on test."
        for each in measured
        if each.search_optimism is not None
    ]
    return Section(
        title="Fairness: selection optimism",
        columns=(
            "family",
            "search validation",
            "re-trained validation",
            "re-trained test",
            "search optimism (points)",
            "re-trained optimism (points)",
        ),
        rows=tuple(
            (
                each.family,
                percent(each.search_validation),
                percent(each.final_validation),
                percent(each.final_test),
                points(each.search_optimism),
                points(each.final_optimism),
            )
            for each in selections
        ),
        sentences=tuple(sentences),
    )


def _promise(optimism: float) -> str:
    shown = f"{abs(100 * optimism):.2f}"
    if float(shown) == 0:
        return "what was then found"
    return f"{shown} percentage points {'more' if optimism > 0 else 'less'} than was then found"
