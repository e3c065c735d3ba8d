"""Images that do not fit the device are fed in parts: bit for bit the same numbers."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from plain_training import PlainTraining
from slow_device import SlowDevice
from test_plain_training import (
    CLASSES,
    CONFIGURATIONS,
    EPOCHS,
    FAMILY,
    Network,
    row_of,
    with_graphs,
)
from torch import Tensor

from search_spaces.baseline import BASELINE
from trainables.data.dataset import LabeledImages
from trainables.training import preprocessing
from trainables.training.feed import Feed
from trainables.training.trainer import Trainer

IMAGE = 16 * 16 * 3
SIX = 6 * IMAGE
"""Parts of as many images as fit twice into this, or as are read at a time."""
DEVICE = torch.device("cpu")


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches of validation images, so that they take several parts."""
    monkeypatch.setattr(preprocessing, "EVALUATION_BATCH", 8)


def trainer_of(data: LabeledImages, *, image_memory: int | None = SIX, **given: Any) -> Trainer:
    accumulation, train = given.pop("accumulation", 1), given.pop("train", 40)
    return Trainer(
        FAMILY,
        {**BASELINE, "batch_size": 8, "learning_rate": 1e-2, **given},
        data,
        train=np.arange(train),
        validation=np.arange(40, 60),
        num_classes=CLASSES,
        weights=None,
        seed=1,
        epochs=EPOCHS,
        device="cpu",
        threads=1,
        accumulation=accumulation,
        image_memory=image_memory,
    )


def rows_of(trainer: Trainer, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    rows = [row_of(trainer) for _ in range(epochs)]
    rows[0].pop("images_fed", None)
    return rows


def assert_same(one: Trainer, other: Trainer) -> None:
    ours, theirs = (each._model.state_dict() for each in (one, other))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rows_and_weights_are_those_of_images_that_are_all_there(
    made_up_images: LabeledImages, name: str, *, graphs: bool
) -> None:
    whole = trainer_of(made_up_images, image_memory=None, **CONFIGURATIONS[name])
    parts = trainer_of(made_up_images, **CONFIGURATIONS[name])
    assert len(parts._steps._images) < 40 or CONFIGURATIONS[name].get("batch_size", 0) > 20
    captured = with_graphs(parts) if graphs else []
    assert rows_of(parts) == rows_of(whole)
    assert_same(parts, whole)
    ragged = whole._steps.count - whole._steps.full
    assert len(captured) == (1 + ragged if graphs else 0)  # validation is issued as it comes


@pytest.mark.parametrize("images", [0, 1, 2, 3, 7, 20, 59])
@pytest.mark.parametrize("batch_size", [1, 3, 8, 13, 39, 40])
def test_so_they_are_whatever_the_size_of_a_part(
    made_up_images: LabeledImages, images: int, batch_size: int
) -> None:
    given = {"batch_size": batch_size, "augmentation": "flip_crop"}
    whole = trainer_of(made_up_images, image_memory=None, **given)
    parts = trainer_of(made_up_images, image_memory=images * IMAGE, **given)
    assert rows_of(parts, 2) == rows_of(whole, 2)
    assert_same(parts, whole)


@pytest.mark.parametrize("train", [1, 7, 8, 9, 17, 33])
def test_so_they_are_whatever_is_left_for_the_last_step(
    made_up_images: LabeledImages, train: int
) -> None:
    whole = trainer_of(made_up_images, image_memory=None, train=train)
    parts = trainer_of(made_up_images, train=train)
    assert rows_of(parts, 2) == rows_of(whole, 2)
    assert_same(parts, whole)


def test_they_are_those_of_a_plain_loop(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocessing, "EVALUATION_BATCH", 500)
    given = {**BASELINE, "batch_size": 8, "learning_rate": 1e-2, "augmentation": "flip_crop"}
    plain = PlainTraining(
        build=Network,
        params=given,
        data=made_up_images,
        train=np.arange(40),
        validation=np.arange(40, 60),
        num_classes=CLASSES,
        seed=1,
        epochs=EPOCHS,
    )
    assert rows_of(trainer_of(made_up_images, **given)) == [plain.epoch(n + 1) for n in range(3)]


def test_training_goes_on_from_a_checkpoint_of_images_that_were_all_there(
    made_up_images: LabeledImages,
) -> None:
    given = CONFIGURATIONS["everything random"]
    whole = trainer_of(made_up_images, image_memory=None, **given)
    rows_of(whole, 1)
    parts, back = trainer_of(made_up_images, **given), trainer_of(made_up_images, **given)
    parts.load_state(whole.state())
    rows = rows_of(whole, 2)
    assert rows_of(parts, 2) == rows
    back.load_state(parts.state())
    assert_same(back, whole)


def test_an_epoch_that_was_left_in_the_middle_begins_anew(made_up_images: LabeledImages) -> None:
    parts, whole = trainer_of(made_up_images), trainer_of(made_up_images, image_memory=None)
    state = parts.state()
    parts.begin_epoch()
    parts.advance(3)
    parts.load_state(state)
    assert rows_of(parts) == rows_of(whole)
    assert_same(parts, whole)


@pytest.mark.parametrize("limit", [SIX, 60 * IMAGE])
def test_other_images_are_fed_too_where_they_do_not_fit_beside_the_first(
    made_up_images: LabeledImages, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = LabeledImages(images=made_up_images.images[::-1].copy(), labels=made_up_images.labels)
    whole = trainer_of(made_up_images, image_memory=None)
    parts = trainer_of(made_up_images, image_memory=limit)
    fed, real = [], Feed.batches
    monkeypatch.setattr(Feed, "batches", lambda *given: fed.append(1) or real(*given))
    for each in (whole, parts):
        each.train_epoch()
    fed.clear()
    found, expected = parts.evaluate(test), whole.evaluate(test)
    assert len(fed) == 1
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert (found.loss, found.scores) == (expected.loss, expected.scores)
    assert rows_of(parts, 1) == rows_of(whole, 1)


def test_mapped_images_are_read_as_they_are(made_up_images: LabeledImages, tmp_path: Any) -> None:
    made_up_images.images.tofile(tmp_path / "images")
    shape = made_up_images.images.shape
    mapped = np.memmap(tmp_path / "images", dtype=np.uint8, mode="r", shape=shape)
    parts = trainer_of(LabeledImages(images=mapped, labels=made_up_images.labels))
    assert rows_of(parts) == rows_of(trainer_of(made_up_images, image_memory=None))


def test_what_fits_is_not_fed_and_what_does_not_says_so_once(made_up_images: LabeledImages) -> None:
    fits = trainer_of(made_up_images, image_memory=60 * IMAGE)
    assert fits._feed is None
    assert fits._steps._images.data_ptr() == made_up_images.images.ctypes.data
    parts = trainer_of(made_up_images, image_memory=60 * IMAGE - 1)
    said = parts.train_epoch()["images_fed"]
    assert said.endswith("images stay on the host and are fed in parts of 0.0223 MB")
    assert "images_fed" not in parts.train_epoch()


@pytest.mark.parametrize("copies_first", [False, True])
def test_nothing_is_read_before_it_is_there_or_overwritten_before_it_is_read(
    *, copies_first: bool
) -> None:
    random = np.random.default_rng(0)
    device = SlowDevice(copies_first=copies_first)
    feed = Feed((2, 2, 3), 6, DEVICE, module=device)
    seen, expected = list[Tensor](), []
    for images, step in ((40, 3), (41, 2), (5, 6), (33, 5)):
        pixels = random.integers(0, 256, (100, 2, 2, 3), dtype=np.uint8)
        order, turns = random.permutation(100)[:images], feed.turns(images, step)
        feed.begin(pixels, order, step)
        for start, end in itertools.pairwise([*range(0, images, step), images]):
            feed.reach(end)
            device.main.ask(lambda at=turns[start:end]: seen.append(feed.rows[at].clone()))
        expected.append(pixels[order])
    device.finish()
    assert np.array_equal(torch.cat(seen).numpy(), np.concatenate(expected))
