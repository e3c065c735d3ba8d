"""The statistics agree with SciPy, scikit-learn and their definitions."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from orchestrator.stats import bootstrap as statistics
from orchestrator.stats import claims

IMAGES = 2000
CLASSES = 5


@pytest.mark.parametrize("case", range(20))
def test_mcnemar_is_the_binomial_test_on_the_discordant_images(case):
    generator = np.random.default_rng(case)
    a, b = (generator.random(20 + 50 * case) < right for right in generator.random(2))
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    p_value = claims.mcnemar_p_value(a, b)
    assert p_value == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue, rel=1e-12)
    images = only_a + only_b
    tail = sum(math.comb(images, k) for k in range(min(only_a, only_b) + 1)) / 2**images
    assert p_value == pytest.approx(min(1, 2 * tail))


def test_mcnemar_of_models_that_err_on_the_same_images_is_one():
    right = np.array([True, False, True])
    assert claims.mcnemar_p_value(right, right) == 1.0


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.9, 0.6, 0.01], [1.0, 1.0, 0.03]),
        ([0.02, 0.02, 0.5], [0.06, 0.06, 0.5]),
    ],
)
def test_holm_adjusts_as_worked_out_by_hand(p_values, adjusted):
    assert claims.holm(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize("case", range(50))
def test_holm_rejects_at_each_level_what_the_procedure_rejects_step_by_step(case):
    generator = np.random.default_rng(case)
    p_values = np.round(generator.beta(0.3, 2, size=case % 12 + 1), case % 3 + 1).tolist()
    adjusted = claims.holm(p_values)
    for level in (0.001, 0.01, 0.0499, 0.1, 0.3, 0.7):
        left = sorted(range(len(p_values)), key=lambda test: p_values[test])
        while left and p_values[left[0]] <= level / len(left):
            del left[0]
        kept = [test for test in range(len(p_values)) if adjusted[test] > level]
        assert sorted(left) == kept


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


def test_with_one_image_a_class_recall_varies_as_accuracy_does():
    labels = np.arange(50)
    predicted = np.where(np.random.default_rng(0).random((2, 50)) < 0.7, labels, 0)
    found = statistics.estimate(labels, predicted, np.ones((2, 50)), classes=50)
    assert found.draws["recall"] == pytest.approx(found.draws["accuracy"])


@pytest.mark.parametrize("metric", ["precision", "recall"])
@pytest.mark.parametrize("of_class", [1, 2, 3, 30])
def test_draws_of_a_macro_average_lie_around_it_however_few_images_a_class_has(metric, of_class):
    labels = np.arange(50 * of_class) % 50
    right = np.random.default_rng(of_class).random((1, len(labels))) < 0.7
    predicted = np.where(right, labels, (labels + 7) % 50)
    found = statistics.estimate(labels, predicted, np.ones(predicted.shape), classes=50)
    centre, spread = found.draws[metric].mean(), found.draws[metric].std()
    assert centre == pytest.approx(found.point[metric][0], abs=spread / 10)
    assert spread == pytest.approx(found.draws["accuracy"].std(), rel=0.4)


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


def made_up(models, never=None):
    """Labels [images], predicted [models, images] and losses [models, images], all seeded."""
    generator = np.random.default_rng(models)
    labels = generator.integers(CLASSES, size=IMAGES)
    right = np.linspace(0.5, 0.8, models)[:, None]
    guesses = generator.integers(CLASSES, size=(models, IMAGES))
    predicted = np.where(generator.random((models, IMAGES)) < right, labels, guesses)
    if never is not None:
        predicted[predicted == never] = 0
    losses = np.where(predicted == labels, 0.02, 0.3) * generator.random((models, IMAGES))
    return labels, predicted, losses
