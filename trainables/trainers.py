"""What an attempt needs of a trainer, and how a family's is made."""

import importlib
from typing import Any, Final, Protocol

from trainables.attempt_config import AttemptConfig
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.shared_data import SharedData

# Columns of `final.parquet` and what a trainer calls them.
COUNTS: Final = ("parameters", "trained_parameters")
SIZES: Final = (*COUNTS, "forward_flops_per_image")


class TestEvaluation(Protocol):
    """What a trainer says about the test part."""

    probabilities: Any
    labels: Any

    def test_metrics(self) -> dict[str, float]:
        """The `test_*` columns of `final.parquet`."""


class Trainer(Protocol):
    """What an attempt needs of a trainer; `trainables.training.Trainer` is the real one."""

    epoch: int

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""

    @property
    def trained_parameters(self) -> int:
        """How many of them are trained."""

    @property
    def forward_flops_per_image(self) -> int | None:
        """Floating point operations of one image's way forward; None where nobody can count."""

    def train_epoch(self) -> dict[str, Any]:
        """Trains for one epoch and validates; the epoch's columns."""

    def evaluate(self, data: LabeledImages) -> TestEvaluation:
        """Evaluates on other images."""

    def state(self) -> bytes:
        """Everything that training goes on from."""

    def load_state(self, state: bytes) -> None:
        """Goes on from a state."""

    def weights(self) -> bytes:
        """The network's weights."""

    def load_weights(self, weights: bytes) -> None:
        """Takes over weights."""


def trainer_class(family: Family) -> Any:
    """What makes a family's trainer.

    Raises:
        ValueError: It cannot be imported.
    """
    module, _, name = family.trainer.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"the trainer of {family.name} must be MODULE:CLASS that can be imported, but is "
            f"{family.trainer}: {error}"
        ) from error


def make_trainer(
    family: Family, config: AttemptConfig, shared: SharedData, image_memory: int | None = None
) -> Trainer:
    """The family's trainer for one attempt.

    Args:
        family: The trial's.
        config: What to train.
        shared: What it is trained on.
        image_memory: Bytes that images may take on its device; None: all that they need.
    """
    trainer: Trainer = trainer_class(family)(
        family,
        config.params,
        shared.training,
        train=shared.train[config.train_fraction],
        validation=shared.validation,
        num_classes=len(shared.classes),
        weights=shared.weights[family.name] if family.pretrained else None,
        seed=config.seed,
        epochs=config.epochs,
        device=config.device,
        threads=config.threads,
        accumulation=config.accumulation,
        precision=config.precision,
        reproducible=config.reproducible,
        image_memory=image_memory,
    )
    return trainer
