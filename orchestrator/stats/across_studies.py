"""The models that several studies share, compared on the test images that these share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from orchestrator.results.rows import Model
from orchestrator.stats import bootstrap
from orchestrator.stats.differences import Pair, TestedRuns, adjust, pair
from orchestrator.stats.predictions import PredictedRun


@dataclass(frozen=True, kw_only=True)
class TestedStudy:
    """What a study's models said about its test images.

    `data` is its data files with their hashes; `runs` those at the largest train fraction.
    """

    name: str
    data: Mapping[str, str]
    runs: Sequence[PredictedRun]

    @property
    def tested_files(self) -> list[tuple[str, str]]:
        """The files of its test images with their hashes, all data files where images have none."""
        own = [(name, self.data[name]) for name in self.runs[0].files if name in self.data]
        return own if len(own) == len(self.runs[0].labels) else sorted(self.data.items())

    def of_model(self, model: Model) -> list[PredictedRun]:
        """The runs of a family and role."""
        return [run for run in self.runs if run.model == model]


def why_not_comparable(a: TestedStudy, b: TestedStudy) -> str | None:
    """Why two studies cannot be compared image by image; None where they can."""
    if not a.runs or not b.runs:
        return f"{(b if a.runs else a).name} has no final runs"
    of_a, of_b = a.runs[0], b.runs[0]
    same = np.array_equal(of_a.images, of_b.images) and a.tested_files == b.tested_files
    if same and not np.array_equal(of_a.labels, of_b.labels):
        return "different labels of the same test images"
    if a.tested_files != b.tested_files:
        return "different data files"
    if not of_a.same_images(of_b):
        return "different test images"
    if of_a.probabilities.shape != of_b.probabilities.shape:
        return "different numbers of classes"
    return None


def pair_studies(
    studies: Sequence[TestedStudy], *, draws: int = bootstrap.DRAWS
) -> list[dict[str, Any]]:
    """Every model that two comparable studies share; a difference is that of a minus b.

    Returns:
        Rows as of `comparison.parquet`, with `a_study` and `b_study`, `a_fraction` and
        `b_fraction`: of each seed that both have, and of the means. Each p is adjusted by Holm
        over the distinct pairs of all studies and models of that seed, or of the means.
    """
    pairs = [
        each
        for a, b in combinations(studies, 2)
        if why_not_comparable(a, b) is None
        for model in dict.fromkeys(run.model for run in a.runs)
        if b.of_model(model)
        for each in _pairs(a, b, model, draws)
    ]
    for seed in {each.rows[0]["seed"] for each in pairs}:
        adjust([each for each in pairs if each.rows[0]["seed"] == seed])
    return [row for each in pairs for row in each.rows]


def _pairs(a: TestedStudy, b: TestedStudy, model: Model, draws: int) -> Iterator[Pair]:
    of_a, of_b = a.of_model(model), b.of_model(model)
    tested = TestedRuns.of([*of_a, *of_b], draws)
    shared = {
        "a_study": a.name,
        "b_study": b.name,
        "a_fraction": of_a[0].fraction,
        "b_fraction": of_b[0].fraction,
        **dict.fromkeys(("a_family", "b_family"), model[0]),
        **dict.fromkeys(("a_role", "b_role"), model[1]),
        "n_images": len(of_a[0].labels),
    }
    left, right = range(len(of_a)), range(len(of_a), len(tested.runs))
    for number, run in enumerate(of_a):
        again = [other for other in right if tested.runs[other].seed == run.seed]
        if again:
            yield pair(tested, [number], again, {**shared, "seed": run.seed})
    yield pair(tested, list(left), list(right), {**shared, "seed": None})
