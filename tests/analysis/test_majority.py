"""Classes of very different size: who is no better than always saying the largest."""

import numpy as np
from made_up_record import record
from made_up_rows import predicted_run

from orchestrator.analysis.caveats import majority
from orchestrator.stats.predictions import PredictedRun

STUDY = record({"dataset": {"classes": ["healthy", "ill"]}})
UNEVEN = [0] * 95 + [1] * 5


def saying(predicted: list[int], labels: list[int], **names: str) -> PredictedRun:
    return predicted_run(labels, np.eye(2)[predicted], **names)


def warnings(*runs: PredictedRun) -> list[str]:
    return [*majority(STUDY, runs)]


def test_models_that_always_say_the_largest_class_are_named_together() -> None:
    lazy = [saying([0] * 100, UNEVEN, role=role) for role in ("baseline", "tuned")]
    assert warnings(*lazy) == [
        "Who always says 'healthy' is right on 95.00% of the test images; no more than that is "
        "cnn baseline, cnn tuned. Recall, or `--set objective=balanced_accuracy`, counts each "
        "class alike."
    ]


def test_a_model_that_is_right_more_often_is_not_named() -> None:
    good = saying([0] * 95 + [1] * 3 + [0] * 2, UNEVEN, family="resnet")
    assert warnings(good) == []
    (warning,) = warnings(good, saying([0] * 100, UNEVEN))
    assert "no more than that is cnn tuned." in warning


def test_where_classes_are_about_as_large_accuracy_is_not_to_blame() -> None:
    even = [0] * 55 + [1] * 45
    (warning,) = warnings(saying([1] * 100, even))
    assert warning.endswith("55.00% of the test images; no more than that is cnn tuned.")


def test_nothing_is_said_without_a_final_run() -> None:
    assert warnings() == []
