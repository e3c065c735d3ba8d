"""What was asked of the models, and what of it holds: each claim with its p, corrected by Holm."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final, Literal

from orchestrator.analysis.pairwise import CERTAIN
from orchestrator.results.rows import Model
from orchestrator.stats import claims
from orchestrator.stats.bootstrap import Integers
from orchestrator.stats.claims import Side
from orchestrator.stats.differences import TestedRuns
from orchestrator.verdict.faults import FaultsError, some
from orchestrator.verdict.matching import Matched, name_of

Kind = Literal["different", "better", "not worse"]
KINDS: Final[tuple[Kind, ...]] = ("different", "better", "not worse")
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
            points = (
                f"{100 * self.margin:g} percentage point{'' if self.margin == 1 / 100 else 's'}"
            )
            return f"is not worse by more than {points} than"
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

    def row(self) -> dict[str, Any]:
        """For tables and programs."""
        return {
            "candidate": name_of(self.candidate),
            "baseline": name_of(self.baseline),
            "difference": self.difference,
            "difference_low": self.low,
            "difference_high": self.high,
            "p_value": self.p_value,
            "p_value_holm": self.p_value_holm,
            "seeds": self.seeds,
            "held": self.held,
        }


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
    faults = []
    if len(models) < FEWEST_MODELS:
        faults.append(f"there must be two models or more, but there is {some([*models])} alone")
    if baseline is not None and baseline not in models:
        faults.append(
            f"--baseline must be one of {', '.join(map(repr, models))}, but is {baseline!r}"
        )
    kind = kind or ("different" if margin is None else "not worse")
    if kind != "different" and baseline is None:
        faults.append(f"--baseline must name one of {', '.join(map(repr, models))}")
    if faults:
        raise FaultsError(faults)
    return Question(
        kind=kind,
        baseline=None if baseline is None else models[baseline],
        margin=(margin or 0.0) / 100,
    )


def test(matched: Matched, asked: Question, tested: TestedRuns) -> list[Claim]:
    """Tests what was asked.

    Args:
        matched: The models.
        asked: Of them.
        tested: Their runs.
    """
    models = matched.models
    if asked.baseline is None:
        pairs = [*combinations(models, 2)]
    else:
        pairs = [(model, asked.baseline) for model in models if model != asked.baseline]
    of_model = {model: tested.side(tested.of_model(model)) for model in models}
    found = [
        _claim(asked, pair, of_model[pair[0]], of_model[pair[1]], tested.groups) for pair in pairs
    ]
    same = [_same(tested, each) for each in found]
    if not asked.margin and tested.groups is None:  # as a study's comparison has it
        found = [
            replace(each, low=0.0, high=0.0) if alike else each
            for each, alike in zip(found, same, strict=True)
        ]
    distinct = iter(claims.holm([c.p_value for c, s in zip(found, same, strict=True) if not s]))
    corrected = [
        each.p_value if alike else float(next(distinct))
        for each, alike in zip(found, same, strict=True)
    ]
    return [
        replace(each, p_value_holm=p, held=p < CERTAIN)
        for each, p in zip(found, corrected, strict=True)
    ]


def _claim(
    asked: Question, pair: tuple[Model, Model], a: Side, b: Side, groups: Integers | None
) -> Claim:
    p_value = (
        claims.claim_p_value(a, b, margin=asked.margin, groups=groups)
        if asked.decides
        else claims.difference_p_value(a, b, groups=groups)
    )
    low, high = claims.claim_interval(a, b, groups=groups)
    return Claim(
        candidate=pair[0],
        baseline=pair[1],
        difference=a.runs.mean - b.runs.mean,
        low=low,
        high=high,
        p_value=p_value,
        p_value_holm=1.0,
        seeds=min(len(a.hits), len(b.hits)),
        held=False,
    )


def _same(tested: TestedRuns, claim: Claim) -> bool:
    """Whether both are the same trainings under two names, which are no test."""
    one, other = (
        sorted(tested.digests[number] for number in tested.of_model(model))
        for model in (claim.candidate, claim.baseline)
    )
    return one == other
