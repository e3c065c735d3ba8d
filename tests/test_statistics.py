"""The statistics agree with SciPy, scikit-learn and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar

from orchestrator import statistics

IMAGES = 2000
CLASSES = 5


def test_mcnemar_is_the_binomial_test_on_the_discordant_images():
    generator = np.random.default_rng(1)
    a = generator.random(300) < 0.7
    b = generator.random(300) < 0.6
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    p_value = statistics.mcnemar_p_value(a, b)
    assert p_value == stats.binomtest(only_a, only_a + only_b).pvalue
    table = [[np.sum(a & b), only_a], [only_b, np.sum(~a & ~b)]]
    assert p_value == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_mcnemar_of_models_that_err_on_the_same_images_is_one():
    right = np.array([True, False, True])
    assert statistics.mcnemar_p_value(right, right) == 1.0


def test_holm_adjusts_as_in_a_worked_example():
    adjusted = statistics.holm([0.01, 0.04, 0.03])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06])
    assert len(statistics.holm([])) == 0


@pytest.mark.parametrize("never", [None, 2], ids=["all classes", "a class never predicted"])
def test_point_estimates_equal_scikit_learn(never):
    labels, predicted, losses = made_up(models=3, never=never)
    point = statistics.estimate(labels, predicted, losses, classes=CLASSES, draws=1).point
    macro = {"labels": range(CLASSES), "average": "macro", "zero_division": 0}
    for model, guess in enumerate(predicted):
        assert point["accuracy"][model] == pytest.approx(metrics.accuracy_score(labels, guess))
        precision = metrics.precision_score(labels, guess, **macro)
        assert point["precision"][model] == pytest.approx(precision)
        recall = metrics.recall_score(labels, guess, **macro)
        assert point["recall"][model] == pytest.approx(recall)
        assert point["loss"][model] == pytest.approx(losses[model].mean())


def test_a_constant_classifier_has_finite_metrics_in_every_draw():
    labels = np.arange(20) % CLASSES
    predicted = np.zeros((1, 20), dtype=np.int16)
    estimates = statistics.estimate(labels, predicted, np.ones((1, 20)), classes=CLASSES, draws=200)
    assert estimates.point["precision"] == pytest.approx([1 / CLASSES**2])
    assert all(np.isfinite(draws).all() for draws in estimates.draws.values())


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "loss"])
def test_intervals_of_a_difference_agree_with_scipys_bootstrap(metric):
    draws = 6000
    data = made_up(models=2, right=(0.97, 0.96))
    estimates = statistics.estimate(*data, classes=CLASSES, draws=draws).draws[metric]
    ours = statistics.percentile_interval(estimates[0] - estimates[1])
    theirs = stats.bootstrap(
        (np.arange(IMAGES),),
        lambda images: slow_difference(metric, *data, images.astype(int)),
        vectorized=False,
        n_resamples=draws,
        batch=200,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.001)


def test_the_same_seed_gives_the_same_draws_whatever_other_models_stand_beside():
    labels, predicted, losses = made_up(models=3)
    both = [
        statistics.estimate(labels, predicted[:n], losses[:n], classes=CLASSES, draws=50)
        for n in (1, 3)
    ]
    for metric in ("accuracy", "loss"):
        assert both[0].draws[metric][0] == pytest.approx(both[1].draws[metric][0])


def test_chunks_give_as_many_draws_as_asked(monkeypatch):
    monkeypatch.setattr(statistics, "CHUNK_ELEMENTS", 3 * IMAGES)
    labels, predicted, losses = made_up(models=1)
    estimates = statistics.estimate(labels, predicted, losses, classes=CLASSES, draws=10)
    assert estimates.draws["recall"].shape == (1, 10)
    assert len(np.unique(estimates.draws["loss"])) == 10


def test_about_95_percent_of_the_intervals_cover_the_true_difference():
    generator = np.random.default_rng(3)
    repetitions, images = 200, 300
    covered = 0
    for _ in range(repetitions):
        labels = generator.integers(2, size=images)
        # Both models share what is hard about an image; the truth is 0.8 against 0.7.
        hard = generator.random(images)
        wrong = np.stack([hard > 0.8, (hard + 0.1 * generator.random(images)) > 0.75])
        predicted = np.where(wrong, 1 - labels, labels)
        draws = statistics.estimate(
            labels, predicted, np.ones_like(predicted, dtype=float), classes=2, draws=400
        ).draws["accuracy"]
        low, high = statistics.percentile_interval(draws[0] - draws[1])
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / repetitions <= 0.99


def test_with_one_seed_resampling_seeds_changes_nothing():
    draws = np.random.default_rng(0).random((1, 30))
    chosen = statistics.resampled_seeds(1, 30, np.random.default_rng(1))
    assert np.array_equal(statistics.seed_mean(draws, chosen), draws[0])


def test_with_several_seeds_the_spread_of_the_seeds_is_in_the_draws():
    seeds = np.array([0.6, 0.7, 0.8])
    draws = np.repeat(seeds[:, None], 20_000, axis=1)
    chosen = statistics.resampled_seeds(3, 20_000, np.random.default_rng(1))
    spread = statistics.seed_mean(draws, chosen).std()
    assert spread == pytest.approx(seeds.std() / np.sqrt(3), rel=0.02)


def made_up(models, never=None, right=None):
    """Labels [images], predicted [models, images] and losses [models, images], all seeded."""
    generator = np.random.default_rng(models)
    labels = generator.integers(CLASSES, size=IMAGES)
    right = np.array(right or np.linspace(0.5, 0.8, models))[:, None]
    guesses = generator.integers(CLASSES, size=(models, IMAGES))
    predicted = np.where(generator.random((models, IMAGES)) < right, labels, guesses)
    if never is not None:
        predicted[predicted == never] = 0
    losses = np.where(predicted == labels, 0.02, 0.3) * generator.random((models, IMAGES))
    return labels, predicted, losses


def slow_difference(metric, labels, predicted, losses, images):
    """The difference of a metric between two models, written another way than the module."""

    def value(model):
        if metric == "loss":
            return losses[model, images].mean()
        true, guess = labels[images], predicted[model, images]
        if metric == "accuracy":
            return (true == guess).mean()
        confusion = np.bincount(true * CLASSES + guess, minlength=CLASSES**2)
        confusion = confusion.reshape(CLASSES, CLASSES)
        return (confusion.diagonal() / confusion.sum(axis=0 if metric == "precision" else 1)).mean()

    return value(0) - value(1)
