"""What a network says of images, scored: accuracy, precision, recall and the loss."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a confusion matrix says; all fractions in 0 to 1.

    Attributes:
        accuracy: Share of images whose class was predicted.
        precision: Macro average over classes; a class never predicted counts 0.
        recall: Macro average over the classes that have images.
        f1: Macro average of the classes' F1 scores.
        classes_never_predicted: How many classes no image was assigned to.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    classes_never_predicted: int


def scores(confusion: npt.NDArray[np.int64]) -> Scores:
    """Scores of a confusion matrix, as scikit-learn defines them with `zero_division=0`.

    Args:
        confusion: Counts, shape [classes, classes], rows true and columns predicted.
    """
    hits = np.diag(confusion).astype(np.float64)
    actual, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    seen = (actual + predicted) > 0
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(actual, 1)
    return Scores(
        accuracy=float(hits.sum() / confusion.sum()),
        precision=float(precision[seen].mean()),
        recall=float(recall[seen].mean()),
        f1=float((2 * hits / np.maximum(actual + predicted, 1))[seen].mean()),
        classes_never_predicted=int((predicted == 0).sum()),
    )


def micro_at_half(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Micro-averaged precision and recall at threshold 0.5, as Keras' Precision and Recall.

    A class counts as predicted where its probability exceeds 0.5, so an image may have none.

    Args:
        probabilities: Shape [images, classes], rows sum to 1.
        labels: Shape [images].

    Returns:
        Precision (0 where nothing exceeds 0.5) and recall.
    """
    chosen = probabilities > 0.5  # noqa: PLR2004 (the threshold that names the function)
    hits = int(chosen[np.arange(len(labels)), labels].sum())
    return hits / max(int(chosen.sum()), 1), hits / len(labels)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network says about images it was not trained on.

    Attributes:
        loss: Mean cross-entropy against hard targets, in nats.
        scores: Accuracy, macro precision and macro recall.
        probabilities: float32, shape [images, classes].
        labels: Shape [images].
    """

    loss: float
    scores: Scores
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def test_metrics(self) -> dict[str, float]:
        """The `test_*` columns of `final.parquet`."""
        precision, recall = micro_at_half(self.probabilities, self.labels)
        return {
            "test_loss": self.loss,
            "test_accuracy": self.scores.accuracy,
            "test_precision": self.scores.precision,
            "test_recall": self.scores.recall,
            "test_precision_micro_at_half": precision,
            "test_recall_micro_at_half": recall,
        }
