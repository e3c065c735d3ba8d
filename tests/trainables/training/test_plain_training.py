"""The trainer gives, bit for bit, the rows and the weights of a plain loop; and so do graphs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from plain_training import PlainTraining
from recorded_graphs import cuda_of
from torch import Tensor, nn

from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.graphs import Graphs
from trainables.training.trainer import Trainer

CLASSES, EPOCHS = 3, 3
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "everything random": {"augmentation": "flip_crop_cutout", "dropout": 0.5, "batch_size": 7},
    "smoothing": {"label_smoothing": 0.1, "weight_decay": 1e-3},
    "adamw": {"optimizer": "adamw", "weight_decay": 1e-2, "augmentation": "flip"},
    "sgd": {"optimizer": "sgd", "weight_decay": 1e-4, "augmentation": "flip_crop"},
    "a schedule": {"schedule": "cosine", "warmup_fraction": 0.2, "learning_rate": 3.3e-3},
    "sgd with a schedule": {"optimizer": "sgd", "schedule": "cosine", "warmup_fraction": 0.1},
    "weights of classes": {"class_weights": "balanced", "label_smoothing": 0.1},
    "mixed": {"mixup": 0.6, "accumulation": 2, "augmentation": "flip_crop_rotate_color"},
    "mixed with weights": {"mixup": 1.0, "class_weights": "balanced"},
    "cut": {"cutmix": 0.7, "augmentation": "flip", "label_smoothing": 0.1},
    "mixed or cut": {"mixup": 0.4, "cutmix": 0.6, "class_weights": "balanced"},
    "a rate of sgd's own": {"optimizer": "sgd", "sgd_learning_rate": 0.1},
    "a decay of adamw's own": {"optimizer": "adamw", "adamw_weight_decay": 0.3},
    "weights alone decay": {
        "optimizer": "adamw",
        "adamw_weight_decay": 0.3,
        "weight_decay_on": "weights",
    },
    "a decay of layers": {"layer_decay": 0.6, "head_learning_rate_multiplier": 3.0},
    "the head first": {"head_first_fraction": 0.4, "weight_decay": 1e-3, "ema_decay": 0.5},
    "an average": {"ema_decay": 0.999, "dropout": 0.5, "batch_size": 7},
    "an average of sgd": {"ema_decay": 0.9, "optimizer": "sgd", "frozen": True},
    "all at once": {
        "layer_decay": 0.8,
        "ema_decay": 0.99,
        "weight_decay_on": "weights",
        "weight_decay": 1e-2,
        "head_first_fraction": 0.2,
        "mixup": 0.3,
        "cutmix": 0.3,
        "schedule": "cosine",
    },
    "parts": {"accumulation": 4, "dropout": 0.5, "label_smoothing": 0.1},
    "a ragged tail": {"batch_size": 16},
    "a tail of one": {"batch_size": 13},
    "one batch": {"batch_size": 64},
    "enlarged": {"input_size": 24, "normalization": "imagenet"},
    "a head of its own": {"head_learning_rate_multiplier": 10.0, "frozen": True},
}
TIMES = {"epoch", "epoch_seconds", "images_per_second", "device_memory_peak_bytes"}


class Network(nn.Sequential):
    """Two convolutions, batch norm, dropout, and a head whose name begins with `fc.`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(config["dropout"]),
        )
        self.add_module("fc", nn.Sequential(nn.Linear(8, 8), nn.Linear(8, config["num_classes"])))
        if config.get("frozen"):
            self[0].requires_grad_(requires_grad=False)
            self[1].requires_grad_(requires_grad=False)


FAMILY = Family(name="tiny", build=Network, search_space=from_scratch(), baseline=BASELINE)


def both(data: LabeledImages, **given: Any) -> tuple[Trainer, PlainTraining]:
    accumulation = given.pop("accumulation", 1)
    computing = {name: given.pop(name) for name in ("precision", "reproducible") if name in given}
    params = {**BASELINE, "batch_size": 8, "learning_rate": 1e-2, **given}
    shared = {"train": np.arange(40), "validation": np.arange(40, 60), "num_classes": CLASSES}
    shared |= {"seed": 1, "epochs": EPOCHS, "accumulation": accumulation}
    here = {"weights": None, "device": "cpu", "threads": 1, **computing}
    trainer = Trainer(FAMILY, params, data, **here, **shared)
    return trainer, PlainTraining(build=Network, params=params, data=data, **shared)


def with_graphs(trainer: Trainer) -> list[Any]:
    """Has a trainer issue its work as graphs, by a stand-in for CUDA; all that it captures."""
    cuda = cuda_of(trainer._generators, trainer._steps.tensors)
    trainer._issue = Graphs(trainer._generators, trainer._steps.tensors, cuda=cuda)
    return cuda.graphs


def row_of(trainer: Trainer) -> dict[str, Any]:
    return {name: value for name, value in trainer.train_epoch().items() if name not in TIMES}


def same_weights(trainer: Trainer, plain: PlainTraining) -> bool:
    ours, theirs = trainer._model.state_dict(), plain.model.state_dict()
    kept = safetensors.torch.load(trainer.weights())
    tested = plain.validated.state_dict()
    return all(
        torch.equal(ours[name], theirs[name]) and torch.equal(kept[name], tested[name])
        for name in theirs
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rows_and_weights_are_those_of_a_plain_loop(
    made_up_images: LabeledImages, name: str
) -> None:
    trainer, plain = both(made_up_images, **CONFIGURATIONS[name])
    for epoch in range(1, EPOCHS + 1):
        assert row_of(trainer) == plain.epoch(epoch)
        assert same_weights(trainer, plain)


@pytest.mark.parametrize("name", ["everything random", "sgd with a schedule", "a head of its own"])
def test_it_goes_on_from_a_checkpoint_of_torchs_own_optimizers(
    made_up_images: LabeledImages, name: str, tmp_path: Any
) -> None:
    trainer, plain = both(made_up_images, **CONFIGURATIONS[name])
    plain.epoch(1)
    stored = {"epoch": 1, "seed": 1, "schedule": {"last_epoch": plain.step}}
    stored |= {"model": plain.model.state_dict(), "optimizer": plain.optimizer.state_dict()}
    torch.save(stored, tmp_path / "state.pt")  # as the version before wrote it
    trainer.load_state((tmp_path / "state.pt").read_bytes())
    for epoch in range(2, EPOCHS + 1):
        assert row_of(trainer) == plain.epoch(epoch)
        assert same_weights(trainer, plain)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_graphs_give_the_same_rows_and_weights(made_up_images: LabeledImages, name: str) -> None:
    trainer, plain = both(made_up_images, **CONFIGURATIONS[name])
    graphs = with_graphs(trainer)
    for epoch in range(1, EPOCHS + 1):
        assert row_of(trainer) == plain.epoch(epoch)
        assert same_weights(trainer, plain)
    ragged = len(set(map(len, plain._batches(plain.train)))) - 1
    assert len(graphs) == 2 + ragged


def test_graphs_go_on_from_a_state_that_is_loaded_under_them(
    made_up_images: LabeledImages,
) -> None:
    trainer, plain = both(made_up_images, **CONFIGURATIONS["everything random"])
    graphs = with_graphs(trainer)
    rows = [plain.epoch(number) for number in (1, 2)]
    assert row_of(trainer) == rows[0]
    state = trainer.state()
    for _ in range(2):
        assert row_of(trainer) == rows[1]
        trainer.load_state(state)
    assert len(graphs) == 3


def test_an_epoch_may_be_issued_a_few_steps_at_a_time(made_up_images: LabeledImages) -> None:
    trainer, plain = both(made_up_images, **CONFIGURATIONS["everything random"])
    other, _ = both(made_up_images, **CONFIGURATIONS["sgd"])
    trainer.begin_epoch()
    other.begin_epoch()
    while trainer.advance(2):
        other.advance(1)  # what it draws is its own
    assert trainer.end_epoch()["train_loss"] == plain.epoch(1)["train_loss"]
    assert same_weights(trainer, plain)


def normalized_twice(network: Network, images: Tensor) -> Tensor:
    """Calls its norm twice."""
    first, norm, *others = network
    return nn.Sequential(*others)(norm(norm(first(images))))


@pytest.mark.parametrize("momentum", [0.1, 0.0, None])
def test_a_norm_counts_its_batches_as_in_a_plain_loop_however_it_counts(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch, momentum: float | None
) -> None:
    monkeypatch.setattr(Network, "forward", normalized_twice)
    trainer, plain = both(made_up_images, accumulation=2)
    for network in (trainer._model, plain.model):
        network[1].momentum = momentum
    assert row_of(trainer) == plain.epoch(1)
    assert same_weights(trainer, plain)
    assert plain.model[1].num_batches_tracked == 2 * 2 * 5  # twice each part of five batches


def reading(network: Network, images: Tensor) -> Tensor:
    """Reads a value of its activations, which no graph can."""
    assert images.mean().item() >= 0
    return nn.Sequential.forward(network, images)


def test_what_cannot_be_captured_is_issued_eagerly_and_says_why(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Network, "forward", reading)
    trainer, plain = both(made_up_images, **CONFIGURATIONS["everything random"])
    with_graphs(trainer)
    row = trainer.train_epoch()
    assert row["graph_fell_back"] == (
        "whole batch: RuntimeError: operation not permitted when stream is capturing"
    )
    assert row["train_loss"] == plain.epoch(1)["train_loss"]
    assert row_of(trainer) == plain.epoch(2)  # and says it once
    assert same_weights(trainer, plain)


def test_where_validation_alone_cannot_be_captured_the_steps_go_on_as_they_were(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(network: Network, images: Tensor) -> Tensor:
        of = nn.Sequential.forward if network.training else reading
        return of(network, images)

    trainer, plain = both(made_up_images, **CONFIGURATIONS["everything random"])
    monkeypatch.setattr(Network, "forward", forward)
    with_graphs(trainer)
    assert trainer.train_epoch()["graph_fell_back"].startswith("validation: ")
    plain.epoch(1)
    assert row_of(trainer) == plain.epoch(2)


def test_a_device_that_is_full_is_not_a_graph_that_cannot_be_captured(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, _ = both(made_up_images)
    graphs = with_graphs(trainer)

    def forward(network: Network, images: Tensor) -> Tensor:
        if graphs:
            message = "CUDA out of memory. Tried to allocate 2 GiB."
            raise torch.OutOfMemoryError(message)
        return nn.Sequential.forward(network, images)

    monkeypatch.setattr(Network, "forward", forward)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.train_epoch()
