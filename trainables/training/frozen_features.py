"""Trains a linear head on what a frozen network says of images: convex, and seconds a trial."""

import math
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.baseline import Params
from search_spaces.spaces import ABSENT
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.hardware import PRECISIONS
from trainables.training import feature_cache
from trainables.training.feed import Supply
from trainables.training.last_layer import head_of
from trainables.training.metrics import Evaluation, Scores, scores
from trainables.training.model_size import forward_flops, parameter_counts
from trainables.training.precision import autocast, set_arithmetic
from trainables.training.preprocessing import evaluation_batch, preparation, to_device
from trainables.training.small_maps import use_products
from trainables.weights.loading import Weights

ITERATIONS: Final = 10
"""Of L-BFGS in an epoch."""
LOG_SCALES: Final = (-2.0, 7.0)
SMALLEST_DEVIATION: Final = 1e-6


class FrozenFeaturesTrainer:
    """Multinomial logistic regression on standardised features, by L-BFGS, or ridge regression.

    An epoch is some iterations over all images at once, each from where the last epoch came to; of
    ridge regression the first finds what there is to find. The
    network's body never changes, so its features are computed once in a process; standardisation is
    folded into the head, so that the whole is an ordinary network.
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
        """Builds the network; see `training.trainer.Trainer`. Nothing is drawn at random.

        Args:
            family: Its network ends in a dense layer.
            params: `classifier`, `l2`, `input_size`, `normalization`.
            data: Training part.
            train: Indices of the images to train on, shape [n_train].
            validation: Indices of the images to validate on, shape [n_validation].
            num_classes: Number of classes.
            weights: Of the body.
            seed: The trial's.
            epochs: Of the whole training.
            device: `cpu` or `cuda`.
            threads: CPU threads.
            accumulation: The network is given so many times fewer images at a time.
            precision: As of `Trainer`.
            reproducible: Deterministic algorithms alone.
            image_memory: As of `Trainer`.

        Raises:
            ValueError: The device has no such precision, or the weights are of another network.
        """
        del seed, epochs
        torch.set_num_threads(threads)
        self._device = torch.device(device)
        precision = precision or PRECISIONS[device][0]
        set_arithmetic(precision, self._device, reproducible=reproducible)
        self._size = params["input_size"] or data.images.shape[1]
        config = {**params, "input_size": self._size, "num_classes": num_classes}
        self._model = family.build({**config, "weights": weights}).to(self._device)
        self._model = self._model.to(memory_format=torch.channels_last).eval()
        if device == "cpu":
            use_products(self._model)
        self._head = self._dense_head(head_of(family.head, self._model, num_classes))
        self._given: list[Tensor] = []  # to the head, when the network is last given images
        self._head.register_forward_pre_hook(lambda _, given: self._given.append(given[0]))
        self._prepare = preparation(
            params["normalization"],
            edge=data.images.shape[1],
            size=self._size,
            device=self._device,
        )
        self._precision = precision
        self._batch = max(1, evaluation_batch(self._size) // accumulation)
        self._supply = Supply(data.images, self._device, limit=image_memory, largest=self._batch)
        self._data, self._classes, self._l2 = data, num_classes, params["l2"]
        self._ridge = params.get("classifier", ABSENT["classifier"]) == "ridge"
        self._train, self._validation = (
            torch.from_numpy(each).to(self._device) for each in (train, validation)
        )
        first = next(iter(weights.values())) if weights else np.empty(0)
        self._key = first, self._size, params["normalization"], device, precision
        width = self._head.in_features
        self._mean = torch.zeros(width, device=self._device)
        self._deviation = torch.ones(width, device=self._device)
        self._coefficients = np.zeros((num_classes, width + 1))
        self.epoch = 0

    @property
    def parameters(self) -> int:
        """How many parameters the network has, frozen ones included."""
        return parameter_counts(self._model)[0]

    @property
    def trained_parameters(self) -> int:
        """How many of them are trained."""
        return sum(parameter.numel() for parameter in self._head.parameters())

    @property
    def forward_flops_per_image(self) -> int | None:
        """Operations of one image's way forward; see `model_size.forward_flops`."""
        return forward_flops(self._model, self._size, self._device)

    def train_epoch(self) -> dict[str, Any]:
        """Some iterations of L-BFGS, and validation; the epoch's columns.

        `learning_rate` is that of L-BFGS, whose first step is 1.
        """
        started = time.monotonic()
        features = self._features(self._data, torch.cat([self._train, self._validation]))
        own = features[self._train]
        if self.epoch == 0:
            self._mean, deviation = own.mean(0), own.std(0, correction=0)
            self._deviation = deviation.clamp(min=SMALLEST_DEVIATION)
        labels = to_device(self._data.labels, self._device)
        fit = self._solve if self._ridge else self._minimize
        fit(self._standardized(own), labels[self._train])
        train_loss, hits = self._fitted(self._standardized(own), labels[self._train])
        trained = time.monotonic() - started
        self.epoch += 1
        self._put_into_network()
        loss, found = self._validated(features[self._validation], labels[self._validation])
        return {
            "epoch": self.epoch,
            "train_loss": train_loss,
            "train_accuracy": hits,
            "validation_loss": loss,
            "validation_accuracy": found.accuracy,
            "validation_precision": found.precision,
            "validation_recall": found.recall,
            "validation_f1": found.f1,
            "learning_rate": 1.0,
            "epoch_seconds": time.monotonic() - started,
            "images_per_second": len(self._train) / max(trained, 1e-9),
            "device_memory_peak_bytes": None
            if self._device.type == "cpu"
            else torch.cuda.max_memory_allocated(self._device),
            **self._supply.take_note(),
        }

    @torch.no_grad()
    def _validated(self, features: Tensor, truth: Tensor) -> tuple[float, Scores]:
        """What the head says of features."""
        logits = self._head(features)
        cells = truth * self._classes + logits.softmax(1).argmax(1)
        confusion = torch.bincount(cells, minlength=self._classes**2).view(self._classes, -1)
        loss = float(functional.cross_entropy(logits.double(), truth))
        return loss, scores(confusion.cpu().numpy())

    @torch.no_grad()
    def evaluate(self, data: LabeledImages) -> Evaluation:
        """Evaluates on other images, such as the test part."""
        every = torch.arange(len(data), device=self._device)
        logits = self._head(self._features(data, every))
        truth = to_device(data.labels, self._device)
        probabilities = logits.softmax(1)
        cells = truth * self._classes + probabilities.argmax(1)
        confusion = torch.bincount(cells, minlength=self._classes**2).view(self._classes, -1)
        return Evaluation(
            loss=float(functional.cross_entropy(logits.double(), truth)),
            scores=scores(confusion.cpu().numpy()),
            probabilities=probabilities.cpu().numpy(),
            labels=data.labels,
        )

    def state(self) -> bytes:
        """The head, what its features are standardised by, and the epoch."""
        tensors = {
            "coefficients": torch.from_numpy(self._coefficients),
            "mean": self._mean.cpu(),
            "deviation": self._deviation.cpu(),
            "epoch": torch.tensor(self.epoch),
        }
        return safetensors.torch.save(tensors)

    def load_state(self, state: bytes) -> None:
        """Goes on from a state of the same trial."""
        loaded = safetensors.torch.load(state)
        self._coefficients = loaded["coefficients"].numpy().copy()
        self._mean, self._deviation = (
            loaded[name].to(self._device) for name in ("mean", "deviation")
        )
        self.epoch = int(loaded["epoch"])
        self._put_into_network()

    def weights(self) -> bytes:
        """The whole network's weights in the safetensors format."""
        state = {name: each.contiguous().cpu() for name, each in self._model.state_dict().items()}
        return safetensors.torch.save(state)

    def load_weights(self, weights: bytes) -> None:
        """Takes over weights of the same network in the safetensors format."""
        self._model.load_state_dict(safetensors.torch.load(weights))

    @torch.no_grad()
    def _features(self, data: LabeledImages, indices: Tensor) -> Tensor:
        """Of all images, of which those of the indices are known; shape [images, features]."""
        weights, *how = self._key
        kept = feature_cache.kept(
            (_address(data.images), _address(weights), len(data), *how),
            images=len(data),
            features=self._head.in_features,
            device=self._device,
            holds=(data.images, weights),
        )
        missing = kept.missing(indices)
        given = self._supply.batches(data.images, missing.cpu().numpy(), self._batch)
        for part, images in zip(torch.split(missing, self._batch), given, strict=False):
            kept.values[part] = self._body_of(images)
            kept.known[part] = True
        return kept.values

    def _body_of(self, images: Tensor) -> Tensor:
        with autocast(self._precision, self._device):
            self._model(self._prepare(images))
        features = self._given[-1]
        self._given.clear()
        return features.float()

    def _dense_head(self, prefix: str) -> nn.Linear:
        head = self._model.get_submodule(prefix.rstrip("."))
        if isinstance(head, nn.Linear):
            return head
        raise ValueError(
            f"frozen features need a network that ends in a dense layer, but it is a {head}"
        )

    def _standardized(self, features: Tensor) -> Tensor:
        """With a column of ones behind, for the bias."""
        scaled = (features - self._mean) / self._deviation
        return torch.cat([scaled, torch.ones_like(scaled[:, :1])], dim=1)

    def _solve(self, features: Tensor, labels: Tensor) -> None:
        """Least squares of the one-hot targets with a penalty, its outputs as logits.

        They are scaled by the factor of least cross-entropy, since least squares knows none: of
        what is said of each image by the solution without it, since with more features than images
        the solution itself is right on all, and no factor would be too large.
        """
        if self.epoch:
            return
        inputs, wanted = features.double(), functional.one_hot(labels, self._classes).double()
        penalty = torch.full_like(inputs[0], len(inputs) * self._l2)
        penalty[-1] = 0.0  # the bias
        gram = inputs.T @ inputs + penalty.diag()
        projection = torch.linalg.solve(gram, inputs.T)
        solved = (projection @ wanted).T.contiguous()
        own_weight = (inputs * projection.T).sum(1, keepdim=True).clamp(max=1 - SMALLEST_DEVIATION)
        without = (inputs @ solved.T - own_weight * wanted) / (1 - own_weight)

        def cost(logarithm: float) -> float:
            return float(functional.cross_entropy(without * math.exp(logarithm), labels))

        scale = math.exp(minimize_scalar(cost, bounds=LOG_SCALES, method="bounded").x)
        self._coefficients = (solved * scale).cpu().numpy()

    def _minimize(self, features: Tensor, labels: Tensor) -> None:
        """Moves the coefficients some iterations on."""

        def cost(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            given = torch.from_numpy(flat).float().to(self._device).view(self._classes, -1)
            given.requires_grad_()
            penalty = 0.5 * self._l2 * given[:, :-1].square().sum()
            total = functional.cross_entropy(features @ given.T, labels) + penalty
            gradient = torch.autograd.grad(total, given)[0]
            return float(total.detach()), gradient.double().cpu().numpy().ravel()

        found = minimize(
            cost,
            self._coefficients.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
        )
        self._coefficients = found.x.reshape(self._classes, -1)

    @torch.no_grad()
    def _fitted(self, features: Tensor, labels: Tensor) -> tuple[float, float]:
        """Training loss without the penalty, and share of hits.

        Raises:
            ArithmeticError: The loss is not finite.
        """
        given = torch.from_numpy(self._coefficients).float().to(self._device)
        logits = features @ given.T
        loss = float(functional.cross_entropy(logits.double(), labels))
        hits = float((logits.argmax(1) == labels).double().mean())
        if not math.isfinite(loss):
            raise ArithmeticError(
                f"the training loss must be finite, but is {loss} in epoch {self.epoch + 1}"
            )
        return loss, hits

    @torch.no_grad()
    def _put_into_network(self) -> None:
        """The head on features as they are, which says what the coefficients say."""
        given = torch.from_numpy(self._coefficients).to(self._device)
        weight = given[:, :-1] / self._deviation.double()
        self._head.weight.copy_(weight)
        self._head.bias.copy_(given[:, -1] - weight @ self._mean.double())


def _address(array: npt.NDArray[Any]) -> int:
    """Where it is stored: its address in memory, by which one that is held is recognised."""
    address: int = array.__array_interface__["data"][0]
    return address
