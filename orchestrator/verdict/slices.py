"""Where a difference lives: the parts of the test set in which two models are told apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from orchestrator.analysis.pairwise import CERTAIN
from orchestrator.results.rows import Model
from orchestrator.stats import bootstrap, claims
from orchestrator.stats.bootstrap import Bools, Floats, Integers
from orchestrator.stats.claims import Side
from orchestrator.stats.intervals import SeedRuns
from orchestrator.stats.predictions import PredictedRun
from orchestrator.verdict.matching import Matched
from orchestrator.verdict.said import Texts

FEWEST_TOLD_APART: Final = 6
"""Images that one alone is right on; with fewer no exact test can find anything (Tarone 1990)."""
CONFUSION: Final = "confusion"
PARTS: Final = 4
"""Of a column of numbers, each with as many images."""
MOST_VALUES: Final = 50
"""Of a column that is no number; one with more says nothing of several images."""
FEWEST_VALUES: Final = 2
DRAWS: Final = 100
"""Bootstrap draws of a slice, whose intervals have Student's t below them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """A part of the test set, and how two models differ on it.

    Attributes:
        column: What the images have in common, such as `class`.
        value: Which they have of it.
        rows: Which images, [images of it].
        difference: Share of them on which the candidate does better, minus where it does worse.
        low: Lower end of the interval of that.
        high: Upper end.
        elsewhere: The difference in accuracy on all other images; NaN of a confusion, and
            where there are none.
        better: Images on which the candidate alone is right, as a mean over its trainings.
        worse: On which the baseline alone is.
        p_value: Of a difference.
        p_value_holm: Corrected for all slices of all columns.
        distinguishing: Which images, the most telling first.
    """

    column: str
    value: str
    rows: Integers
    difference: float
    low: float
    high: float
    elsewhere: float
    better: float
    worse: float
    p_value: float
    p_value_holm: float = 1.0
    distinguishing: Integers

    @property
    def certain(self) -> bool:
        """Whether it survives the correction."""
        return self.p_value_holm < CERTAIN

    def row(self) -> dict[str, Any]:
        """For tables and programs."""
        return {
            "column": self.column,
            "value": self.value,
            "images": len(self.rows),
            "better": self.better,
            "worse": self.worse,
            "difference": self.difference,
            "difference_low": self.low,
            "difference_high": self.high,
            "elsewhere": self.elsewhere,
            "p_value": self.p_value,
            "p_value_holm": self.p_value_holm,
            "certain": "yes" if self.certain else "no",
        }


def find_slices(
    matched: Matched,
    pair: tuple[Model, Model],
    columns: Mapping[str, Texts],
    groups: Integers | None,
) -> list[Slice]:
    """All slices of two models, those first that are most certain; each p corrected by Holm.

    Args:
        matched: The models.
        pair: Candidate and baseline.
        columns: Name to values, [images]: slices beside classes and confusions.
        groups: Which images belong together, from 0, [images].
    """
    a, b = (matched.of_model(model) for model in pair)
    hits = [np.stack([run.correct for run in runs]) for runs in (a, b)]
    found = [
        _slice(name, value, rows, hits, groups)
        for name, value, rows in _parts(matched, columns)
        if _distinguishing(hits, rows) >= FEWEST_TOLD_APART
    ]
    found += _confusions(matched, a, b, groups)
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
    given = [value for value in values.tolist() if value is not None]
    distinct = sorted(set(given))
    numbers = _as_numbers(values)
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


def _as_numbers(values: Texts) -> Floats | None:
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None


def _confusions(
    matched: Matched,
    a: Sequence[PredictedRun],
    b: Sequence[PredictedRun],
    groups: Integers | None,
) -> Iterator[Slice]:
    """Of each class the images that one of the two takes for another certain class."""
    labels = matched.runs[0].labels
    for true, name in enumerate(matched.classes):
        rows = np.flatnonzero(labels == true)
        if not len(rows):
            continue
        said = [np.stack([run.predicted for run in runs]) for runs in (a, b)]
        for guess in np.unique(np.concatenate([each[:, rows].ravel() for each in said])):
            if guess == true:
                continue
            avoided = [each != guess for each in said]
            if _distinguishing(avoided, rows) >= FEWEST_TOLD_APART:
                value = f"{name} taken for {matched.classes[guess]}"
                yield _slice(CONFUSION, value, rows, avoided, groups)


def _distinguishing(hits: Sequence[Bools], rows: Integers) -> int:
    a, b = (each[:, rows].mean(axis=0) for each in hits)
    return int(np.count_nonzero(a != b))


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
        rows=rows,
        difference=float(of_image.mean()),
        low=low,
        high=high,
        elsewhere=float(others.mean()) if len(others) and column != CONFUSION else float("nan"),
        better=float(of_image[of_image > 0].sum()),
        worse=float(-of_image[of_image < 0].sum()),
        p_value=claims.difference_p_value(a, b, groups=of_rows),
        distinguishing=rows[order[: int(np.count_nonzero(of_image))]],
    )


def _side(hits: Bools, groups: Integers | None) -> Side:
    draws = bootstrap.accuracy_draws(hits, draws=DRAWS, groups=groups)
    return Side(runs=SeedRuns(points=hits.mean(axis=1), draws=draws), hits=hits)
