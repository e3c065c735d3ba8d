"""What a trainer answers: taken where it can be, else refused before a study rests on it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_up_trials import row_of

from trainables import answers
from trainables.data.dataset import LabeledImages
from trainables.slices import Slices

TEST = LabeledImages(images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.array([0, 1, 2, 1]))


def evaluated(**other: Any) -> SimpleNamespace:
    metrics = {**dict.fromkeys(answers.TESTED, 0.5), "test_accuracy": 0.25}
    probabilities = np.full((4, 3), 1 / 3, np.float32)
    given = {"labels": TEST.labels, "probabilities": probabilities, "metrics": metrics, **other}
    return SimpleNamespace(**given, test_metrics=lambda: given["metrics"])


def test_numbers_of_numpy_are_taken_and_columns_that_no_table_has_are_left_out() -> None:
    given = {
        name: np.float32(value)
        for name, value in row_of(1, 0.5).items()
        if isinstance(value, float)
    }
    other = {"epoch": np.int64(1), "device_memory_peak_bytes": 5.0, "done": True, "own": object()}
    found = answers.epoch_row({**given, **other, "images_fed": "in parts"})
    assert found == pytest.approx(
        {**row_of(1, 0.5), "device_memory_peak_bytes": 5, "images_fed": "in parts"}
    )
    assert {type(value) for value in found.values()} == {int, float, str}


def test_what_is_measured_may_be_what_a_diverged_trial_has() -> None:
    assert np.isnan(
        answers.epoch_row({**row_of(1, 0.5), "validation_loss": np.nan})["validation_loss"]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "must be columns by name, but is 'None', a NoneType"),
        ({"epoch": 1.0}, "epoch must be a whole number, but is '1.0', a float"),
        ({"validation_loss": None}, "validation_loss is missing"),
        ({"validation_accuracy": torch.tensor(0.5)}, "must be a number, but is .*a Tensor"),
        ({"learning_rate": np.nan, "epoch_seconds": -5}, "learning_rate must .*; epoch_seconds"),
        ({"device_memory_peak_bytes": "much"}, "but is 'much', a str"),
    ],
)
def test_an_epoch_without_its_columns_is_refused_with_all_that_is_wrong(given, message) -> None:
    with pytest.raises(ValueError, match=message):
        answers.epoch_row(given if given is None else {**row_of(1, 0.5), **given})


def test_what_a_trainer_says_of_the_test_part_is_kept_as_float32() -> None:
    found = answers.tested(evaluated(probabilities=torch.full((4, 3), 1 / 3)), TEST, 3)
    assert (found.probabilities.dtype, found.classes_never_predicted) == (np.float32, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"probabilities": p * 2}, "4 images have others; the first, 0, .* 2 in sum"),
        (lambda p: {"probabilities": np.log(p)}, "none below 0"),
        (lambda p: {"probabilities": np.where(np.eye(4, 3) > 0, np.nan, p)}, "3 images have"),
        (lambda p: {"probabilities": np.hstack([p, p])}, r"must be \[4, 3\], .* are \[4, 6\]"),
        (lambda p: {"probabilities": p > 0}, "of bool"),
        (lambda _: {"labels": TEST.labels[::-1]}, "labels of its images in their order"),
        (lambda _: {"metrics": None}, "columns by name, but are 'None'"),
        (
            lambda _: {"metrics": {**evaluated().metrics, "test_accuracy": 0.5}},
            "test_accuracy is 0.5, by its probabilities 0.25",
        ),
        (lambda _: {"metrics": {"test_accuracy": 87.5}}, "test_loss is .*from 0 to 1, but is 87.5"),
    ],
)
def test_a_test_that_says_what_cannot_be_is_refused(
    change: Callable[[np.ndarray], dict[str, Any]], message: str
) -> None:
    given = evaluated(**change(evaluated().probabilities))
    with pytest.raises(ValueError, match=message):
        answers.tested(given, TEST, 3)


def test_sizes_that_a_table_cannot_have_are_refused() -> None:
    trainer = SimpleNamespace(parameters=np.int64(5), trained_parameters=3)
    assert answers.sizes(trainer)["forward_flops_per_image"] is None
    for name, value in (("parameters", "5"), ("trained_parameters", 9), ("parameters", None)):
        with pytest.raises(ValueError, match="must count its network's parameters"):
            answers.counts(SimpleNamespace(**{**vars(trainer), name: value}))
    with pytest.raises(ValueError, match="must be finite and at least 0, but is -5"):
        answers.sizes(SimpleNamespace(**vars(trainer), forward_flops_per_image=-5))


def test_a_trainer_that_cannot_pause_and_returns_nothing_is_not_asked_for_ever() -> None:
    slices = Slices(SimpleNamespace(train_epoch=lambda: None))
    with pytest.raises(ValueError, match="columns by name"):
        slices.train()
