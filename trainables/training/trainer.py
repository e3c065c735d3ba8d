"""Trains one network: one process, one path for CPU and GPU, data on the device, no Ray."""

import io
import math
import pickle
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.allocator import keep_freed_memory
from trainables.training.augmentation import STRENGTHS
from trainables.training.metrics import Scores, micro_at_half, scores
from trainables.training.model_size import forward_flops, parameter_counts
from trainables.training.normalization import PLAIN_INPUT
from trainables.training.optimizer import Optimizer, make_schedule
from trainables.training.preprocessing import batches, evaluation_batch, preparation, to_device
from trainables.training.seeding import derive_seed
from trainables.weights.loading import Weights


class DivergedError(ArithmeticError):
    """The loss is not finite; the epoch in which it happened gives no row."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network says about images it was not trained on.

    Attributes:
        loss: Mean cross-entropy against hard targets, in nats.
        scores: Accuracy, macro precision and macro recall.
        probabilities: float32, shape [images, classes].
        labels: Shape [images].
    """

    loss: float
    scores: Scores
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def test_metrics(self) -> dict[str, float]:
        """The `test_*` columns of `final.parquet`."""
        precision, recall = micro_at_half(self.probabilities, self.labels)
        return {
            "test_loss": self.loss,
            "test_accuracy": self.scores.accuracy,
            "test_precision": self.scores.precision,
            "test_recall": self.scores.recall,
            "test_precision_micro_at_half": precision,
            "test_recall_micro_at_half": recall,
        }


class Trainer:
    """A network in training, its data on the device.

    All random numbers depend on the trial's seed and the epoch only, so the seed and the epoch are
    the random state: nothing else of it need be kept in a checkpoint.
    """

    def __init__(
        self,
        family: Family,
        params: Mapping[str, Any],
        data: LabeledImages,
        *,
        train: npt.NDArray[np.int64],
        validation: npt.NDArray[np.int64],
        num_classes: int,
        weights: Weights | None,
        seed: int,
        epochs: int,
        device: str,
        threads: int,
        accumulation: int = 1,
    ) -> None:
        """Builds the network and puts the data on the device.

        Args:
            family: Builds the network.
            params: One value for each dimension of the family's space.
            data: Training part: images uint8 [n, height, width, 3]; on a CPU they are not copied.
            train: Indices of the images to train on, shape [n_train].
            validation: Indices of the images to validate on, shape [n_validation].
            num_classes: Number of classes.
            weights: Of pre-trained families, otherwise None.
            seed: The trial's.
            epochs: The whole training, which schedules reach to.
            device: `cpu` or `cuda`.
            threads: CPU threads; more than the trial's CPUs make it several times slower.
            accumulation: Parts that each batch is cut into to need less memory; their gradients
                are added up. Batch norm then sees the parts, and dropout is drawn for each.

        Raises:
            RuntimeError: The device is `cuda` and there is none.
        """
        keep_freed_memory()
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._params = {**PLAIN_INPUT, **params}
        self._seed, self._epochs, self._classes = seed, epochs, num_classes
        self._accumulation = accumulation
        self._images = to_device(data.images, self._device)
        self._labels = to_device(data.labels, self._device)
        self._train = torch.tensor(train, device=self._device)
        self._validation = torch.tensor(validation, device=self._device)
        edge = data.images.shape[1]
        size = self._params["input_size"] or edge
        self._size = size
        self._prepare = preparation(
            self._params["normalization"], edge=edge, size=size, device=self._device
        )
        self._augment = STRENGTHS[self._params["augmentation"]]
        torch.manual_seed(derive_seed(seed, "weights"))
        config = {**params, "num_classes": num_classes, "input_size": size, "weights": weights}
        self._model = family.build(config).to(self._device)
        self._model = self._model.to(memory_format=torch.channels_last)
        self._optimizer = Optimizer(self._model, self._params, head=family.head)
        steps = len(batches(len(train), self._params["batch_size"]))
        self._factor = make_schedule(self._params, steps=steps * epochs)
        self.epoch = 0

    @property
    def parameters(self) -> int:
        """How many parameters the network has, frozen ones included."""
        return parameter_counts(self._model)[0]

    @property
    def trained_parameters(self) -> int:
        """How many of them are trained."""
        return parameter_counts(self._model)[1]

    @property
    def forward_flops_per_image(self) -> int | None:
        """Operations of one image's way forward; see `model_size.forward_flops`."""
        return forward_flops(self._model, self._size, self._device)

    def train_epoch(self) -> dict[str, float | None]:
        """Trains for one epoch and validates.

        Returns:
            The epoch's columns of `epochs.parquet`: losses in nats, fractions in 0 to 1,
            `epoch_seconds` (training and validation), `images_per_second` (training alone).

        Raises:
            DivergedError: A loss is not finite.
        """
        started = time.monotonic()
        epoch = self.epoch + 1
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        train_loss, train_accuracy, rate = self._train_once(epoch)
        trained = time.monotonic()
        _must_be_finite("training", train_loss, epoch)
        validation = self._evaluate(self._images, self._labels, self._validation)
        _must_be_finite("validation", validation.loss, epoch)
        self.epoch = epoch
        return {
            "epoch": epoch,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "validation_loss": validation.loss,
            "validation_accuracy": validation.scores.accuracy,
            "validation_precision": validation.scores.precision,
            "validation_recall": validation.scores.recall,
            "learning_rate": rate,
            "epoch_seconds": time.monotonic() - started,
            "images_per_second": len(self._train) / (trained - started),
            "device_memory_peak_bytes": self._peak_memory(),
        }

    def evaluate(self, data: LabeledImages) -> Evaluation:
        """Evaluates on other images, such as the test part.

        Args:
            data: Images uint8 [n, height, width, 3] and their labels.
        """
        images, labels = (
            to_device(data.images, self._device),
            to_device(data.labels, self._device),
        )
        return self._evaluate(images, labels, torch.arange(len(data), device=self._device))

    def state(self) -> bytes:
        """Everything that training goes on from, as bytes that `load_state` takes."""
        return _to_bytes(
            {
                "epoch": self.epoch,
                "seed": self._seed,
                "model": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            }
        )

    def load_state(self, state: bytes) -> None:
        """Goes on from a state of the same trial.

        Raises:
            ValueError: It holds more than tensors and plain values; code in it is never run.
        """
        try:
            loaded = torch.load(io.BytesIO(state), map_location=self._device, weights_only=True)
        except pickle.UnpicklingError as error:
            message = "a checkpoint must hold tensors and plain values only: others may run code"
            raise ValueError(message) from error
        assert loaded["seed"] == self._seed, "the checkpoint is of another trial"
        self._model.load_state_dict(loaded["model"])
        self._optimizer.load_state_dict(loaded["optimizer"])
        self.epoch = loaded["epoch"]

    def weights(self) -> bytes:
        """The network's weights in the safetensors format."""
        return safetensors.torch.save(
            {name: t.contiguous() for name, t in self._model.state_dict().items()}
        )

    def load_weights(self, weights: bytes) -> None:
        """Takes over weights of the same network in the safetensors format."""
        self._model.load_state_dict(safetensors.torch.load(weights))

    def _train_once(self, epoch: int) -> tuple[float, float, float]:
        """One pass over the training images; mean loss in nats, accuracy, last learning rate."""
        torch.manual_seed(derive_seed(self._seed, epoch, "dropout"))
        generator = torch.Generator(self._device)
        generator.manual_seed(derive_seed(self._seed, epoch, "augmentation"))
        shuffle = torch.Generator().manual_seed(derive_seed(self._seed, epoch, "order"))
        order = self._train[torch.randperm(len(self._train), generator=shuffle).to(self._device)]
        smoothing = self._params["label_smoothing"]
        _to_training_mode(self._model)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        slices = batches(len(order), self._params["batch_size"])
        for step, batch in enumerate(slices, start=(epoch - 1) * len(slices)):
            indices = order[batch]
            images = self._images.index_select(0, indices)
            labels = self._labels.index_select(0, indices)
            for augment in self._augment:
                images = augment(images, generator)
            self._optimizer.zero_grad()
            for part, truth in self._parts(images, labels):
                log_probabilities = functional.log_softmax(self._model(self._prepare(part)), dim=1)
                hard = functional.nll_loss(log_probabilities, truth)
                # cross-entropy with label smoothing; the hard part alone is reported
                loss = (1 - smoothing) * hard - smoothing * log_probabilities.mean()
                share = len(truth) / len(labels)
                (loss if share == 1 else share * loss).backward()
                loss_sum += hard.detach() * len(truth)
                hits += (log_probabilities.argmax(1) == truth).sum()
            self._optimizer.rates = [peak * self._factor(step) for peak in self._optimizer.peaks]
            self._optimizer.step()
        rate = self._optimizer.rates[0]
        return float(loss_sum) / len(order), float(hits) / len(order), rate

    def _parts(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """A batch in as many parts as gradients are accumulated over, none with a single image.

        Batch norm cannot train on one.
        """
        parts = max(1, min(self._accumulation, len(labels) // 2))
        return zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)

    @torch.no_grad()
    def _evaluate(self, images: Tensor, labels: Tensor, indices: Tensor) -> Evaluation:
        """Evaluates on the images at the indices, shape [n]."""
        self._model.eval()
        loss = torch.zeros((), dtype=torch.float64, device=self._device)
        confusion = torch.zeros(self._classes**2, dtype=torch.int64, device=self._device)
        probabilities = []
        for batch in torch.split(
            indices, max(1, evaluation_batch(self._size) // self._accumulation)
        ):
            truth = labels.index_select(0, batch)
            logits = self._model(self._prepare(images.index_select(0, batch))).float()
            loss += functional.cross_entropy(logits.double(), truth, reduction="sum")
            # Of the probabilities, as they are stored: rounding may have made two of them equal.
            probabilities.append(logits.softmax(1))
            cells = truth * self._classes + probabilities[-1].argmax(1)
            confusion.index_add_(0, cells, torch.ones_like(cells))
        table = confusion.view(self._classes, self._classes).cpu().numpy()
        return Evaluation(
            loss=float(loss) / len(indices),
            scores=scores(table),
            probabilities=torch.cat(probabilities).cpu().numpy(),
            labels=labels[indices].cpu().numpy(),
        )

    def _peak_memory(self) -> int | None:
        """Peak bytes that tensors took on the GPU in this epoch; None on a CPU."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return None


def _to_training_mode(model: nn.Module) -> None:
    """Training mode, except for modules whose parameters are all frozen: their statistics stay."""
    model.train()
    for module in _frozen(model):
        module.eval()


def _frozen(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            yield module


def _must_be_finite(split: str, loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        message = f"the {split} loss must be finite, but is {loss} in epoch {epoch}"
        raise DivergedError(message)


def _to_bytes(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    return buffer.getvalue()
