"""CUDA itself: replayed graphs give what operators issued one by one give, and real faults."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from test_plain_training import CONFIGURATIONS, FAMILY, Network, reading, row_of
from torch import Tensor, nn

from search_spaces.baseline import BASELINE
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.registry import load_family
from trainables.training import preprocessing
from trainables.training.graphs import Eager
from trainables.training.trainer import Trainer
from trainables.trial_error import described

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
EPOCHS = 3
NETWORKS = ("cnn", "resnet50_scratch")


@pytest.fixture(scope="module")
def images() -> LabeledImages:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)
    return LabeledImages(images=pixels, labels=random.integers(0, 3, 400))


def trainer_of(
    family: Family, data: LabeledImages, *, eager: bool = False, **given: Any
) -> Trainer:
    options = {"accumulation": 1, "precision": None, "reproducible": True, "image_memory": None}
    options = {name: given.pop(name, value) for name, value in options.items()}
    held = len(data) // 4
    trainer = Trainer(
        family,
        {**family.baseline, "batch_size": 8, **given},
        data,
        train=np.arange(held, len(data)),
        validation=np.arange(held),
        num_classes=3,
        weights=None,
        seed=1,
        epochs=EPOCHS,
        device="cuda",
        threads=1,
        **options,
    )
    if eager:
        trainer._issue = Eager(trainer._generators)
    return trainer


def rows_and_weights(trainer: Trainer, epochs: int = EPOCHS) -> tuple[list[Any], dict[str, Tensor]]:
    rows = [row_of(trainer) for _ in range(epochs)]
    return rows, {name: t.cpu() for name, t in trainer._model.state_dict().items()}


def assert_same(one: tuple[list[Any], dict[str, Tensor]], two: tuple[list[Any], Any]) -> None:
    assert one[0] == two[0]
    differing = [name for name, value in one[1].items() if not torch.equal(value, two[1][name])]
    assert differing == []


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_graphs_give_the_rows_and_weights_of_single_operators(
    made_up_images: LabeledImages, name: str
) -> None:
    given = {**BASELINE, "learning_rate": 1e-2, **CONFIGURATIONS[name]}
    graphs = trainer_of(FAMILY, made_up_images, **given)
    eager = trainer_of(FAMILY, made_up_images, eager=True, **given)
    assert_same(rows_and_weights(graphs), rows_and_weights(eager))
    ragged = graphs._steps.full < graphs._steps.count
    assert len(graphs._issue._graphs) == 2 + ragged


@pytest.mark.parametrize("precision", ["tf32", "fp32", "bf16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_so_they_do_for_the_familys_networks_in_each_precision(
    images: LabeledImages, name: str, precision: str
) -> None:
    given = {"batch_size": 64, "precision": precision, "augmentation": "flip_crop_cutout"}
    family = load_family(name)
    graphs = trainer_of(family, images, **given)
    eager = trainer_of(family, images, eager=True, **given)
    assert_same(rows_and_weights(graphs), rows_and_weights(eager))


def test_a_trial_is_the_same_after_another_in_its_process(images: LabeledImages) -> None:
    family, given = load_family("cnn"), {"batch_size": 64, "dropout": 0.5}
    first = rows_and_weights(trainer_of(family, images, **given))
    rows_and_weights(trainer_of(load_family("resnet50_scratch"), images, batch_size=32), 1)
    assert_same(rows_and_weights(trainer_of(family, images, **given)), first)


def test_graphs_go_on_from_a_state_taken_while_they_went_on(images: LabeledImages) -> None:
    family, given = load_family("resnet50_scratch"), {"batch_size": 64, "augmentation": "flip_crop"}
    whole = trainer_of(family, images, **given)
    rows = [row_of(whole)]
    taken = whole.snapshot()
    rows += [row_of(whole), row_of(whole)]
    later = trainer_of(family, images, **given)
    later.load_state(b"".join(taken.chunks()))
    assert_same(rows_and_weights(later, 2), (rows[1:], rows_and_weights(whole, 0)[1]))
    whole.load_state(b"".join(taken.chunks()))
    assert_same(rows_and_weights(whole, 2), (rows[1:], rows_and_weights(later, 0)[1]))


def test_what_cuda_cannot_capture_is_issued_eagerly_and_says_why(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = trainer_of(FAMILY, made_up_images, eager=True, **CONFIGURATIONS["everything random"])
    rows = rows_and_weights(eager)
    monkeypatch.setattr(Network, "forward", reading)
    trainer = trainer_of(FAMILY, made_up_images, **CONFIGURATIONS["everything random"])
    first = row_of(trainer)
    assert "captur" in first.pop("graph_fell_back")
    assert_same(([first, row_of(trainer), row_of(trainer)], rows_and_weights(trainer, 0)[1]), rows)


def test_where_validation_alone_cannot_be_captured_the_steps_go_on_as_they_were(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(network: Network, given: Tensor) -> Tensor:
        return (nn.Sequential.forward if network.training else reading)(network, given)

    eager = trainer_of(FAMILY, made_up_images, eager=True, **CONFIGURATIONS["everything random"])
    rows = rows_and_weights(eager)
    monkeypatch.setattr(Network, "forward", forward)
    trainer = trainer_of(FAMILY, made_up_images, **CONFIGURATIONS["everything random"])
    first = row_of(trainer)
    assert first.pop("graph_fell_back").startswith("validation: ")
    assert_same(([first, row_of(trainer), row_of(trainer)], rows_and_weights(trainer, 0)[1]), rows)


@pytest.mark.parametrize("name", ["baseline", "everything random", "a tail of one", "parts"])
def test_images_that_are_fed_give_the_rows_and_weights_of_those_that_are_all_there(
    images: LabeledImages, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocessing, "EVALUATION_BATCH", 32)
    given, limit = CONFIGURATIONS[name], 64 * images.images[0].nbytes
    fed = trainer_of(FAMILY, images, image_memory=limit, **given)
    rows, weights = rows_and_weights(fed)
    assert rows[0].pop("images_fed")
    assert_same((rows, weights), rows_and_weights(trainer_of(FAMILY, images, **given)))
    whole = trainer_of(FAMILY, images, **given)
    whole.load_state(fed.state())
    found, expected = fed.evaluate(images), whole.evaluate(images)
    assert np.array_equal(found.probabilities, expected.probabilities)
    assert "whole batch" in fed._issue._graphs


@pytest.fixture
def small_share() -> Iterator[None]:
    """1 GiB of the device for this process."""
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((1 << 30) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("small_share")
def test_a_device_that_is_full_is_told_as_that_and_another_trial_can_go_on(
    images: LabeledImages,
) -> None:
    family = load_family("resnet50_scratch")
    with pytest.raises(torch.OutOfMemoryError) as caught:
        trainer_of(family, images, batch_size=128, input_size=96).train_epoch()
    assert described(caught.value).kind == "out_of_memory"
    del caught
    gc.collect()
    torch.cuda.empty_cache()  # what the other had kept: in a study its process ends
    assert trainer_of(load_family("cnn"), images, batch_size=64).train_epoch()["epoch"] == 1
