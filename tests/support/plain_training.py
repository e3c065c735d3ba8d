"""Training as a plain loop has it, with torch's own optimizers: what the engine must equal.

Frozen: this is what a step is. Where the engine differs from it, the engine is wrong, or the change
was meant and is named in the commit that changes this file.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer

from trainables.data.dataset import LabeledImages
from trainables.training.augmentation import STRENGTHS
from trainables.training.metrics import scores
from trainables.training.normalization import NORMALIZATIONS, PLAIN_INPUT
from trainables.training.seeding import derive_seed

OFF: Mapping[str, Any] = {
    "class_weights": "none",
    "mixup": 0.0,
    "cutmix": 0.0,
    "weight_decay_on": "all",
    "ema_decay": 0.0,
    "layer_decay": 1.0,
    "head_first_fraction": 0.0,
    "sgd_learning_rate": None,
    "adamw_weight_decay": None,
}

BLOCKS: Mapping[str, int] = {"0": 0, "1": 0, "3": 1}
"""First part of a parameter's name to its block, in the networks that are trained here."""


@dataclass(kw_only=True)
class PlainTraining:
    """A network and what it is trained on; `epoch` trains it for one epoch and validates."""

    build: Callable[[Mapping[str, Any]], nn.Module]
    params: Mapping[str, Any]
    data: LabeledImages
    train: np.ndarray
    validation: np.ndarray
    num_classes: int
    seed: int
    epochs: int
    accumulation: int = 1
    head: str = "fc."

    def __post_init__(self) -> None:
        self.params = {**PLAIN_INPUT, **OFF, **self.params}
        self.size = self.params["input_size"] or self.data.images.shape[1]
        torch.manual_seed(derive_seed(self.seed, "weights"))
        config = {**self.params, "num_classes": self.num_classes, "input_size": self.size}
        self.model = self.build({**config, "weights": None}).to(memory_format=torch.channels_last)
        self.optimizer = self._optimizer()
        self.validated = deepcopy(self.model) if self.params["ema_decay"] else self.model
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0

    def epoch(self, number: int) -> dict[str, float]:
        torch.manual_seed(derive_seed(self.seed, number, "dropout"))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, number, "augmentation"))
        shuffle = torch.Generator().manual_seed(derive_seed(self.seed, number, "order"))
        order = self.train[torch.randperm(len(self.train), generator=shuffle).numpy()]
        self._to_training_mode()
        loss_sum, hits = torch.zeros((), dtype=torch.float64), 0
        for indices in self._batches(order):
            images = torch.from_numpy(self.data.images[indices])
            labels = torch.from_numpy(self.data.labels[indices])
            for augment in STRENGTHS[self.params["augmentation"]]:
                images = augment(images, generator)
            own = None
            if self.params["mixup"]:
                mixes, drawn = torch.rand((2, 1), generator=generator)
                own = 1 - drawn / 2 if mixes < self.params["mixup"] else torch.ones(1)
                floats = images.float()
                mixed = torch.lerp(floats.flip(0), floats, own)
                images = mixed.round().clamp(0, 255).to(torch.uint8)
            if self.params["cutmix"]:
                images, own = self._cut(images, own, generator)
            self.optimizer.zero_grad()
            parts = max(1, min(self.accumulation, len(labels) // 2))
            for part, truth, other in zip(
                images.tensor_split(parts),
                labels.tensor_split(parts),
                labels.flip(0).tensor_split(parts),
                strict=True,
            ):
                logs = functional.log_softmax(self.model(self._prepared(part)), dim=1)
                hard, smoothing = functional.nll_loss(logs, truth), self.params["label_smoothing"]
                target = self._target(logs, truth)
                if own is not None:
                    target = own * target + (1 - own) * self._target(logs, other)
                loss = (1 - smoothing) * target - smoothing * logs.mean()
                share = len(truth) / len(labels)
                torch.autograd.backward(loss if share == 1 else share * loss)
                loss_sum += hard.detach() * len(truth)
                hits += int((logs.argmax(1) == truth).sum())
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * self._factor(self.step)
                if group["is_body"] and self.step < self._head_steps():
                    group["lr"] = 0.0
            self.optimizer.step()
            self._average()
            self.step += 1
        body = [g["lr"] for g in self.optimizer.param_groups if g["is_body"]]
        rate = max(body) if body else self.optimizer.param_groups[0]["lr"]
        return {
            "train_loss": float(loss_sum) / len(order),
            "train_accuracy": hits / len(order),
            **self._validated(),
            "learning_rate": rate,
        }

    def _cut(self, images: Tensor, own: Tensor | None, generator: Any) -> tuple[Tensor, Tensor]:
        """A box of the image that is as far from the batch's end."""
        cuts, area, y, x = torch.rand((4, 1), generator=generator)
        own = torch.ones(1) if own is None else own
        if float(own) != 1 or float(cuts) >= self.params["cutmix"]:
            return images, own
        edge, pixels = images.shape[1], torch.arange(images.shape[1])
        half = edge * float(area) ** 0.5 / 2
        rows, columns = (pixels[(pixels + 0.5 - edge * float(c)).abs() < half] for c in (y, x))
        cut = images.clone()
        if len(rows) and len(columns):
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            cut[:, *box] = images.flip(0)[:, *box]
        return cut, 1 - torch.tensor([len(rows) * len(columns) / edge**2])

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the network that is validated towards the one that is trained."""
        if not self.params["ema_decay"]:
            return
        decay = min(self.params["ema_decay"], (1 + self.step) / (10 + self.step))
        newest = self.model.state_dict()
        for name, old in self.validated.state_dict().items():
            if old.is_floating_point():
                old.copy_(torch.lerp(old, newest[name], 1 - decay))
            else:
                old.copy_(newest[name])

    def _target(self, logs: Tensor, truth: Tensor) -> Tensor:
        """What an image weighs is in inverse proportion to the images of its class."""
        if self.params["class_weights"] == "none":
            return functional.nll_loss(logs, truth)
        counts = np.bincount(self.data.labels[self.train], minlength=self.num_classes)
        weights = torch.from_numpy(len(self.train) / (np.count_nonzero(counts) * counts)).float()
        return (functional.nll_loss(logs, truth, reduction="none") * weights[truth]).mean()

    @torch.no_grad()
    def _validated(self) -> dict[str, float]:
        self.validated.eval()
        images = torch.from_numpy(self.data.images[self.validation])
        truth = torch.from_numpy(self.data.labels[self.validation])
        loss, probabilities = torch.zeros((), dtype=torch.float64), []
        size = 500 // self.accumulation
        for part, labels in zip(images.split(size), truth.split(size), strict=True):
            logits = self.validated(self._prepared(part))
            loss += functional.cross_entropy(logits.double(), labels, reduction="sum")
            probabilities.append(logits.softmax(1))
        cells = truth * self.num_classes + torch.cat(probabilities).argmax(1)
        confusion = torch.bincount(cells, minlength=self.num_classes**2)
        found = scores(confusion.view(self.num_classes, self.num_classes).numpy())
        return {
            "validation_loss": float(loss) / len(truth),
            "validation_accuracy": found.accuracy,
            "validation_precision": found.precision,
            "validation_recall": found.recall,
            "validation_f1": found.f1,
        }

    def _prepared(self, images: Tensor) -> Tensor:
        mean, deviation = NORMALIZATIONS[self.params["normalization"]]
        shift, scale = (255 * torch.tensor(x).view(1, 3, 1, 1) for x in (mean, deviation))
        floats = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last)
        normalized = (floats - shift) / scale
        if normalized.shape[-1] == self.size:
            return normalized
        return functional.interpolate(normalized, size=(self.size, self.size), mode="bilinear")

    def _batches(self, order: np.ndarray) -> Iterator[np.ndarray]:
        """A last image that would be alone joins the batch before it."""
        size = self.params["batch_size"]
        starts = list(range(0, len(order), size))
        if len(starts) > 1 and len(order) - starts[-1] == 1:
            starts.pop()
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            yield order[start:end]

    def _optimizer(self) -> Optimizer:
        """A group for each parameter, or the body and the head where all are alike in these."""
        named = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        rate, decay = self.params["learning_rate"], self.params["weight_decay"]
        kind = self.params["optimizer"]
        if kind == "sgd" and self.params["sgd_learning_rate"]:
            rate = self.params["sgd_learning_rate"]
        if kind == "adamw" and self.params["adamw_weight_decay"]:
            decay = self.params["adamw_weight_decay"]
        multiplied = rate * self.params["head_learning_rate_multiplier"]
        groups = [self._group(n, p, rate, decay) for n, p in named if not n.startswith(self.head)]
        groups += [
            {**self._group(n, p, multiplied, decay), "lr": multiplied, "is_body": False}
            for n, p in named
            if n.startswith(self.head)
        ]
        if kind == "sgd":
            sgd = {"momentum": 0.9, "nesterov": True}
            return SGD(groups, lr=rate, weight_decay=decay, fused=True, **sgd)
        of = {"adam": Adam, "adamw": AdamW}[kind]
        return of(groups, weight_decay=decay, fused=True)

    def _group(self, name: str, parameter: Tensor, rate: float, decay: float) -> dict[str, Any]:
        """A parameter of the body: its block is the number that its name begins with."""
        spared = self.params["weight_decay_on"] == "weights" and parameter.ndim == 1
        below = 1 + max(BLOCKS.values()) - BLOCKS.get(name.partition(".")[0], 0)
        return {
            "params": [parameter],
            "lr": rate * self.params["layer_decay"] ** below,
            "weight_decay": 0.0 if spared else decay,
            "is_body": True,
        }

    def _head_steps(self) -> int:
        steps = self.epochs * sum(1 for _ in self._batches(self.train))
        return round(self.params["head_first_fraction"] * steps)

    def _factor(self, step: int) -> float:
        steps = self.epochs * sum(1 for _ in self._batches(self.train))
        warmup = round(self.params["warmup_fraction"] * steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1, steps - warmup)
        cosine = self.params["schedule"] == "cosine"
        return 0.5 * (1 + math.cos(math.pi * progress)) if cosine else 1.0

    def _to_training_mode(self) -> None:
        self.model.train()
        for module in self.model.modules():
            own = list(module.parameters())
            if own and not any(p.requires_grad for p in own):
                module.eval()
