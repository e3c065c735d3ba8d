"""F19: a class that is never predicted counts 0 and is flagged, and no table has a NaN."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from made_up_study import CLASSES, IMAGES, ComparedStudy
from made_up_trials import config_of, spec_of
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from orchestrator.results import schema as results
from orchestrator.run import finals
from orchestrator.stats import bootstrap as statistics
from orchestrator.stats.pairwise import compare
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialRecord
from search_spaces.dimension import distributions
from trainables.attempt import Attempt
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.shared_data import SharedData
from trainables.training.metrics import micro_at_half, scores

Rows = list[dict[str, Any]]


def assert_no_nan(table: pa.Table) -> None:
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        if pa.types.is_floating(values.type):
            assert not pc.any(pc.is_nan(values)).as_py(), name


def always(predicted: int, right: float = 1.0) -> np.ndarray:
    """Probabilities of a classifier that says the same of each image, [images, classes]."""
    probabilities = np.full((IMAGES, CLASSES), (1 - right) / (CLASSES - 1), np.float32)
    probabilities[:, predicted] = right
    return probabilities


def balanced() -> ComparedStudy:
    """A study of one family and seed on as many images of each class."""
    return ComparedStudy(families=("cnn",), seeds=1)


def of_metric(rows: Rows, name: str, seed: int | None = 0) -> dict[str, Any]:
    (row,) = [row for row in rows if (row["metric"], row["seed"]) == (name, seed)]
    return row


# Metrics


@pytest.mark.parametrize("predicted", range(CLASSES))
@pytest.mark.parametrize("counts", [(5, 5, 5, 5), (1, 2, 30, 4)])
def test_f19_a_constant_classifier_scores_as_in_scikit_learn_and_is_flagged(
    counts: tuple[int, ...], predicted: int
) -> None:
    truth = np.repeat(np.arange(CLASSES), counts)
    same = np.full_like(truth, predicted)
    found = scores(confusion_matrix(truth, same, labels=range(CLASSES)))
    macro = {"average": "macro", "zero_division": 0}
    assert found.accuracy == pytest.approx(counts[predicted] / sum(counts))
    assert found.precision == pytest.approx(precision_score(truth, same, **macro))
    assert found.recall == pytest.approx(recall_score(truth, same, **macro))
    assert found.classes_never_predicted == CLASSES - 1


def test_f19_each_class_that_is_never_predicted_is_counted() -> None:
    for never in range(CLASSES):
        kept = np.arange(CLASSES) < CLASSES - never
        confusion = np.where(kept, 3, 0)[None].repeat(CLASSES, axis=0)
        found = scores(confusion)
        assert found.classes_never_predicted == never
        assert found.precision == pytest.approx((CLASSES - never) / CLASSES**2)


def test_f19_micro_precision_is_0_where_no_class_is_predicted() -> None:
    assert micro_at_half(always(0, right=0.4), np.zeros(IMAGES, np.int64)) == (0.0, 0.0)


# Comparison


@pytest.mark.parametrize("right", [1.0, 0.5], ids=["sure", "unsure"])
def test_f19_a_good_classifier_beats_a_constant_one_by_what_the_definitions_say(
    right: float,
) -> None:
    made_up = balanced()
    made_up.run("cnn", "baseline", 0)[:] = always(1, right)
    made_up.run("cnn", "tuned", 0)[:] = np.eye(CLASSES, dtype=np.float32)[made_up.labels]
    assert_no_nan(made_up.comparison())
    rows = made_up.compared()
    expected = {
        "accuracy": 1 / CLASSES - 1,
        "precision": 1 / CLASSES**2 - 1,
        "recall": 1 / CLASSES - 1,
    }
    for seed in (0, None):
        for name, difference in expected.items():
            row = of_metric(rows, name, seed)
            assert row["difference"] == pytest.approx(difference)
            assert row["ci_low"] <= row["difference"] <= row["ci_high"] < 0
        assert of_metric(rows, "loss", seed)["ci_low"] > 0
    accuracy = of_metric(rows, "accuracy")
    wrong = IMAGES - IMAGES // CLASSES  # each by the constant one alone
    assert accuracy["p_value"] == pytest.approx(2 * 0.5**wrong)
    assert accuracy["p_value_holm"] == accuracy["p_value"]


def test_f19_a_constant_classifier_equals_itself_exactly() -> None:
    made_up = balanced()
    for role in ("baseline", "tuned"):
        made_up.run("cnn", role, 0)[:] = always(2)
    assert_no_nan(made_up.comparison())
    rows = made_up.compared()
    assert {(row["difference"], row["ci_low"], row["ci_high"]) for row in rows} == {(0, 0, 0)}
    accuracy = of_metric(rows, "accuracy")
    assert (accuracy["p_value"], accuracy["p_value_holm"]) == (1.0, 1.0)


def test_f19_two_constant_classifiers_of_different_classes_are_equally_good() -> None:
    made_up = balanced()
    for predicted, role in enumerate(("baseline", "tuned")):
        made_up.run("cnn", role, 0)[:] = always(predicted)
    assert_no_nan(made_up.comparison())
    rows = made_up.compared()
    for name in ("accuracy", "precision"):
        row = of_metric(rows, name)
        assert row["difference"] == pytest.approx(0, abs=1e-12)
        assert row["ci_low"] < 0 < row["ci_high"]
    recall = of_metric(rows, "recall")  # that of one class is 1, of the others 0, in any test set
    assert (recall["difference"], recall["ci_low"], recall["ci_high"]) == (0, 0, 0)
    assert of_metric(rows, "accuracy")["p_value"] == 1.0


def test_f19_a_study_of_constant_classifiers_has_numbers_in_every_cell_that_applies() -> None:
    made_up = ComparedStudy(seeds=3)
    for number, key in enumerate(made_up.runs):
        made_up.runs[key][:] = always(number % CLASSES)
    table = made_up.comparison()
    assert_no_nan(table)
    for row in table.to_pylist():
        tested = row["metric"] == "accuracy"
        assert (row["p_value"] is not None) == (row["p_value_holm"] is not None) == tested
        assert all(row[name] is not None for name in ("difference", "ci_low", "ci_high"))
        if tested:
            assert 0 <= row["p_value"] <= row["p_value_holm"] <= 1


def test_f19_the_report_flags_a_constant_classifier_and_shows_no_nan() -> None:
    made_up = ComparedStudy(families=("cnn", "resnet50_transfer"))
    for seed in (0, 1):
        made_up.run("cnn", "tuned", seed)[:] = always(0)
    flag = (
        "cnn tuned at train fraction 1 leaves classes that it never predicts, 3 with seed 0, "
        "3 with seed 1; their precision counts as 0."
    )
    for text in (made_up.markdown(), made_up.terminal(1000)):
        assert flag in text
        assert "cnn baseline at train fraction 1 leaves classes" not in text
        assert "nan" not in text.lower()


def test_f19_resampled_test_sets_that_lack_a_class_give_no_nan() -> None:
    labels = np.arange(3)  # of three images a resampled set often has one class alone
    predicted = np.array([[0, 0, 0], [0, 1, 2]])
    found = statistics.estimate(labels, predicted, np.ones((2, 3)), classes=3, draws=500)
    for values in (*found.point.values(), *found.draws.values()):
        assert np.isfinite(values).all()


# From a network to the tables


def test_f19_a_network_that_learned_nothing_is_flagged_in_the_tables_of_the_finals(
    tmp_path: Path, recorder: Recorder, made_up_images: LabeledImages
) -> None:
    shared = SharedData(
        training=made_up_images,
        train={1.0: np.arange(40)},
        validation=np.arange(40, 60),
        classes=("a", "b", "c"),
        weights={},
    )
    rows = []
    for role in ("baseline", "tuned"):
        rows += finals.final_rows(
            trained_to_nothing(tmp_path, role, shared, recorder),
            study="test",
            device="cpu",
            device_seconds=1.0,
            train_images=40,
            validation_images=20,
            roles=(role,),
        )
    schemas = results.schemas([distributions(load_family("cnn").search_space)])
    final, predictions = (
        results.to_table(rows, schemas["final"]),
        finals.predictions(tmp_path, rows),
    )
    comparison = compare(final, predictions, draws=50)
    trials = results.to_table(recorder.trial_rows(), schemas["trials"])
    for table in (final, predictions, comparison, trials):
        assert_no_nan(table)
        assert table.num_rows > 0
    assert final["classes_never_predicted"].to_pylist() == [2, 2]
    assert final["test_precision"].to_pylist() == pytest.approx([1 / 9, 1 / 9])
    assert final["test_recall_last_epoch"].to_pylist() == pytest.approx([1 / 3, 1 / 3])
    assert trials["validation_precision"].to_pylist() == pytest.approx([7 / 20 / 3] * 2)


def trained_to_nothing(
    folder: Path, role: str, shared: SharedData, recorder: Recorder
) -> TrialRecord:
    """A final whose network says the third class of every image, whatever it is taught."""
    spec = dataclasses.replace(spec_of(f"cnn-{role}-s0-f1", role), family="cnn")
    params = {**spec.params, "width": 16, "learning_rate": 1e-5}
    config = dataclasses.replace(
        config_of(folder, is_final=True),
        trial_id=spec.trial_id,
        family="cnn",
        params=params,
        epochs=1,
    )
    running = Attempt(config, shared, shared.training)
    last = running._trainer._model[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.0, 0.0, 100.0])
    recorder.propose(spec)
    record = recorder.trials[spec.trial_id]
    record.final = running.step()
    recorder.epoch(spec.trial_id, record.final)
    recorder.end(spec.trial_id, "completed")
    return record
