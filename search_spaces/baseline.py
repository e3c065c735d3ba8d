"""The baseline around which every family is searched, with its source."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

Params = Mapping[str, Any]
"""Hyperparameters by their names."""
# The reference study's settings: Adam, learning rate 1e-4, batch 64, 50 epochs, a constant rate,
# no augmentation, cross-entropy on one-hot targets, images in [0, 1] without mean or deviation.
BASELINE: Final[Params] = MappingProxyType(
    {
        "learning_rate": 1e-4,
        "batch_size": 64,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_fraction": 0.0,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "augmentation": "none",
        # Adam uses neither: they stand for the point of their dimensions.
        "sgd_learning_rate": 1e-2,
        "adamw_weight_decay": 1e-2,
        "ema_decay": 0.0,
    }
)
BASELINE_EPOCHS: Final = 50
