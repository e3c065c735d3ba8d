"""An epoch's work, all on the device: it reads nothing back, and the host tells it nothing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.baseline import Params
from trainables.training.augmentation import STRENGTHS, Mixing
from trainables.training.averaging import WeightAverage
from trainables.training.generators import Generators
from trainables.training.network_check import check_logits
from trainables.training.optimizer import Optimizer
from trainables.training.preprocessing import batches


class Steps:
    """The pieces of work of an epoch, and the memory that they share.

    What a step needs to know is in tensors that keep their place: the order of the images, the
    table of learning rates, and at which step the epoch is. So a step that was captured as a graph
    is any step, and one code serves both.

    Attributes:
        count: Steps in an epoch.
        full: How many of them have a whole batch; at most one more has the rest.
        ends: Up to where in the order each takes images.
        evaluation_batch: Images that are evaluated at a time.
        before_change: Called before parameters and the optimizer's memory change.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        generators: Generators,
        *,
        images: Tensor,
        labels: Tensor,
        train: Tensor,
        validation: Tensor,
        params: Params,
        prepare: Callable[[Tensor], Tensor],
        num_classes: int,
        accumulation: int,
        computing: Callable[[], AbstractContextManager[Any]],
        evaluation_batch: int,
        turns: Tensor | None = None,
        average: WeightAverage | None = None,
    ) -> None:
        """Makes the memory.

        Args:
            model: The network.
            optimizer: Of its parameters.
            generators: What augmentation draws from.
            images: uint8, shape [n, height, width, 3], on the device: all, or those of the moment.
            labels: Shape [n].
            train: Indices of the images to train on, shape [n_train].
            validation: Indices of the images to validate on, shape [n_validation].
            params: `batch_size`, `augmentation`, `label_smoothing`, `class_weights`, `mixup`,
                `cutmix`.
            prepare: Turns uint8 images into what the network is given.
            num_classes: Number of classes.
            accumulation: Parts that each batch is cut into.
            computing: In what the network computes; see `precision.autocast`.
            evaluation_batch: Images that are evaluated at a time.
            turns: Where in `images` those of an epoch are, in the order in which they are taken,
                shape [n_train]; None: all are there by their index.
            average: Of the network's weights, which is evaluated in their place.
        """
        self._model, self._optimizer, self._generators = model, optimizer, generators
        self._average = average
        self._images, self._labels, self._train, self._prepare = images, labels, train, prepare
        self._classes, self._accumulation = num_classes, accumulation
        self._computing = computing
        self._augment = STRENGTHS[params["augmentation"]]
        self._smoothing = params["label_smoothing"]
        self._mixing = Mixing(params["mixup"], params["cutmix"])
        self._weights = (
            balanced_weights(labels.index_select(0, train), num_classes)
            if params["class_weights"] == "balanced"
            else None
        )
        self._evaluated = torch.split(validation, evaluation_batch)
        self.evaluation_batch = evaluation_batch
        sizes = [part.stop - part.start for part in batches(len(train), params["batch_size"])]
        self.count, self.full = len(sizes), sizes.count(sizes[0])
        self.ends = list(accumulate(sizes))
        self.before_change: Callable[[], None] = lambda: None
        self._norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        device, whole = images.device, self.full * sizes[0]
        self._order = torch.zeros(len(train), dtype=torch.int64, device=device)
        tables = [self._order] if turns is None else [self._order, turns]
        self._rows = [table[:whole].view(self.full, -1) for table in tables]
        self._rest = [table[whole:] for table in tables]
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        # The inputs of a step, a tensor each, and a table of them for all steps of an epoch.
        self._inputs = [*optimizer.rates, *([average.share] if average else [])]
        kind = self._inputs[0].dtype
        self._table = torch.zeros(len(self._inputs), self.count, dtype=kind, device=device)
        # The training loss, its hits, the validation loss, and the confusion matrix.
        self._sums = torch.zeros(3 + num_classes**2, dtype=torch.float64, device=device)

    def begin(self, order: Tensor, rates: Tensor) -> None:
        """Begins an epoch; all that the host decides in it.

        Args:
            order: Places in `train` in the order in which they are taken, shape [n_train].
            rates: The learning rate of each group at each step, shape [groups, count]; of a
                training with an average one row more, its shares.
        """
        self._order.copy_(self._train.index_select(0, self._sent(order)))
        self._table.copy_(self._sent(rates.to(self._table.dtype)))
        self._position.zero_()
        self._sums.zero_()
        _to_training_mode(self._model)

    def whole_batch(self) -> None:
        """A step with a whole batch."""
        self._step(*(rows.index_select(0, self._position).squeeze(0) for rows in self._rows))

    def last_batch(self) -> None:
        """The step with the rest."""
        self._step(*self._rest)

    def validate(self, given: Iterable[Tensor] | None = None) -> None:
        """Adds up what the network says of the validation images.

        Args:
            given: Them, in batches of `evaluation_batch`; None where all images are there.
        """
        self._model.eval()
        if given is None:
            given = (self._images.index_select(0, batch) for batch in self._evaluated)
        for images, batch in zip(given, self._evaluated, strict=True):
            self._judge(images, self._labels.index_select(0, batch), self._sums)

    def read(self) -> tuple[float, float, float, Tensor]:
        """The epoch's sums, once all is issued: the one read of an epoch.

        Returns:
            Training loss and hits, validation loss, and the confusion matrix, int64, shape
            [classes, classes].
        """
        return self._split(self._sums)

    def evaluate(self, given: Iterable[Tensor], labels: Tensor) -> tuple[float, Tensor, Tensor]:
        """What the network says of other images.

        Args:
            given: In batches of `evaluation_batch`, uint8 [batch, height, width, 3].
            labels: Of all of them, shape [n].

        Returns:
            Sum of the losses, confusion matrix, and probabilities, float32 [n, classes].
        """
        self._model.eval()
        sums = torch.zeros_like(self._sums)
        truths = torch.split(labels, self.evaluation_batch)
        pairs = zip(given, truths, strict=True)
        probabilities = [self._judge(images, truth, sums) for images, truth in pairs]
        _, _, loss, confusion = self._split(sums)
        return loss, confusion, torch.cat(probabilities)

    def tensors(self) -> Sequence[Tensor]:
        """All that a piece of work changes and that outlives it."""
        own = [self._position, self._sums]
        if self._average is not None:
            own += [self._average.share, *self._average.tensors.values()]
        return [*self._model.parameters(), *self._model.buffers(), *self._optimizer.tensors(), *own]

    def _step(self, indices: Tensor, turns: Tensor | None = None) -> None:
        """Batch, augmentation, forward, loss, backward, optimizer.

        Args:
            indices: Of the images, shape [batch].
            turns: Where they are, if not there; likewise.
        """
        for value, row in zip(self._inputs, self._table, strict=True):
            value.copy_(row.index_select(0, self._position).squeeze(0))
        loss_sum, hits = self._sums[0], self._sums[1]
        images = self._images.index_select(0, indices if turns is None else turns)
        labels = self._labels.index_select(0, indices)
        for augment in self._augment:
            images = augment(images, self._generators.augmentation)
        others, share_of_own = labels, None
        if self._mixing.happens:
            images, share_of_own = self._mixing(images, self._generators.augmentation)
            others = labels.flip(0)
        self._optimizer.zero_grad()  # a capture that broke off may have left some
        for part, truth, other in self._parts(images, labels, others):
            with _counted_at_once(self._norms):
                log_probabilities = functional.log_softmax(self._logits(part), dim=1)
            hard = functional.nll_loss(log_probabilities, truth)
            target = hard if self._weights is None else self._weighted(log_probabilities, truth)
            if share_of_own is not None:
                of_others = self._weighted(log_probabilities, other)
                target = share_of_own * target + (1 - share_of_own) * of_others
            # cross-entropy with label smoothing; what is reported is unmixed and unweighted
            loss = target
            if self._smoothing:  # ten kernels a step, which a product with 0 would need too
                loss = (1 - self._smoothing) * target - self._smoothing * log_probabilities.mean()
            share = len(truth) / len(labels)
            torch.autograd.backward(loss if share == 1 else share * loss)
            loss_sum += hard.detach() * len(truth)
            hits += (log_probabilities.argmax(1) == truth).sum()
        self.before_change()
        self._optimizer.step()
        self._optimizer.zero_grad()  # here, so that nothing holds gradients between two steps
        if self._average is not None:
            self._average.update()
        self._position += 1

    def _weighted(self, log_probabilities: Tensor, truth: Tensor) -> Tensor:
        """The mean loss of a part, each image with its class's weight."""
        if self._weights is None:
            return functional.nll_loss(log_probabilities, truth)
        losses = functional.nll_loss(log_probabilities, truth, reduction="none")
        return (self._weights.index_select(0, truth) * losses).mean()

    def _logits(self, images: Tensor) -> Tensor:
        """What the network says of uint8 images, float32, shape [batch, classes]."""
        network: Callable[[Tensor], Tensor] = self._model
        if self._average is not None and not self._model.training:
            network = self._average
        with self._computing():
            logits = network(self._prepare(images))
        check_logits(logits, len(images), self._classes)
        return logits.float()

    def _parts(self, *batch: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """A batch in as many parts as gradients are accumulated over, none with a single image.

        Batch norm cannot train on one.
        """
        parts = max(1, min(self._accumulation, len(batch[0]) // 2))
        return zip(*(each.tensor_split(parts) for each in batch), strict=True)

    @torch.no_grad()
    def _judge(self, images: Tensor, truth: Tensor, sums: Tensor) -> Tensor:
        """Adds up what the network says of a batch; its probabilities."""
        logits = self._logits(images)
        loss_sum, confusion = sums[2], sums[3:]
        loss_sum += functional.cross_entropy(logits.double(), truth, reduction="sum")
        # Of the probabilities, as they are stored: rounding may have made two of them equal.
        probabilities: Tensor = logits.softmax(1)
        cells = truth * self._classes + probabilities.argmax(1)
        confusion.index_add_(0, cells, torch.ones_like(cells, dtype=sums.dtype))
        return probabilities

    def _split(self, sums: Tensor) -> tuple[float, float, float, Tensor]:
        read = sums.cpu()
        train_loss, hits, validation_loss = read[:3].tolist()
        confusion = read[3:].to(torch.int64).view(self._classes, self._classes)
        return train_loss, hits, validation_loss, confusion

    def _sent(self, tensor: Tensor) -> Tensor:
        """On the device; from pinned memory, or the host would wait for all before it."""
        device = self._images.device
        if device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(device, non_blocking=True)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weights of classes, shape [classes], in inverse proportion to their images; 1 on average.

    Args:
        labels: Of all images that are trained on, shape [n_train].
        num_classes: Number of classes; one without an image has the weight 0.
    """
    counts = torch.bincount(labels, minlength=num_classes).double()
    weights = len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
    return torch.where(counts > 0, weights, torch.zeros_like(weights)).float()


class _Calls:
    """Stands for a norm's count of batches, and counts how often it was called."""

    def __init__(self) -> None:
        self.number = 0

    def add_(self, number: int) -> None:
        self.number += number


@contextmanager
def _counted_at_once(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Adds to the batch counts of all norms in training by one kernel, not by one each."""
    counts = {
        norm: norm.num_batches_tracked
        for norm in norms  # without a momentum it needs its count at each batch
        if norm.training and norm.momentum is not None and norm.num_batches_tracked is not None
    }
    calls = {norm: _Calls() for norm in counts}
    for norm in counts:
        vars(norm)["_buffers"]["num_batches_tracked"] = calls[norm]
    try:
        yield
    finally:
        for norm, count in counts.items():
            norm.num_batches_tracked = count
    if counts:
        torch._foreach_add_(list(counts.values()), [each.number for each in calls.values()])


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
