"""What predictions bear: what was asked of them, tested, and every pair of models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from orchestrator.analysis.pairwise import PAIR
from orchestrator.analysis.section import Row
from orchestrator.stats import bootstrap
from orchestrator.stats.bootstrap import Integers
from orchestrator.stats.differences import METRICS, TestedRuns
from orchestrator.stats.pairwise import compare_models
from orchestrator.verdict.asked import Claim, Question, test
from orchestrator.verdict.faults import FaultsError
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.said import Texts, name_of

FEWEST_GROUPS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found.

    Attributes:
        matched: The models.
        asked: What was asked of them.
        claims: What holds of it.
        tested: All runs.
        pairs: Every pair `a` and `b` in every metric: rows as of `comparison.parquet`.
        groups: How many groups of images there are; None where each image is alone.
    """

    matched: Matched
    asked: Question
    claims: Sequence[Claim]
    tested: TestedRuns
    pairs: Sequence[Row]
    groups: int | None = None

    @property
    def metrics(self) -> list[str]:
        """Those that all models have."""
        return [name for name in METRICS if name != "loss" or self.matched.probable]

    @property
    def held(self) -> bool:
        """Whether everything that was claimed holds."""
        return not self.asked.decides or all(claim.held for claim in self.claims)

    def decided(self, held: Sequence[bool]) -> "Verdict":
        """The same, with decisions that were made elsewhere."""
        pairs = zip(self.claims, held, strict=True)
        return replace(self, claims=[replace(claim, held=each) for claim, each in pairs])


def judge(matched: Matched, asked: Question, *, groups: Texts | None = None) -> Verdict:
    """Compares all models, and tests what was asked; `groups` are texts, [images].

    Raises:
        FaultsError: There are too few groups.
    """
    numbers = None if groups is None else _numbered(groups)
    tested = TestedRuns.of(matched.runs, bootstrap.DRAWS, numbers)
    return Verdict(
        matched=matched,
        asked=asked,
        claims=[*test(matched, asked, tested)],
        tested=tested,
        pairs=[_named(matched, row) for row in compare_models(tested, matched.models)],
        groups=None if numbers is None else int(numbers.max()) + 1,
    )


def _named(matched: Matched, row: Row) -> Row:
    sides = {side: name_of((row[f"{side}_family"], row[f"{side}_role"])) for side in "ab"}
    others = {name: value for name, value in row.items() if name not in PAIR}
    return {**sides, "n_images": len(matched.images), **others}


def _numbered(groups: Texts) -> Integers:
    lacking = sum(value is None for value in groups)
    if lacking:
        raise FaultsError([f"--groups must have a value for each image, but {lacking:,} have none"])
    names, numbers = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        raise FaultsError([f"--groups must be two or more, but all images are of {names[0]!r}"])
    return np.asarray(numbers)
