"""The trainer gives, bit for bit, the rows and the weights of a plain loop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from plain_training import PlainTraining
from torch import nn

from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.data.dataset import LabeledImages
from trainables.family import Family
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
    "parts": {"accumulation": 4, "dropout": 0.5, "label_smoothing": 0.1},
    "a ragged tail": {"batch_size": 16},
    "a tail of one": {"batch_size": 13},
    "one batch": {"batch_size": 64},
    "enlarged": {"input_size": 24, "normalization": "imagenet"},
    "a head of its own": {"head_learning_rate_multiplier": 10.0, "frozen": True},
}
TIMES = {"epoch", "epoch_seconds", "images_per_second", "device_memory_peak_bytes"}


class Network(nn.Sequential):
    """Convolution, batch norm, dropout, and a head whose name begins with `fc.`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
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
    params = {**BASELINE, "batch_size": 8, "learning_rate": 1e-2, **given}
    shared = {"train": np.arange(40), "validation": np.arange(40, 60), "num_classes": CLASSES}
    shared |= {"seed": 1, "epochs": EPOCHS, "accumulation": accumulation}
    trainer = Trainer(FAMILY, params, data, weights=None, device="cpu", threads=1, **shared)
    return trainer, PlainTraining(build=Network, params=params, data=data, **shared)


def row_of(trainer: Trainer) -> dict[str, Any]:
    return {name: value for name, value in trainer.train_epoch().items() if name not in TIMES}


def same_weights(trainer: Trainer, plain: PlainTraining) -> bool:
    ours, theirs = trainer._model.state_dict(), plain.model.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


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
