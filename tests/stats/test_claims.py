"""What is claimed of two models is held no more surely than its images and seeds allow."""

import math

import numpy as np
import pytest

from orchestrator.stats import bootstrap
from orchestrator.stats.claims import (
    Side,
    claim_interval,
    claim_p_value,
    difference_p_value,
    mcnemar_p_value,
)
from orchestrator.stats.intervals import MeanDifference, SeedRuns
from orchestrator.stats.looks import level


def side(hits: np.ndarray, groups: np.ndarray | None = None) -> Side:
    """A model that is right where it is said, [seeds, images]."""
    draws = bootstrap.accuracy_draws(hits, groups=groups)
    return Side(runs=SeedRuns(points=hits.mean(axis=1), draws=draws), hits=hits)


def alike(images: int, lost: int) -> tuple[Side, Side]:
    """A candidate that loses some images of a baseline that is always right."""
    baseline = np.ones((1, images), dtype=bool)
    candidate = baseline.copy()
    candidate[0, :lost] = False
    return side(candidate), side(baseline)


def test_two_trainings_are_told_apart_by_the_exact_test() -> None:
    candidate, baseline = alike(200, 9)
    exact = mcnemar_p_value(candidate.hits[0], baseline.hits[0])
    assert difference_p_value(candidate, baseline) == exact < 0.05
    assert claim_p_value(baseline, candidate) == exact
    assert claim_p_value(candidate, baseline) == 1


@pytest.mark.parametrize(("images", "held"), [(50, False), (700, False), (1200, True)])
def test_that_no_image_tells_them_apart_holds_a_margin_only_with_many(
    images: int, held: bool
) -> None:
    candidate, baseline = alike(images, 0)
    assert (claim_p_value(candidate, baseline, margin=0.005) < 0.05) == held
    chance = (1 - 0.005) ** images  # of seeing none where as many are lost as the margin has
    assert held == (chance < 0.0215)


def test_with_many_images_the_interval_is_that_of_the_comparison() -> None:
    random = np.random.default_rng(0)
    a, b = (side(random.random((3, 2000)) < skill) for skill in (0.7, 0.65))
    assert claim_interval(a, b) == pytest.approx(
        MeanDifference.of(a.runs, b.runs).interval(), abs=1e-3
    )


def test_p_is_below_an_alpha_where_the_interval_of_its_confidence_says_so() -> None:
    random = np.random.default_rng(0)
    a, b = (side(random.random((3, 400)) < skill) for skill in (0.72, 0.7))
    p = claim_p_value(a, b, margin=0.05)
    assert claim_interval(a, b, confidence=1 - p * 1.001)[0] > -0.05
    assert claim_interval(a, b, confidence=1 - p * 0.999)[0] < -0.05


def test_images_that_belong_together_count_as_one() -> None:
    random = np.random.default_rng(0)
    of_group = [random.random((1, 40)) < skill for skill in (0.75, 0.5)]
    groups = np.repeat(np.arange(40), 5)
    a, b = (np.repeat(hits, 5, axis=1) for hits in of_group)
    as_images = difference_p_value(side(a), side(b))
    as_groups = difference_p_value(side(a, groups), side(b, groups), groups=groups)
    alone = np.arange(40)
    once = difference_p_value(*(side(hits, alone) for hits in of_group), groups=alone)
    assert as_images < 1e-4 < as_groups
    assert as_groups == pytest.approx(once, rel=0.02)


def test_one_group_says_nothing() -> None:
    groups = np.zeros(50, dtype=int)
    a, b = (side(np.full((1, 50), right), groups) for right in (True, False))
    assert difference_p_value(a, b, groups=groups) == 1
    assert claim_interval(a, b, groups=groups) == (-1, 1)


def test_groups_of_one_image_are_resampled_as_images_are() -> None:
    hits = np.random.default_rng(0).random((2, 60)) < 0.7
    of_groups = bootstrap.accuracy_draws(hits, groups=np.arange(60))
    np.testing.assert_allclose(of_groups, bootstrap.accuracy_draws(hits), rtol=1e-12)


def test_the_levels_of_all_claims_in_all_ways_they_may_have_gone_are_the_whole() -> None:
    ways = [
        math.comb(before, held) * level(before, held, total=0.05)
        for before in range(400)
        for held in range(before + 1)
    ]
    assert 0.0498 < sum(ways) < 0.05
    assert level(0, 0, total=0.05) == 0.025


def test_a_history_of_false_claims_is_rarely_wrong_where_each_at_5_percent_often_is() -> None:
    random = np.random.default_rng(0)
    p_values = random.random((2000, 50))  # of claims that are all false and independent
    levels = [level(look, 0, total=0.05) for look in range(50)]
    assert (p_values <= levels).any(axis=1).mean() < 0.05
    assert (p_values <= 0.05).any(axis=1).mean() > 0.9
