"""What a model family is: how its network is built, what may vary, and its baseline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from search_spaces.baseline import Params
from search_spaces.dimension import Dimension, Space
from search_spaces.spaces import OPTIONAL, OPTIONAL_PRETRAINED

if TYPE_CHECKING:
    from torch import nn

    from trainables.weights.loading import Weights, WeightsFile


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model family: a file in `trainables/families/` that defines `FAMILY`.

    Attributes:
        name: The file's name; what `--families` takes.
        build: Makes the network from a trial's hyperparameters, to which are added
            `num_classes`, `input_size` (edge in pixels of what the network will be given) and
            `weights` (names to arrays, None unless `pretrained`). It takes float32 images
            [batch, 3, input_size, input_size] and returns logits [batch, num_classes].
            torch and torchvision are imported inside it, so that lists and messages are fast.
        search_space: Name to dimension.
        baseline: One value for each dimension, inside the space.
        pretrained: The network starts from the weights that `--weights` names.
        head: Prefix of the parameters that are new in a pre-trained network; empty: its last layer.
        trainer: `module:class` of what trains it; anything with the interface of
            `trainables.training.Trainer`.
        describe: From a trial's hyperparameters and `num_classes`, what its network is made of:
            part (`stem`, `trained layers`, `head`) to a few words; for the transfer card.
        standalone: Functions whose source alone makes the bare network with the same names of
            weights: helpers, then one that takes `build`'s configuration without `weights`. They
            import torch and torchvision inside. They stand in the card of an exported winner,
            which then can be used without this project; without them it cannot.
        in_all: `--families all` has it; others are named.
        question: What it answers; where empty, the first line of its file.
        fixed: What `standalone` is given beside hyperparameters; it stands in the configuration of
            an exported winner.
        own_optional: Dimensions of its network beside its space, which a study may name: name to
            dimension, and the baseline's value.
        own_weights: Finds the weights that `imagenet` means for it; where None, torchvision's
            ResNet50.
        check: From edges in pixels, the number of classes, weights, or None, and hyperparameters:
            raises a ValueError where its network cannot be made of them here, or cannot be given
            images of one of these edges.
    """

    name: str
    build: "Callable[[Mapping[str, Any]], nn.Module]"
    search_space: Space
    baseline: Params
    pretrained: bool = False
    head: str = "fc."
    trainer: str = "trainables.training.trainer:Trainer"
    describe: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None
    standalone: Sequence[Callable[..., Any]] = ()
    in_all: bool = True
    question: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    own_optional: Mapping[str, tuple[Dimension, Any]] = field(default_factory=dict)
    own_weights: "Callable[[], WeightsFile] | None" = None
    check: "Callable[[Sequence[int], int, Weights | None, Mapping[str, Any]], None] | None" = None

    @property
    def has_network(self) -> bool:
        """Whether what it trains is a network that `build` makes, by a trainer of this project."""
        return self.trainer.split(".")[-3:-1] == ["trainables", "training"]

    @property
    def optional(self) -> Mapping[str, tuple[Dimension, Any]]:
        """Dimensions beside its space that a study may name, each with the baseline's value."""
        if self.trainer != Family.trainer:
            return {}
        known = {
            **OPTIONAL,
            **(OPTIONAL_PRETRAINED if self.pretrained else {}),
            **self.own_optional,
        }
        return {name: each for name, each in known.items() if name not in self.search_space}

    def __post_init__(self) -> None:
        if set(self.search_space) != set(self.baseline):
            raise ValueError(
                f"the baseline of family {self.name!r} must have one value for each dimension of "
                f"its space, but they differ in "
                f"{sorted(set(self.search_space) ^ set(self.baseline))}"
            )
