"""Whether the families were treated alike: effort, gain over the baseline, luck and optimism."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import pyarrow as pa

from orchestrator.analysis.section import Row, grouped, present
from orchestrator.results.schema import ROLES

ELIGIBLE = ("completed", "stopped")
"""States of trials that can win: neither diverged nor failed."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What one family was given.

    Attributes:
        family: The family's name.
        trials: Of its search, baseline included, whatever became of them.
        epochs: Of these trials.
        search_seconds: Device-seconds of these trials.
        final_runs: Re-trainings, a winner that is its baseline counted once.
        finals_seconds: Device-seconds of the re-trainings.
    """

    family: str
    trials: int
    epochs: int
    search_seconds: float
    final_runs: int
    finals_seconds: float


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


def measure_effort(families: Sequence[str], trials: pa.Table, final: pa.Table) -> list[Effort]:
    """What each family was given.

    Args:
        families: Names, in the order of the result.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    searched = dict(grouped(trials.to_pylist(), "family"))
    retrained = dict(grouped(final.to_pylist(), "family"))
    efforts = []
    for family in families:
        own = searched.get((family,), [])
        runs = {row["trial_id"]: row for row in retrained.get((family,), [])}.values()
        efforts.append(
            Effort(
                family=family,
                trials=len(own),
                epochs=sum(row["epochs_run"] or 0 for row in own),
                search_seconds=sum(present(row["device_seconds"] for row in own)),
                final_runs=len(runs),
                finals_seconds=sum(present(row["device_seconds"] for row in runs)),
            )
        )
    return efforts


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
