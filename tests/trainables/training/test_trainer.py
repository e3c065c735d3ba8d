"""The training loop: learns, is reproducible, shares memory, and reports what it should."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score
from torch import nn

from search_spaces.baseline import BASELINE
from search_spaces.spaces import INSTEAD, from_scratch
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training import snapshot
from trainables.training.normalization import NORMALIZATIONS
from trainables.training.optimizer import make_schedule
from trainables.training.preprocessing import batches, evaluation_batch, preparation
from trainables.training.trainer import DivergedError, Trainer


def build(config: Mapping[str, Any]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(config["dropout"]),
        nn.Linear(8, config["num_classes"]),
    )


SPACE = from_scratch()
TINY = Family(name="tiny", build=build, search_space=SPACE, baseline=BASELINE, head="5.")


def make_trainer(
    data: LabeledImages, *, epochs: int = 3, seed: int = 1, accumulation: int = 1, **params: Any
) -> Trainer:
    return Trainer(
        TINY,
        {**BASELINE, "batch_size": 8, "learning_rate": 1e-2, **params},
        data,
        train=np.arange(40),
        validation=np.arange(40, 60),
        num_classes=3,
        weights=None,
        seed=seed,
        epochs=epochs,
        device="cpu",
        threads=1,
        accumulation=accumulation,
    )


def losses(trainer: Trainer, epochs: int) -> list[float | None]:
    return [trainer.train_epoch()["validation_loss"] for _ in range(epochs)]


@pytest.mark.parametrize("batch_size", [8, 7])
def test_batches_in_parts_train_the_same_network(
    made_up_images: LabeledImages, batch_size: int
) -> None:
    whole, parts = (
        make_trainer(made_up_images, accumulation=n, batch_size=batch_size, label_smoothing=0.1)
        for n in (1, 4)
    )
    for _ in range(3):
        one, other = whole.train_epoch(), parts.train_epoch()
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            assert other[name] == pytest.approx(one[name], rel=1e-4)


def test_no_part_of_a_batch_is_a_single_image(made_up_images: LabeledImages) -> None:
    trainer = make_trainer(made_up_images, accumulation=4)
    for size, parts in ((8, [2, 2, 2, 2]), (5, [3, 2]), (3, [3]), (1, [1])):
        images, labels = torch.zeros(size, 3, 8, 8), torch.zeros(size)
        assert [len(part) for part, _ in trainer._steps._parts(images, labels)] == parts


def test_it_learns(made_up_images: LabeledImages) -> None:
    trainer = make_trainer(made_up_images, epochs=15)
    rows = [trainer.train_epoch() for _ in range(15)]
    assert rows[-1]["validation_accuracy"] == 1.0
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 2


@pytest.mark.parametrize("augmentation", ["none", "flip", "flip_crop", "flip_crop_cutout"])
def test_the_same_seed_gives_the_same_curve_and_another_seed_another(
    made_up_images: LabeledImages, augmentation: str
) -> None:
    params = {"augmentation": augmentation, "dropout": 0.5}
    first = losses(make_trainer(made_up_images, **params), 3)
    assert losses(make_trainer(made_up_images, **params), 3) == first
    assert losses(make_trainer(made_up_images, seed=2, **params), 3) != first


def test_what_else_drew_random_numbers_does_not_matter(made_up_images: LabeledImages) -> None:
    first = losses(make_trainer(made_up_images, dropout=0.5), 2)
    trainer = make_trainer(made_up_images, dropout=0.5)
    torch.rand(100)
    assert losses(trainer, 2) == first


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_it_goes_on_from_a_state_as_if_nothing_had_happened(
    made_up_images: LabeledImages, optimizer: str
) -> None:
    params = {
        "optimizer": optimizer,
        "schedule": "cosine",
        "warmup_fraction": 0.2,
        "dropout": 0.5,
        "augmentation": "flip_crop_cutout",
        "label_smoothing": 0.1,
    }
    whole = losses(make_trainer(made_up_images, **params), 3)
    before = make_trainer(made_up_images, **params)
    losses(before, 1)
    after = make_trainer(made_up_images, **params)
    after.load_state(before.state())
    assert losses(after, 2) == whole[1:]


MODERN = {
    "optimizer": "sgd",
    "sgd_learning_rate": 0.05,
    "layer_decay": 0.7,
    "ema_decay": 0.999,
    "weight_decay": 1e-3,
    "weight_decay_on": "weights",
    "head_first_fraction": 0.5,
    "cutmix": 0.5,
}


def test_a_training_with_all_that_is_new_goes_on_in_its_middle_to_the_same_bits(
    made_up_images: LabeledImages,
) -> None:
    whole, before, after = (make_trainer(made_up_images, **MODERN) for _ in range(3))
    rows = losses(whole, 3)
    losses(before, 1)
    after.load_state(before.state())
    assert losses(after, 2) == rows[1:]
    assert after.state() == whole.state()
    assert after.weights() == whole.weights()


@pytest.mark.parametrize(
    "changed",
    [
        *({"optimizer": "sgd", "sgd_learning_rate": rate} for rate in (0.03, 0.3)),
        {"optimizer": "adamw", "adamw_weight_decay": 0.1},
        {"weight_decay": 1e-2, "weight_decay_on": "weights"},
        *({name: MODERN[name]} for name in ("layer_decay", "ema_decay", "cutmix")),
        {"head_first_fraction": 0.5},
    ],
    ids=str,
)
def test_each_dimension_shapes_the_training(
    made_up_images: LabeledImages, changed: dict[str, Any]
) -> None:
    same = {name: changed[name] for name in ("optimizer", "weight_decay") if name in changed}
    first = losses(make_trainer(made_up_images, **same), 1)
    assert losses(make_trainer(made_up_images, **changed), 1) != first


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_dimension_of_another_optimizer_shapes_nothing(
    made_up_images: LabeledImages, optimizer: str
) -> None:
    others = {name for name, (used_by, _) in INSTEAD.items() if used_by != optimizer}
    one, other = (
        make_trainer(made_up_images, optimizer=optimizer, **dict.fromkeys(others, value))
        for value in (0.01, 0.1)
    )
    assert losses(one, 2) == losses(other, 2)


def test_what_is_kept_and_tested_is_the_average_that_was_validated(
    made_up_images: LabeledImages,
) -> None:
    trainer = make_trainer(made_up_images, ema_decay=0.999)
    row = trainer.train_epoch()
    part = LabeledImages(images=made_up_images.images[40:], labels=made_up_images.labels[40:])
    assert trainer.evaluate(part).loss == pytest.approx(row["validation_loss"], rel=1e-12)
    plain = make_trainer(made_up_images)
    plain.load_weights(trainer.weights())
    assert plain.evaluate(part).loss == pytest.approx(row["validation_loss"], rel=1e-12)
    losses(trainer, 2)
    trainer.load_weights(plain.weights())  # as a final does with those of its best epoch
    assert trainer.evaluate(part).loss == pytest.approx(row["validation_loss"], rel=1e-12)


def test_while_the_head_trains_alone_the_body_stays_as_it_was(
    made_up_images: LabeledImages,
) -> None:
    trainer = make_trainer(made_up_images, optimizer="adamw", head_first_fraction=1 / 3)
    body = trainer._model[0].weight
    start, head = body.clone(), trainer._model[5].weight.clone()
    trainer.train_epoch()
    assert torch.equal(body, start)
    assert not torch.equal(trainer._model[5].weight, head)
    trainer.train_epoch()
    assert not torch.equal(body, start)


def test_a_snapshot_is_what_it_was_though_training_went_on(made_up_images: LabeledImages) -> None:
    trainer, again = make_trainer(made_up_images), make_trainer(made_up_images)
    for each in (trainer, again):
        each.train_epoch()
    taken = trainer.snapshot()
    trainer.train_epoch()
    assert b"".join(taken.chunks()) == again.state()


def test_it_goes_on_from_a_checkpoint_as_torch_wrote_them_before(
    made_up_images: LabeledImages,
) -> None:
    whole, before, after = (make_trainer(made_up_images) for _ in range(3))
    losses(before, 1)
    old = io.BytesIO()
    torch.save(snapshot.read(before.state()), old)
    after.load_state(old.getvalue())
    assert losses(after, 1) == losses(whole, 2)[1:]


def test_its_scores_equal_scikit_learns(made_up_images: LabeledImages) -> None:
    trainer = make_trainer(made_up_images)
    row = trainer.train_epoch()
    part = LabeledImages(images=made_up_images.images[40:], labels=made_up_images.labels[40:])
    found = trainer.evaluate(part)
    predicted = found.probabilities.argmax(axis=1)
    macro = {"average": "macro", "zero_division": 0}
    assert row["validation_accuracy"] == accuracy_score(part.labels, predicted)
    assert row["validation_precision"] == pytest.approx(
        precision_score(part.labels, predicted, **macro)
    )
    assert row["validation_recall"] == pytest.approx(recall_score(part.labels, predicted, **macro))
    assert row["validation_loss"] == pytest.approx(
        log_loss(part.labels, found.probabilities, labels=range(3)), abs=1e-5
    )


def test_label_smoothing_shapes_the_gradient_as_torch_does_and_not_the_reported_loss(
    made_up_images: LabeledImages,
) -> None:
    trainer = make_trainer(made_up_images, label_smoothing=0.2, batch_size=40, learning_rate=1e-5)
    images, labels = trainer._steps._images[:40], trainer._steps._labels[:40]
    with torch.no_grad():
        logits = trainer._model.eval()(trainer._steps._prepare(images))
    hard = float(nn.functional.cross_entropy(logits, labels))
    log_probabilities = logits.log_softmax(1)
    own = 0.8 * nn.functional.nll_loss(log_probabilities, labels) - 0.2 * log_probabilities.mean()
    assert float(own) == pytest.approx(
        float(nn.functional.cross_entropy(logits, labels, label_smoothing=0.2))
    )
    assert trainer.train_epoch()["train_loss"] == pytest.approx(hard, abs=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_epoch_without_a_row(
    made_up_images: LabeledImages, value: float
) -> None:
    trainer = make_trainer(made_up_images)
    trainer.train_epoch()
    with torch.no_grad():
        trainer._model[0].weight.fill_(value)
    with pytest.raises(DivergedError, match=r"training loss must be finite, but is .* in epoch 2"):
        trainer.train_epoch()
    assert trainer.epoch == 1


def test_read_only_data_are_used_in_place_and_without_a_warning(
    made_up_images: LabeledImages,
) -> None:
    made_up_images.images.flags.writeable = False
    trainer = make_trainer(made_up_images)
    assert trainer._steps._images.data_ptr() == made_up_images.images.ctypes.data


def test_a_gpu_that_is_not_there_is_an_error_and_not_a_cpu(made_up_images: LabeledImages) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises((RuntimeError, AssertionError)):
        Trainer(
            TINY,
            BASELINE,
            made_up_images,
            train=np.arange(40),
            validation=np.arange(40, 60),
            num_classes=3,
            weights=None,
            seed=1,
            epochs=1,
            device="cuda",
            threads=1,
        )


@pytest.mark.parametrize(
    ("images", "batch", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (8, 4, [4, 4]), (1, 4, [1]), (3, 4, [3])],
)
def test_an_image_left_alone_joins_the_batch_before_it(
    images: int, batch: int, sizes: list[int]
) -> None:
    assert [part.stop - part.start for part in batches(images, batch)] == sizes


def test_the_rate_rises_in_the_warm_up_and_falls_as_a_cosine() -> None:
    factor = make_schedule({"schedule": "cosine", "warmup_fraction": 0.2}, steps=10)
    rates = [factor(step) for step in range(10)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert factor(10) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_images_are_normalised_to_the_last_bit(normalization: str) -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(2, 16, 16, 3)
    prepare = preparation(normalization, edge=16, size=16, device=torch.device("cpu"))
    mean, deviation = (255 * torch.tensor(part) for part in NORMALIZATIONS[normalization])
    assert torch.equal(prepare(values).permute(0, 2, 3, 1), (values.float() - mean) / deviation)
    assert prepare(values).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("size", "images"), [(32, 500), (128, 500), (224, 167), (9999, 1)])
def test_large_images_are_evaluated_fewer_at_a_time(size: int, images: int) -> None:
    assert evaluation_batch(size) == images
