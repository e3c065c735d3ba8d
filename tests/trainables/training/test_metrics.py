"""Scores equal scikit-learn's, also where a class is never predicted."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
)

from trainables.training.metrics import micro_at_half, scores


@pytest.mark.parametrize("never_predicted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learns(seed: int, never_predicted: bool) -> None:
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(0, 4, 200), random.integers(0, 4, 200)
    if never_predicted:
        predicted[predicted == 2] = 1
    found = scores(confusion_matrix(truth, predicted, labels=range(4)))
    macro = {"average": "macro", "zero_division": 0}
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted), abs=1e-12)
    assert found.precision == pytest.approx(precision_score(truth, predicted, **macro), abs=1e-12)
    assert found.recall == pytest.approx(recall_score(truth, predicted, **macro), abs=1e-12)
    assert found.classes_never_predicted == int(never_predicted)


def test_micro_averages_at_half_leave_unsure_images_unpredicted() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.2, 0.8]], dtype=np.float32)
    labels = np.array([0, 1, 0, 1])
    assert micro_at_half(probabilities, labels) == (2 / 3, 2 / 4)


def test_micro_precision_is_zero_where_nothing_is_predicted() -> None:
    assert micro_at_half(np.full((3, 4), 0.25, np.float32), np.zeros(3, np.int64)) == (0.0, 0.0)
