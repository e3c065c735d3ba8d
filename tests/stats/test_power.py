"""What an interval will be able to see agrees with theory, and with studies that are simulated."""

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.stats import bootstrap, power
from orchestrator.stats.claims import Side, cautious_difference
from orchestrator.stats.intervals import SeedRuns
from orchestrator.stats.power import Noise

ALIKE = {"disagreement": 0.2, "seed_noise": 0.01}


def hits(generator, *, seeds, images, skills=(0.75, 0.7), sd=0.04):
    """Whether each training is right on each image, [models, seeds, images]."""
    ease = generator.standard_normal(images)
    scores = [
        stats.norm.ppf(skill) * 1.3
        + 0.7 * ease
        + 0.4 * generator.standard_normal(images)
        + sd * generator.standard_normal((seeds, 1))
        + 0.5 * generator.standard_normal((seeds, images))
        for skill in skills
    ]
    return np.stack(scores) > 0


def interval(found):
    """That of a comparison."""
    a, b = (
        Side(
            runs=SeedRuns(points=own.mean(axis=1), draws=bootstrap.accuracy_draws(own, draws=300)),
            hits=own,
        )
        for own in found
    )
    return cautious_difference(a, b, None).interval()


def test_without_noise_of_seeds_it_is_the_power_of_a_z_test() -> None:
    noise = power.assumed(disagreement=0.2, seed_noise=0.0)
    images = 10**6
    sd = np.sqrt(0.2 / images)
    seen = power.outlook(noise, seeds=3, images=images, difference=2.5 * sd)
    assert seen.half_width == pytest.approx(1.96 * sd, rel=1e-3)
    assert seen.power == pytest.approx(stats.norm.sf(1.96 - 2.5), abs=0.02)
    assert seen.smallest == pytest.approx((1.96 + stats.norm.ppf(0.8)) * sd, rel=0.02)


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_without_noise_of_images_it_is_the_power_of_a_t_test(seeds) -> None:
    noise = Noise(images=0.0, residual=(0, 0), trainings=(1e-4, 1e-4), tested=1)
    seen = power.outlook(noise, seeds=seeds, images=10**6, difference=0.02)
    generator = np.random.default_rng(1)
    a, b = generator.normal(0, 0.01, (2, 20_000, seeds))
    tested = stats.ttest_ind(a + 0.02, b, axis=1, equal_var=False)
    low, high = tested.confidence_interval()
    assert seen.power == pytest.approx(np.mean((low > 0) | (high < 0)), abs=0.03)
    assert seen.half_width == pytest.approx(np.median((high - low) / 2), rel=0.04)


@pytest.mark.parametrize("images", [20, 400])
def test_of_two_models_that_are_right_on_the_same_images_it_is_the_comparisons(images) -> None:
    found = np.tile(np.arange(images) % 4 == 0, (2, 3, 1))
    low, high = interval(found)
    seen = power.outlook(power.measure(*found), seeds=3, images=images, difference=0.5 * high)
    assert (seen.half_width, -low) == (pytest.approx(high), pytest.approx(high))
    assert seen.power == 0
    found[0, :, np.flatnonzero(~found[0, 0])[: math.ceil(seen.smallest * images)]] = True
    assert interval(found)[0] > 0


def test_with_one_seed_it_is_the_interval_over_images_alone() -> None:
    noise = power.assumed(**ALIKE)
    assert power.outlook(noise, seeds=1, images=500) == power.outlook(
        power.assumed(disagreement=0.2, seed_noise=0.0), seeds=9, images=500
    )


def test_measured_parts_are_those_that_the_interval_is_made_of() -> None:
    found = hits(np.random.default_rng(0), seeds=4, images=3000)
    noise = power.measure(*found)
    runs = [
        SeedRuns(points=own.mean(axis=1), draws=bootstrap.accuracy_draws(own, draws=2000))
        for own in found
    ]
    of_images = (runs[0].mean_draws - runs[1].mean_draws).var()
    assert power._image_variance(noise, (4, 4), 3000) == pytest.approx(of_images, rel=0.1)
    for model, own in enumerate(runs):
        assert noise.trainings[model] == pytest.approx(own.observed_variance * 4)
        assert noise.own[model] == pytest.approx(own.seed_variance * 4, rel=0.1)


def test_one_training_says_nothing_of_their_noise() -> None:
    one, two = np.ones((1, 5), dtype=bool), np.ones((2, 5), dtype=bool)
    with pytest.raises(ValueError, match="2 seeds, but got 1 and 2"):
        power.measure(one, two)


def test_as_many_seeds_as_now_give_the_interval_that_is_there() -> None:
    found = hits(np.random.default_rng(3), seeds=3, images=2000)
    low, high = interval(found)
    seen = power.extended(power.measure(*found), seeds=3, difference=(low + high) / 2)
    assert seen.half_width == pytest.approx((high - low) / 2, rel=0.05)
    assert seen.power == float(low > 0 or high < 0)


def test_what_a_study_is_promised_of_more_seeds_is_what_it_finds() -> None:
    # Of 150 studies the standard error is 4 points. In full: benchmarks/power.py.
    generator = np.random.default_rng(4)
    promised, widths, seen, found = [], [], [], []
    for _ in range(150):
        skills = (0.7 + 0.06 * generator.random(), 0.7)
        study = hits(generator, seeds=7, images=250, skills=skills)
        difference = study[0, :3].mean() - study[1, :3].mean()
        outlook = power.extended(power.measure(*study[:, :3]), seeds=7, difference=difference)
        low, high = interval(study)
        promised.append(outlook.power)
        found.append(low > 0 or high < 0)
        widths.append(outlook.half_width)
        seen.append((high - low) / 2)
    assert np.mean(promised) == pytest.approx(np.mean(found), abs=0.1)
    assert np.median(widths) == pytest.approx(np.median(seen), rel=0.1)


def test_what_noise_may_have_made_is_not_promised_to_stay() -> None:
    noise = Noise(
        images=0.1, residual=(0, 0), trainings=(0.0064, 0.0064), tested=10_000, seeds=(3, 3)
    )
    promised = power.extended(noise, seeds=power.MOST_SEEDS, difference=0.05).power
    # So many seeds find about what is there: by Bayes' rule, on a grid.
    there = np.linspace(-2, 2, 40_001)
    likely = stats.norm.pdf(there, 0.05, np.sqrt(2 * 0.0064 / 3)) * stats.cauchy.pdf(
        there, scale=power.TYPICAL_DIFFERENCE
    )
    error = np.sqrt(2 * 0.0064 / power.MOST_SEEDS + 0.1 / 10_000)
    seen = stats.norm.sf(1.96 - there / error) + stats.norm.cdf(-1.96 - there / error)
    assert promised == pytest.approx(np.average(seen, weights=likely), abs=0.05)
    assert promised < 0.7


def test_a_correction_for_several_pairs_costs_power_and_leaves_the_half_width() -> None:
    noise = power.assumed(disagreement=0.2, seed_noise=0.0)
    asked = {"seeds": 3, "images": 100_000, "difference": 0.004}
    plain, corrected = (power.outlook(noise, **asked, confidence=c) for c in (0.95, 0.99))
    assert corrected.half_width == plain.half_width
    found = stats.norm.sf(stats.norm.ppf(0.995) - 0.04 / np.sqrt(0.2 / 1000))
    assert corrected.power == pytest.approx(found, abs=0.02)


def test_the_fewest_have_a_chance_of_80_percent_and_one_less_does_not() -> None:
    noise = Noise(
        images=0.1, residual=(0.05, 0.05), trainings=(4e-4, 4e-4), tested=2000, seeds=(3, 3)
    )
    seeds = power.fewest_seeds(noise, difference=0.04)
    assert seeds is not None
    powers = [power.extended(noise, seeds=n, difference=0.04).power for n in (seeds - 1, seeds)]
    assert powers[0] < power.POWER <= powers[1]

    images = power.fewest_images(noise, seeds=10, difference=0.03)
    assert images is not None
    assert power.outlook(noise, seeds=10, images=images, difference=0.03).power >= power.POWER
    fewer = power.outlook(noise, seeds=10, images=int(0.9 * images), difference=0.03)
    assert fewer.power < power.POWER


def test_what_no_number_reaches_is_none() -> None:
    noise = Noise(
        images=0.2, residual=(0.05, 0.05), trainings=(1e-4, 1e-4), tested=100, seeds=(3, 3)
    )
    assert power.fewest_seeds(noise, difference=0.01) is None
    assert power.fewest_images(noise, seeds=3, difference=0.0001) is None
