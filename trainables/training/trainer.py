"""Trains one network: one process, one path for CPU and GPU, data on the device, no Ray."""

import functools
import math
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor

from search_spaces.baseline import Params
from search_spaces.spaces import ABSENT
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.hardware import PRECISIONS
from trainables.training import snapshot
from trainables.training.allocator import keep_freed_memory
from trainables.training.averaging import WeightAverage
from trainables.training.feed import Supply
from trainables.training.generators import Generators
from trainables.training.graphs import Eager, Graphs, Issuer
from trainables.training.last_layer import head_of
from trainables.training.metrics import Evaluation, scores
from trainables.training.model_size import forward_flops, parameter_counts
from trainables.training.normalization import PLAIN_INPUT
from trainables.training.optimizer import Optimizer, make_schedule
from trainables.training.precision import autocast, set_arithmetic
from trainables.training.preprocessing import evaluation_batch, preparation, to_device
from trainables.training.seeding import derive_seed
from trainables.training.small_maps import use_products
from trainables.training.snapshot import Snapshot
from trainables.training.steps import Steps
from trainables.weights.loading import Weights

STEPS_AT_A_TIME: Final = {"cpu": 1, "cuda": 16}
"""That are issued before it is looked up whether a checkpoint is written."""


class DivergedError(ArithmeticError):
    """The loss is not finite; the epoch in which it happened gives no row."""


class Trainer:
    """A network in training, its data on the device.

    All random numbers depend on the trial's seed and the epoch only, so the seed and the epoch are
    the random state: nothing else of it need be kept in a checkpoint.
    """

    def __init__(
        self,
        family: Family,
        params: Params,
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
        precision: str | None = None,
        reproducible: bool = False,
        image_memory: int | None = None,
    ) -> None:
        """Builds the network and puts the data on the device, as far as they fit.

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
            precision: `tf32`, `fp32` or `bf16`; None: `tf32` on `cuda`, `fp32` on `cpu`.
            reproducible: Deterministic algorithms alone.
            image_memory: Bytes that images may take on the device, beyond which they stay on the
                host and are fed in parts; None: all that they need.

        Raises:
            RuntimeError: The device is `cuda` and there is none.
            ValueError: The device has no such precision.
        """
        if device == "cpu":
            keep_freed_memory()
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        precision = precision or PRECISIONS[device][0]
        set_arithmetic(precision, self._device, reproducible=reproducible)
        config = {**params, "num_classes": num_classes, "weights": weights}
        params = {**PLAIN_INPUT, **ABSENT, **params}
        edge = data.images.shape[1]
        self._size = params["input_size"] or edge
        self._seed, self._train, self._validation = seed, train, validation
        torch.manual_seed(derive_seed(seed, "weights"))
        self._model = family.build({**config, "input_size": self._size}).to(self._device)
        self._model = self._model.to(memory_format=torch.channels_last)
        if device == "cpu":
            use_products(self._model)
        self._optimizer = Optimizer(
            self._model, params, head=head_of(family.head, self._model, num_classes)
        )
        self._average: WeightAverage | None = None
        if params["ema_decay"]:
            like = self._optimizer.rates[0]
            self._average = WeightAverage(self._model, params["ema_decay"], like=like)
        self._generators = Generators(self._device)
        self._images, self._batch = data.images, params["batch_size"]
        evaluated = max(1, evaluation_batch(self._size) // accumulation)
        largest = max(self._batch, evaluated)
        self._supply = Supply(data.images, self._device, limit=image_memory, largest=largest)
        self._feed = self._supply.feed
        self._steps = Steps(
            self._model,
            self._optimizer,
            self._generators,
            images=self._feed.rows if self._feed else to_device(data.images, self._device),
            turns=self._feed.turns(len(train), self._batch) if self._feed else None,
            labels=to_device(data.labels, self._device),
            train=torch.tensor(train, device=self._device),
            validation=torch.tensor(validation, device=self._device),
            params=params,
            prepare=preparation(
                params["normalization"], edge=edge, size=self._size, device=self._device
            ),
            num_classes=num_classes,
            accumulation=accumulation,
            computing=functools.partial(autocast, precision, self._device),
            evaluation_batch=evaluated,
            average=self._average,
        )
        steps = self._steps.count * epochs
        self._factor = make_schedule(params, steps=steps)
        self._head_steps = round(params["head_first_fraction"] * steps)
        self._issue: Issuer = Eager(self._generators)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._issue = Graphs(self._generators, self._steps.tensors)
        self._buffers: dict[str, Tensor] = {}
        self._between_epochs = True
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

    def train_epoch(self) -> dict[str, Any]:
        """Trains for one epoch and validates.

        Returns:
            The epoch's columns of `epochs.parquet`: losses in nats, fractions in 0 to 1,
            `epoch_seconds` (training and validation), `images_per_second` (training alone);
            `graph_fell_back`, why, in the epoch in which the device stopped replaying steps; and
            `images_fed`, why, in the first one where they are.

        Raises:
            DivergedError: A loss is not finite.
        """
        while (row := self.train_slice()) is None:
            pass
        return row

    def train_slice(self) -> dict[str, Any] | None:
        """Trains for a moment; what `train_epoch` returns where that was the epoch's end."""
        if self._between_epochs:
            self.begin_epoch()
        self._between_epochs = not self.advance(STEPS_AT_A_TIME[self._device.type])
        if self._between_epochs:
            return self.end_epoch()
        self._issue.wait_for_device()
        return None

    def begin_epoch(self) -> None:
        """Says all that the host decides of the next epoch: order, learning rates, seeds."""
        epoch = self.epoch + 1
        self._started = time.monotonic()
        shuffle = torch.Generator().manual_seed(derive_seed(self._seed, epoch, "order"))
        order = torch.randperm(len(self._train), generator=shuffle)
        rates = self._rates_in(range(self.epoch * self._steps.count, epoch * self._steps.count))
        self._generators.seed(self._seed, epoch)
        with self._issue.issuing():
            self._steps.begin(order, rates)
            if self._feed:
                self._feed.begin(self._images, self._train[order.numpy()], self._batch)
            self._marks = [self._issue.mark()]
        self._issued, self._rate = 0, float(rates[0, -1])

    def _rates_in(self, steps: range) -> Tensor:
        """What `Steps.begin` takes, of steps counted from 0; float64, shape [rows, steps]."""
        factors = torch.tensor([self._factor(step) for step in steps], dtype=torch.float64)
        peaks = [group.peak for group in self._optimizer.groups]
        rates = torch.tensor(peaks, dtype=torch.float64)[:, None] * factors
        alone = max(0, self._head_steps - steps.start)  # steps in which the head trains alone
        for row, group in zip(rates, self._optimizer.groups, strict=True):
            if group.is_body:
                row[:alone] = 0
        if self._average is None:
            return rates
        return torch.cat([rates, self._average.shares(steps)[None]])

    def advance(self, steps: int) -> bool:
        """Issues up to so many steps, without waiting for them.

        Returns:
            Whether the epoch has more.
        """
        work = self._steps
        with self._issue.issuing():
            for _ in range(min(steps, work.count - self._issued)):
                if self._feed:
                    self._feed.reach(work.ends[self._issued])
                if self._issued < work.full:
                    self._issue("whole batch", work.whole_batch)
                else:
                    self._issue("last batch", work.last_batch)
                self._issued += 1
        return self._issued < work.count

    def end_epoch(self) -> dict[str, Any]:
        """Validates, and reads what the epoch came to; see `train_epoch`."""
        epoch, images = self.epoch + 1, len(self._train)
        with self._issue.issuing():
            self._marks.append(self._issue.mark())
            self._validate()
            train_loss, hits, loss_sum, confusion = self._steps.read()
        train_loss, validation_loss = train_loss / images, loss_sum / len(self._validation)
        _must_be_finite("training", train_loss, epoch)
        _must_be_finite("validation", validation_loss, epoch)
        found = scores(confusion.numpy())
        note = self._issue.take_note()
        self.epoch = epoch
        return {
            "epoch": epoch,
            "train_loss": train_loss,
            "train_accuracy": hits / images,
            "validation_loss": validation_loss,
            "validation_accuracy": found.accuracy,
            "validation_precision": found.precision,
            "validation_recall": found.recall,
            "validation_f1": found.f1,
            "learning_rate": self._rate,
            "epoch_seconds": time.monotonic() - self._started,
            "images_per_second": images / self._issue.seconds(*self._marks),
            "device_memory_peak_bytes": self._peak_memory(),
            **({"graph_fell_back": note} if note else {}),
            **self._supply.take_note(),
        }

    def _validate(self) -> None:
        """Issues the validation: as one graph where all images are on the device."""
        if self._feed is None:
            self._issue("validation", self._steps.validate)
            return
        given = self._feed.batches(self._images, self._validation, self._steps.evaluation_batch)
        Eager(self._generators)("validation", functools.partial(self._steps.validate, given))

    def evaluate(self, data: LabeledImages) -> Evaluation:
        """Evaluates on other images, such as the test part.

        Args:
            data: Images uint8 [n, height, width, 3] and their labels.
        """
        labels = to_device(data.labels, self._device)
        order, size = np.arange(len(data)), self._steps.evaluation_batch
        given = self._supply.batches(data.images, order, size)
        loss, confusion, probabilities = self._steps.evaluate(given, labels)
        return Evaluation(
            loss=loss / len(data),
            scores=scores(confusion.numpy()),
            probabilities=probabilities.cpu().numpy(),
            labels=labels.cpu().numpy(),
        )

    def snapshot(self) -> Snapshot:
        """Everything that training goes on from, copied aside; it must be written by the next."""
        with self._issue.issuing():
            taken = snapshot.of_state(
                {
                    "epoch": self.epoch,
                    "seed": self._seed,
                    "model": self._model.state_dict(),
                    "optimizer": self._optimizer.state_dict(),
                    **({"average": self._average.tensors} if self._average else {}),
                },
                buffers=self._buffers,
                changing=self._model.buffers(),
            )
        self._steps.before_change = taken.wait
        return taken

    def weights_snapshot(self) -> Snapshot:
        """The network's weights as they are evaluated, copied aside."""
        averaged = self._average.tensors if self._average else {}
        with self._issue.issuing():
            return Snapshot({**self._model.state_dict(), **averaged})

    def state(self) -> bytes:
        """Everything that training goes on from, as bytes that `load_state` takes."""
        return b"".join(self.snapshot().chunks())

    def load_state(self, state: bytes) -> None:
        """Goes on from a state of the same trial.

        Raises:
            ValueError: It holds more than tensors and plain values; code in it is never run.
        """
        loaded = snapshot.read(state)
        assert loaded["seed"] == self._seed, "the checkpoint is of another trial"
        self._model.load_state_dict(loaded["model"])
        self._optimizer.load_state_dict(loaded["optimizer"])
        if self._average is not None:
            self._average.load(loaded["average"])
        self.epoch = loaded["epoch"]

    def weights(self) -> bytes:
        """The network's weights in the safetensors format."""
        return b"".join(self.weights_snapshot().chunks())

    def load_weights(self, weights: bytes) -> None:
        """Takes over weights of the same network in the safetensors format."""
        loaded = safetensors.torch.load(weights)
        self._model.load_state_dict(loaded)
        if self._average is not None:
            self._average.load(loaded)

    def _peak_memory(self) -> int | None:
        """Peak bytes that this trial's tensors took on the GPU so far; None on a CPU.

        Not of the epoch alone: the memory of a graph counts as taken while it is captured only.
        """
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return None


def _must_be_finite(split: str, loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the {split} loss must be finite, but is {loss} in epoch {epoch}")
