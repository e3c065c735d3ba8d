"""Classes are scored as scikit-learn does, and what is never predicted is named."""

import numpy as np
import pyarrow as pa
import pytest
from made_up_record import record
from made_up_rows import predicted_run, table
from shown_cells import cells
from sklearn import metrics

from orchestrator.analysis.per_class import per_class_sections, score_classes
from orchestrator.stats.predictions import split_runs

NAMES = ["cat", "dog", "ship"]


def run(labels, predicted, *, classes=3, **run):
    return predicted_run(labels, np.eye(classes)[predicted], **run)


def sections(*runs, names=NAMES):
    study = record({"dataset": {"classes": names or []}})
    return {each.key: each for each in per_class_sections(study, runs)}


def shown(*runs, names=NAMES):
    return cells(sections(*runs, names=names).values())


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
    assert shown(run(labels, guess))["classes/confusions"] == [
        ("cnn tuned", "ship", "cat", "50.00%", "1 of 2"),
        ("cnn tuned", "dog", "cat", "40.00%", "2 of 5"),
        ("cnn tuned", "dog", "ship", "20.00%", "1 of 5"),
    ]


def test_a_class_never_predicted_is_named_and_has_precision_0() -> None:
    run_ = run([0, 1, 2, 2], [0, 1, 1, 0])
    note = "cnn tuned never predicts ship: that counts as precision 0."
    assert note in sections(run_)["classes/scores"].notes
    assert ("ship", "2", "0.000", "0.000") in shown(run_)["classes/scores"]


def test_a_constant_classifier_has_no_nan() -> None:
    lines = shown(run([0, 1, 2], [1, 1, 1]))["classes/scores"]
    assert lines[1] == ("dog", "1", "0.333", "1.000")


def test_a_class_without_a_test_image_has_no_recall() -> None:
    assert ("ship", "0", "0.000", "—") in shown(run([0, 1], [0, 2]))["classes/scores"]


def test_a_model_without_a_mistake_has_no_confusion() -> None:
    found = sections(run([0, 1, 2], [0, 1, 2]))["classes/confusions"]
    assert found.notes == ("cnn tuned is right on every test image.",)
    assert found.cells() == []


def test_images_are_counted_once_whatever_the_seeds() -> None:
    found = shown(run([0, 1, 2], [0, 1, 0]), run([0, 1, 2], [0, 1, 2], seed=1))
    assert ("ship", "1", "1.000", "0.500") in found["classes/scores"]
    assert ("cnn tuned", "ship", "cat", "50.00%", "1 of 2") in found["classes/confusions"]


def test_only_the_tuned_models_at_the_largest_fraction_are_shown() -> None:
    other = run([0, 1, 2], [1, 2, 0], role="baseline"), run([0, 1, 2], [1, 2, 0], fraction=0.1)
    assert shown(*other, run([0, 1, 2], [0, 1, 2])) == shown(run([0, 1, 2], [0, 1, 2]))


def test_without_names_classes_are_numbers_and_without_runs_nothing_is_said() -> None:
    found = shown(run([0, 1, 2], [0, 1, 2]), names=None)
    assert ("2", "1", "1.000", "1.000") in found["classes/scores"]
    assert shown() == {}


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
    matrix = sections(*runs)["classes/cnn"]
    assert tuple(matrix.formats) == ("true class", "0", "1", "2")
    both = [
        np.concatenate([getattr(each, what) for each in runs]) for what in ("labels", "predicted")
    ]
    counted = matrix.table.drop(columns="true class").to_numpy().tolist()
    assert counted == metrics.confusion_matrix(*both).tolist()
    assert [row[0] for row in matrix.cells()] == ["0 cat", "1 dog", "2 ship"]
    many = run(np.arange(21), np.arange(21), classes=21)
    assert "classes/cnn" not in sections(many, names=None)
