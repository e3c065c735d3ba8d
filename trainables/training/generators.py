"""The random numbers of a trial on its device: what else draws there does not matter."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from trainables.training.seeding import derive_seed


class Generators:
    """The generators of one trial; they depend on its seed and the epoch alone.

    Attributes:
        augmentation: What augmentation draws from.
        layers: What layers that name no generator draw from, such as dropout.
    """

    def __init__(self, device: torch.device) -> None:
        """Makes both on the device."""
        self.augmentation, self.layers = Generator(device), Generator(device)

    def seed(self, seed: int, epoch: int) -> None:
        """Begins an epoch, counted from 1, of the trial with this seed."""
        self.augmentation.manual_seed(derive_seed(seed, epoch, "augmentation"))
        self.layers.manual_seed(derive_seed(seed, epoch, "dropout"))

    def states(self) -> list[Tensor]:
        """Where both are."""
        return [self.augmentation.get_state(), self.layers.get_state()]

    def restore(self, states: Sequence[Tensor]) -> None:
        """Takes both back to where they were."""
        self.augmentation.set_state(states[0])
        self.layers.set_state(states[1])

    def renew(self, states: Sequence[Tensor]) -> None:
        """New ones in their place: a generator is of no more use where a capture broke off."""
        device = self.augmentation.device
        self.augmentation, self.layers = Generator(device), Generator(device)
        self.restore(states)

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Has layers that name no generator draw from the trial's inside.

        On CUDA the process's default generator shares the state of the trial's meanwhile, and a
        graph that is captured draws from that state whenever it is replayed.
        """
        if self.layers.device.type == "cuda":
            default = torch.cuda.default_generators[torch.cuda.current_device()]
            shared = default.graphsafe_get_state()
            default.graphsafe_set_state(self.layers.graphsafe_get_state())
            try:
                yield
            finally:
                default.graphsafe_set_state(shared)
            return
        default = torch.default_generator
        before = default.get_state()
        default.set_state(self.layers.get_state())
        try:
            yield
        finally:
            self.layers.set_state(default.get_state())
            default.set_state(before)
