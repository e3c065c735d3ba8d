"""Intervals of means over seeds agree with SciPy, and hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import coverage_macro
from benchmarks.coverage import REGIMES, coverage
from orchestrator.stats import bootstrap as statistics
from orchestrator.stats.intervals import (
    SMALLEST_P,
    MeanDifference,
    SeedRuns,
    noisy_means,
)

CLASSES, IMAGES, DRAWS = 4, 1500, 3000
TENTH_OF_A_POINT = 0.001


def mean_p_value(a: SeedRuns, b: SeedRuns) -> float:
    return MeanDifference.of(a, b).p_value()


def made_up(seeds, generator):
    """Labels [images]; hits, predictions and losses [models, seeds, images] of two good models."""
    labels = generator.integers(CLASSES, size=IMAGES)
    hard = generator.random(IMAGES) < 0.06
    luck = generator.random((2, seeds, 1))
    wrong = hard & (generator.random((2, seeds, IMAGES)) < 0.3 + 0.5 * luck)
    predicted = np.where(wrong, (labels + 1) % CLASSES, labels)
    losses = np.where(wrong, 0.3, 0.02) * (0.5 + generator.random(predicted.shape))
    return labels, predicted, losses


def ours(metric, labels, predicted, losses):
    """Both models as the comparison has them."""
    shape = predicted.shape[:2]
    flat = predicted.reshape(-1, IMAGES)
    if metric == "accuracy":
        points = (flat == labels).mean(axis=1)
        draws = statistics.accuracy_draws(flat == labels, draws=DRAWS)
    else:
        found = statistics.estimate(
            labels, flat, losses.reshape(-1, IMAGES), classes=CLASSES, draws=DRAWS
        )
        points, draws = found.point[metric], found.draws[metric]
    points, draws = points.reshape(shape), draws.reshape(*shape, DRAWS)
    return [SeedRuns(points=points[model], draws=draws[model]) for model in range(2)]


def macro(metric, labels, predicted, images):
    """Precision or recall of each run on resampled images, another way: [models, seeds, draws]."""
    true, guess = labels[images], predicted[..., images]
    per_class = []
    for number in range(CLASSES):
        whole = guess == number if metric == "precision" else true == number
        per_class.append(((guess == true) & whole & (true == number)).sum(axis=-1) / whole.sum(-1))
    return np.mean(per_class, axis=0)


def scipys_bootstrap(data, statistic, generator, draws=DRAWS):
    return stats.bootstrap(
        (data,), statistic, n_resamples=draws, batch=500, method="percentile", rng=generator
    )


def welch(of_seeds, apart):
    """Half of Welch's interval over the seeds, less what the choice of images has in it."""
    seeds = len(of_seeds[0])
    if seeds == 1:
        return 0.0
    freedom = stats.ttest_ind(*of_seeds, equal_var=False).df
    pairs = zip(of_seeds, apart, strict=True)
    variance = sum(max(0, np.var(points, ddof=1) - images) for points, images in pairs)
    return stats.t.ppf(0.975, freedom) * np.sqrt(variance / seeds)


def quadrature(difference, images, margin):
    return (
        difference - np.hypot(difference - images.low, margin),
        difference + np.hypot(images.high - difference, margin),
    )


@pytest.mark.parametrize("case", range(20))
def test_an_interval_lies_within_a_tenth_of_a_point_of_what_scipy_gives(case) -> None:
    seeds, metric = (1, 2, 3, 5)[case % 4], "loss" if case % 5 == 0 else "accuracy"
    generator = np.random.default_rng(case)
    labels, predicted, losses = made_up(seeds, generator)
    per_image = losses if metric == "loss" else (predicted == labels).astype(float)
    of_a, of_b = per_image.mean(axis=1)
    images = scipys_bootstrap(of_a - of_b, np.mean, generator).confidence_interval
    from_the_mean = per_image - per_image.mean(axis=1, keepdims=True)
    apart = (stats.sem(from_the_mean, axis=-1) ** 2).sum(axis=1) / max(1, seeds - 1)
    margin = welch(per_image.mean(axis=-1), apart)
    expected = quadrature((of_a - of_b).mean(), images, margin)
    found = MeanDifference.of(*ours(metric, labels, predicted, losses)).interval()
    assert found == pytest.approx(expected, abs=TENTH_OF_A_POINT)


@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_so_do_those_of_macro_precision_and_recall(metric) -> None:
    labels, predicted, losses = made_up(1, np.random.default_rng(0))

    def difference(images, axis):
        del axis  # the last, as SciPy asks
        of_a, of_b = macro(metric, labels, predicted, images.astype(int))[:, 0]
        return of_a - of_b

    images = scipys_bootstrap(np.arange(IMAGES), difference, np.random.default_rng(1), draws=1500)
    found = MeanDifference.of(*ours(metric, labels, predicted, losses)).interval()
    expected = images.confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=TENTH_OF_A_POINT)


@pytest.mark.parametrize(
    ("regime", "seeds", "lowest", "highest"),
    [
        ("none", 1, 0.93, 0.97),
        ("above that of the images", 3, 0.93, 0.975),
    ],
)
def test_95_percent_intervals_hold_the_truth_in_about_95_percent_of_studies(
    regime, seeds, lowest, highest
) -> None:
    # Of 600 studies twice the standard error is 1.8 points. In full: benchmarks/coverage.py.
    held, _, _ = coverage(REGIMES[regime], seeds, studies=600, images=250, draws=400)
    assert lowest <= held <= highest


@pytest.mark.parametrize("metric", ["precision", "recall"])
def test_so_do_those_of_macro_averages_with_one_image_a_class(metric) -> None:
    # Twice the standard error is 3 points. In full: benchmarks/coverage_macro.py.
    held, _ = coverage_macro.coverage([1] * 50, 1, studies=200)[metric]
    assert 0.9 <= held <= 0.985


def runs(*points, images=0.0):
    """A model of which the choice of images moves all seeds together, by this much."""
    moves = images * np.random.default_rng(0).standard_normal(DRAWS)
    return SeedRuns(points=np.array(points), draws=np.array(points)[:, None] + moves)


def test_with_one_seed_an_interval_is_that_over_images_alone() -> None:
    one, three = runs(0.5, images=0.01), runs(0.6, 0.7, 0.8, images=0.02)
    assert MeanDifference.of(one).interval() == statistics.percentile_interval(one.draws[0])
    apart = statistics.percentile_interval(one.draws[0] - three.mean_draws)
    assert MeanDifference.of(one, three).interval() == pytest.approx(apart)


def test_where_the_images_make_no_difference_an_interval_is_students() -> None:
    points = (0.6, 0.7, 0.65)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(points), scale=stats.sem(points))
    assert MeanDifference.of(runs(*points)).interval() == pytest.approx((low, high))
    other = (0.5, 0.55)
    welchs = stats.ttest_ind(points, other, equal_var=False).confidence_interval()
    assert MeanDifference.of(runs(*points), runs(*other)).interval() == pytest.approx(
        (welchs.low, welchs.high)
    )


def test_seeds_that_all_agree_add_nothing() -> None:
    a, b = runs(0.7, 0.7, images=0.01), runs(0.6, 0.6, images=0.02)
    assert MeanDifference.of(a, b).interval() == statistics.percentile_interval(
        a.draws[0] - b.draws[0]
    )


def test_where_the_images_make_no_difference_p_is_welchs() -> None:
    points, other = (0.6, 0.7, 0.65), (0.5, 0.55)
    found = mean_p_value(runs(*points), runs(*other))
    assert found == pytest.approx(stats.ttest_ind(points, other, equal_var=False).pvalue)


def test_with_one_seed_p_is_twice_the_share_of_draws_on_the_other_side_of_zero() -> None:
    a, b = runs(0.51, images=0.01), runs(0.5, images=0.02)
    beyond = np.mean(a.draws[0] - b.draws[0] <= 0)  # a sixth
    assert mean_p_value(a, b) == pytest.approx(2 * beyond, abs=2 / DRAWS)
    assert mean_p_value(a, b) == pytest.approx(mean_p_value(b, a), abs=1e-8)


def test_a_p_may_be_far_below_what_draws_alone_can_tell() -> None:
    a, b = runs(0.54, images=0.01), runs(0.5)
    assert mean_p_value(a, b) == pytest.approx(2 * stats.norm.sf(4), rel=0.7)
    assert mean_p_value(runs(0.9, images=0.01), runs(0.1)) == SMALLEST_P
    assert mean_p_value(runs(0.9), runs(0.9)) == pytest.approx(1)


@pytest.mark.parametrize("case", range(20))
def test_p_is_the_level_at_which_the_interval_begins_to_exclude_zero(case) -> None:
    seeds = (1, 2, 3, 5)[case % 4]
    a, b = ours("accuracy", *made_up(seeds, np.random.default_rng(100 + case)))
    p = mean_p_value(a, b)
    low, high = MeanDifference.of(a, b).interval()
    assert (p < 0.05) == (low > 0 or high < 0)
    low, high = MeanDifference.of(a, b).interval(1 - p * 1.01)
    assert low > 0 or high < 0 or p > 0.9
    if p > SMALLEST_P:
        low, high = MeanDifference.of(a, b).interval(1 - p * 0.99)
        assert low <= 0 <= high


def test_what_the_choice_of_images_puts_between_seeds_is_not_counted_twice() -> None:
    generator = np.random.default_rng(0)
    hits = generator.random((4, 2000)) < 0.7  # four trainings equally good, on images of their own
    draws = statistics.accuracy_draws(hits, draws=500)
    model = SeedRuns(points=hits.mean(axis=1), draws=draws)
    apart = hits.var(axis=1).mean() / 2000 / 4
    assert model.observed_variance - model.seed_variance == pytest.approx(
        min(apart, model.observed_variance), rel=0.1
    )


def test_means_drawn_anew_have_the_noise_of_seeds_and_images() -> None:
    model = runs(*np.random.default_rng(1).normal(0.7, 0.03, size=30), images=0.01)
    drawn = noisy_means(model, np.random.default_rng(2))
    expected = np.hypot(0.01, np.std(model.points, ddof=1) / np.sqrt(30))
    assert np.std(drawn) == pytest.approx(expected, rel=0.08)
    one = runs(0.5, images=0.01)
    assert np.array_equal(noisy_means(one, np.random.default_rng(2)), one.draws[0])
