"""Where a difference is: the parts of the test set in which two models differ."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np

from orchestrator.analysis.pairwise import CERTAIN
from orchestrator.stats import bootstrap, claims
from orchestrator.stats.bootstrap import Bools, Floats, Integers
from orchestrator.stats.claims import Side
from orchestrator.stats.intervals import SeedRuns
from orchestrator.verdict.asked import Claim
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.said import Texts

FEWEST_DISCORDANT: Final = 6
"""Images that one alone is right on; with fewer no exact test can find anything (Tarone 1990)."""
CONFUSION: Final = "confusion"
PARTS: Final = 4
"""Of a column of numbers, each with as many images."""
MOST_VALUES: Final = 50
"""Of a column that is no number; one with more says nothing of several images."""
FEWEST_VALUES: Final = 2
DRAWS: Final = 100
"""Bootstrap draws of a slice, whose intervals have Student's t below them."""


Part = tuple[str, str, Integers, Sequence[Bools]]
"""Column, value, which images, and on which of all images each training of each model is right."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """A part of the test set, and how two models differ on it.

    Attributes:
        column: What the images have in common, such as `class`.
        value: Which they have of it.
        images: How many.
        better: Of them the candidate alone is right on, as a mean over its trainings.
        worse: Of them the baseline alone is right on.
        difference: Share of them on which the candidate does better, minus where it does worse.
        difference_low: Lower end of the interval of that.
        difference_high: Upper end.
        elsewhere: The difference in accuracy on all other images; NaN of a confusion, and
            where there are none.
        p_value: Of a difference.
        p_value_holm: Corrected for all slices of all columns.
        distinguishing: Which images, the most telling first.
    """

    column: str
    value: str
    images: int
    better: float
    worse: float
    difference: float
    difference_low: float
    difference_high: float
    elsewhere: float
    p_value: float
    p_value_holm: float = 1.0
    distinguishing: Integers

    @property
    def certain(self) -> bool:
        """Whether it survives the correction."""
        return self.p_value_holm < CERTAIN

    def row(self) -> dict[str, Any]:
        """For tables and programs."""
        columns = {**vars(self), "certain": "yes" if self.certain else "no"}
        del columns["distinguishing"]
        return columns


def find_slices(
    matched: Matched, claim: Claim, columns: Mapping[str, Texts], groups: Integers | None
) -> list[Slice]:
    """All slices of two models, those first that are most certain; each p corrected by Holm.

    Args:
        matched: All models.
        claim: Of two of them.
        columns: Name to values, [images]: slices beside classes and confusions.
        groups: Which images belong together, from 0, [images].
    """
    sides = [matched.of_model(model) for model in (claim.candidate, claim.baseline)]
    hits = [np.stack([run.correct for run in runs]) for runs in sides]
    predicted = [np.stack([run.predicted for run in runs]) for runs in sides]
    parts = chain(
        ((*part, hits) for part in _parts(matched, columns)),
        _confusions(matched.classes, matched.runs[0].labels, predicted),
    )
    found = [_slice(*part, groups) for part in parts if _discordant(part) >= FEWEST_DISCORDANT]
    corrected = claims.holm([each.p_value for each in found])
    done = [replace(each, p_value_holm=float(p)) for each, p in zip(found, corrected, strict=True)]
    return sorted(done, key=lambda each: (each.p_value_holm, each.p_value, -abs(each.difference)))


def _parts(matched: Matched, columns: Mapping[str, Texts]) -> Iterator[tuple[str, str, Integers]]:
    labels = matched.runs[0].labels
    for number, name in enumerate(matched.classes):
        yield "class", name, np.flatnonzero(labels == number)
    for column, values in columns.items():
        for value, rows in cut(values):
            yield column, value, rows


def cut(values: Texts) -> list[tuple[str, Integers]]:
    """The parts of a column: its values, or four parts of many numbers, with their rows."""
    distinct = sorted({value for value in values.tolist() if value is not None})
    numbers: Floats | None = None
    with suppress(ValueError):
        numbers = np.array([np.nan if value is None else float(value) for value in values])
    if numbers is None or len(distinct) <= PARTS:
        if len(distinct) > MOST_VALUES or len(distinct) < FEWEST_VALUES:
            return []
        return [(value, np.flatnonzero(values == value)) for value in distinct]
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, PARTS + 1)))
    parts: list[tuple[str, Integers]] = []
    for number, (low, high) in enumerate(pairwise(edges)):
        above = numbers >= low if not number else numbers > low
        parts.append((f"{low:.3g} to {high:.3g}", np.flatnonzero(above & (numbers <= high))))
    return parts


def _confusions(
    classes: Sequence[str], labels: Integers, predicted: Sequence[Integers]
) -> Iterator[Part]:
    """Of each class the images that one of the two takes for another certain class."""
    for true, name in enumerate(classes):
        rows = np.flatnonzero(labels == true)
        for guess in np.unique(np.concatenate([each[:, rows].ravel() for each in predicted])):
            if guess != true:
                value = f"{name} taken for {classes[guess]}"
                yield CONFUSION, value, rows, [each != guess for each in predicted]


def _discordant(part: Part) -> int:
    *_, rows, (a, b) = part
    return int(np.count_nonzero(a[:, rows].mean(axis=0) != b[:, rows].mean(axis=0)))


def _slice(
    column: str, value: str, rows: Integers, hits: Sequence[Bools], groups: Integers | None
) -> Slice:
    of_rows = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    a, b = (_side(each[:, rows], of_rows) for each in hits)
    low, high = claims.claim_interval(a, b, groups=of_rows)
    of_image = a.hits.mean(axis=0) - b.hits.mean(axis=0)
    others = np.delete(hits[0].mean(axis=0) - hits[1].mean(axis=0), rows)
    order = np.argsort(-np.abs(of_image), kind="stable")
    return Slice(
        column=column,
        value=value,
        images=len(rows),
        difference=float(of_image.mean()),
        difference_low=low,
        difference_high=high,
        elsewhere=float(others.mean()) if len(others) and column != CONFUSION else float("nan"),
        better=float(of_image[of_image > 0].sum()),
        worse=float(-of_image[of_image < 0].sum()),
        p_value=claims.difference_p_value(a, b, groups=of_rows),
        distinguishing=rows[order[: int(np.count_nonzero(of_image))]],
    )


def _side(hits: Bools, groups: Integers | None) -> Side:
    draws = bootstrap.accuracy_draws(hits, draws=DRAWS, groups=groups)
    return Side(runs=SeedRuns(points=hits.mean(axis=1), draws=draws), hits=hits)
