"""Classes are scored as scikit-learn does, and what is never predicted is named."""

import numpy as np
import pyarrow as pa
import pytest
from made_up_rows import predicted_run, table
from sklearn import metrics

from orchestrator.analysis.per_class import per_class_sections, score_classes
from orchestrator.stats.predictions import split_runs

NAMES = ["cat", "dog", "ship"]


def run(labels, predicted, *, classes=3, **run):
    return predicted_run(labels, np.eye(classes)[predicted], **run)


def said(*runs, names=NAMES):
    sections = per_class_sections({"dataset": {"classes": names}}, runs)
    return [cell for section in sections for cell in (*section.sentences, *section.rows)]


def test_precision_and_recall_equal_scikit_learn_over_all_seeds() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=90)
    guesses = [np.where(generator.random(90) < 0.6, labels, 2) for _ in range(2)]
    scores = score_classes([run(labels, guess, seed=n) for n, guess in enumerate(guesses)])
    both = np.concatenate([labels, labels]), np.concatenate(guesses)
    assert scores.precision == pytest.approx(metrics.precision_score(*both, average=None))
    assert scores.recall == pytest.approx(metrics.recall_score(*both, average=None))
    counted = [[np.sum((both[0] == a) & (both[1] == b)) for b in range(3)] for a in range(3)]
    assert scores.confusion.tolist() == counted


def test_the_worst_confusions_come_first_by_share_of_the_true_class() -> None:
    # 1 of 2 ships is a cat, 2 of 5 dogs are cats, 1 of 5 dogs is a ship; 1 of 8 cats is a dog.
    labels = [2, 2, 1, 1, 1, 1, 1, *[0] * 8]
    guess = [0, 2, 0, 0, 2, 1, 1, 1, *[0] * 7]
    rows = [line for line in said(run(labels, guess)) if line[0] == "cnn tuned"]
    assert rows == [
        ("cnn tuned", "ship", "cat", "50.00%", "1 of 2"),
        ("cnn tuned", "dog", "cat", "40.00%", "2 of 5"),
        ("cnn tuned", "dog", "ship", "20.00%", "1 of 5"),
    ]


def test_a_class_never_predicted_is_named_and_has_precision_0() -> None:
    lines = said(run([0, 1, 2, 2], [0, 1, 1, 0]))
    assert "cnn tuned never predicts ship: that counts as precision 0." in lines
    assert ("ship", "2", "0.000 / 0.000") in lines
    assert "nan" not in str(lines).lower()


def test_a_constant_classifier_has_no_nan() -> None:
    lines = said(run([0, 1, 2], [1, 1, 1]))
    assert "cnn tuned never predicts cat, ship: that counts as precision 0." in lines
    assert ("dog", "1", "0.333 / 1.000") in lines
    assert "nan" not in str(lines).lower()


def test_a_class_without_a_test_image_has_no_recall() -> None:
    assert ("ship", "0", "0.000 / —") in said(run([0, 1], [0, 2]))


def test_a_model_without_a_mistake_has_no_confusion() -> None:
    lines = said(run([0, 1, 2], [0, 1, 2]))
    assert "cnn tuned is right on every test image." in lines
    assert not [line for line in lines if line[0] == "cnn tuned"]
    assert not [line for line in lines if "never predicts" in line]


def test_images_are_counted_once_whatever_the_seeds() -> None:
    lines = said(run([0, 1, 2], [0, 1, 0]), run([0, 1, 2], [0, 1, 2], seed=1))
    assert ("ship", "1", "1.000 / 0.500") in lines
    assert ("cnn tuned", "ship", "cat", "50.00%", "1 of 2") in lines


def test_only_the_tuned_models_at_the_largest_fraction_are_shown() -> None:
    other = run([0, 1, 2], [1, 2, 0], role="baseline"), run([0, 1, 2], [1, 2, 0], fraction=0.1)
    assert said(*other, run([0, 1, 2], [0, 1, 2])) == said(run([0, 1, 2], [0, 1, 2]))


def test_of_many_classes_the_hardest_are_shown_and_it_is_said() -> None:
    labels = np.arange(100)
    guess = np.where(labels % 5 == 0, 1, labels)
    lines = said(run(labels, guess, classes=100), names=[f"class {n}" for n in range(100)])
    assert "The 20 of 100 classes with the lowest mean recall are shown." in lines
    assert {line[0] for line in lines if len(line) == 3} == {f"class {5 * n}" for n in range(20)}


def test_without_names_classes_are_numbers_and_without_runs_nothing_is_said() -> None:
    assert ("2", "1", "1.000 / 1.000") in said(run([0, 1, 2], [0, 1, 2]), names=None)
    assert said() == []


def test_runs_are_read_from_the_table_in_the_order_of_their_images() -> None:
    rows = [
        {
            "family": family,
            "role": role,
            "seed": 0,
            "train_fraction": 1.0,
            "image_index": image,
            "label": image,
            "predicted": 0,
            "probabilities": [1.0 - image / 4, image / 4],
        }
        for family, role in (("vit", "tuned"), ("vit", "baseline"), ("cnn", "tuned"))
        for image in (1, 0)
    ]
    predictions = table("predictions", rows)
    runs = split_runs(predictions)
    assert [run.model for run in runs] == [
        ("vit", "baseline"),
        ("vit", "tuned"),
        ("cnn", "tuned"),
    ]
    assert runs[0].labels.tolist() == [0, 1]
    assert runs[0].probabilities.tolist() == [[1.0, 0.0], [0.75, 0.25]]
    assert runs[0].correct.tolist() == [True, False]
    assert split_runs(pa.concat_tables([predictions.slice(0, 0)])) == []


def test_the_confusion_matrix_is_shown_whole_up_to_20_classes() -> None:
    runs = [run([0, 1, 2, 2], [0, 1, 1, 0], seed=seed) for seed in (0, 1)]
    matrix = per_class_sections({"dataset": {"classes": NAMES}}, runs)[-1]
    assert matrix.title == "Classes: confusion matrix of cnn tuned"
    assert matrix.columns == ("true class", "0", "1", "2")
    shown = [[int(cell) for cell in row[1:]] for row in matrix.rows]
    both = [
        np.concatenate([getattr(each, what) for each in runs]) for what in ("labels", "predicted")
    ]
    assert shown == metrics.confusion_matrix(*both).tolist()
    assert [row[0] for row in matrix.rows] == ["0 cat", "1 dog", "2 ship"]
    many = run(np.arange(21), np.arange(21), classes=21)
    titles = [each.title for each in per_class_sections({}, [many])]
    assert not [title for title in titles if "matrix" in title]
