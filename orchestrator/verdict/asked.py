"""What was asked of the models, and what of it holds: each claim with its p, corrected by Holm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np

from orchestrator.analysis.pairwise import CERTAIN
from orchestrator.results.rows import Model
from orchestrator.stats import claims
from orchestrator.stats.differences import TestedRuns
from orchestrator.verdict.faults import FaultsError, some
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.said import name_of

Kind = Literal["different", "better", "not worse"]
FEWEST_MODELS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Question:
    """What was asked.

    Attributes:
        kind: What is claimed of each candidate: that it differs from the baseline, is better, or is
            not worse by more than the margin.
        baseline: The model that all others are compared with; None where all pairs are.
        margin: A fraction; 0 unless the claim is that they are not worse.
    """

    kind: Kind = "different"
    baseline: Model | None = None
    margin: float = 0.0

    @property
    def decides(self) -> bool:
        """Whether something was claimed that may not hold."""
        return self.kind != "different"

    @property
    def words(self) -> str:
        """The claim, between two models."""
        if self.kind == "not worse":
            plural = "" if self.margin == 1 / 100 else "s"
            return f"is not worse by more than {100 * self.margin:g} percentage point{plural} than"
        return "is more accurate than" if self.kind == "better" else "differs from"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim, tested.

    Attributes:
        candidate: Of which it is made.
        baseline: Against which.
        difference: Accuracy of the candidate minus that of the baseline, a fraction.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Of the claim.
        p_value_holm: Corrected for all that was asked.
        seeds: The smaller number of trainings of the two.
        held: Whether it holds.
    """

    candidate: Model
    baseline: Model
    difference: float
    low: float
    high: float
    p_value: float
    p_value_holm: float
    seeds: int
    held: bool

    @property
    def names(self) -> dict[str, str]:
        """The two models as they are shown."""
        return {"candidate": name_of(self.candidate), "baseline": name_of(self.baseline)}

    @property
    def subtraction(self) -> str:
        """What the difference is of."""
        return " minus ".join(self.names.values())

    @property
    def turned(self) -> "Claim":
        """The same difference as the baseline minus the candidate."""
        return replace(
            self,
            candidate=self.baseline,
            baseline=self.candidate,
            difference=0 - self.difference,  # that of 0.0 would be shown with a sign
            low=0 - self.high,
            high=0 - self.low,
        )

    def row(self) -> dict[str, Any]:
        """For tables and programs."""
        columns = {"low": "difference_low", "high": "difference_high"}
        return {columns.get(name, name): value for name, value in vars(self).items()} | self.names


def question(
    matched: Matched, *, baseline: str | None, margin: float | None, kind: Kind | None
) -> Question:
    """What was asked, checked.

    Args:
        matched: The models.
        baseline: The name of one.
        margin: In percentage points.
        kind: What is claimed; that they are not worse where there is a margin.

    Raises:
        FaultsError: It cannot be asked of these models.
    """
    models = {name_of(model): model for model in matched.models}
    names = ", ".join(map(repr, models))
    kind = kind or ("different" if margin is None else "not worse")
    faults = []
    if len(models) < FEWEST_MODELS:
        faults.append(f"there must be two models or more, but there is {some([*models])} alone")
    if baseline is not None and baseline not in models:
        faults.append(f"--baseline must be one of {names}, but is {baseline!r}")
    if kind != "different" and baseline is None:
        faults.append(f"--baseline must name one of {names}")
    FaultsError.check(faults)
    model = None if baseline is None else models[baseline]
    return Question(kind=kind, baseline=model, margin=(margin or 0.0) / 100)


def test(matched: Matched, asked: Question, tested: TestedRuns) -> Iterator[Claim]:
    """Tests what was asked of the models, whose runs are `tested`."""
    pairs = [*combinations(matched.models, 2)]
    if asked.baseline is not None:
        pairs = [(model, asked.baseline) for model in matched.models if model != asked.baseline]
    sides = {model: tested.side(tested.of_model(model)) for model in matched.models}
    p_value: Callable[..., float] = claims.difference_p_value
    if asked.decides:
        p_value = partial(claims.claim_p_value, margin=asked.margin)
    p_values = [p_value(sides[a], sides[b], groups=tested.groups) for a, b in pairs]
    # The same trainings under two names are no test.
    same = np.array([_trainings(tested, a) == _trainings(tested, b) for a, b in pairs])
    corrected = np.array(p_values)
    corrected[~same] = claims.holm(corrected[~same].tolist())
    for (a, b), p, p_holm, alike in zip(pairs, p_values, corrected.tolist(), same, strict=True):
        low, high = claims.claim_interval(sides[a], sides[b], groups=tested.groups)
        if alike and not asked.margin and tested.groups is None:  # as a study's comparison has it
            low = high = 0.0
        yield Claim(
            candidate=a,
            baseline=b,
            difference=sides[a].runs.mean - sides[b].runs.mean,
            low=low,
            high=high,
            p_value=p,
            p_value_holm=p_holm,
            seeds=min(len(sides[a].hits), len(sides[b].hits)),
            held=p_holm < CERTAIN,
        )


def _trainings(tested: TestedRuns, model: Model) -> list[bytes]:
    return sorted(tested.digests[number] for number in tested.of_model(model))
