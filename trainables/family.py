"""What a model family is: how its network is built, what may vary, and its baseline."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from search_spaces.baseline import Params
from search_spaces.checking import wrong_dimensions, wrong_for_trainer
from search_spaces.dimension import Dimension, Space
from search_spaces.spaces import OPTIONAL, OPTIONAL_PRETRAINED
from trainables.last_words import of_code_in

if TYPE_CHECKING:
    from torch import nn

    from trainables.weights.loading import Weights, WeightsFile

_TRAINER: Final = re.compile(r"\w+(\.\w+)*:\w+")


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
        faults = [*self._wrong_fields(), *wrong_dimensions(self.search_space, self.baseline)]
        for name, (dimension, value) in self.own_optional.items():
            faults += wrong_dimensions({name: dimension}, {name: value})
        if not faults and self.trainer == Family.trainer:
            faults += wrong_for_trainer(self.search_space)
        if faults:
            raise ValueError(f"family {self.name!r}: {'; '.join(faults)}")
        if set(self.search_space) != set(self.baseline):
            raise ValueError(
                f"the baseline of family {self.name!r} must have one value for each dimension of "
                f"its space, but they differ in "
                f"{sorted(set(self.search_space) ^ set(self.baseline))}"
            )

    def _wrong_fields(self) -> Iterator[str]:
        functions = ("build", "describe", "own_weights", "check")
        for name in functions:
            value = getattr(self, name)
            if not (callable(value) or (value is None and name != "build")):
                yield f"its {name} must be a function, but is {value!r:.40}"
        for name in ("name", "head", "trainer", "question"):
            if not isinstance(value := getattr(self, name), str):
                yield f"its {name} must be a text, but is {value!r:.40}"
        if isinstance(self.trainer, str) and not _TRAINER.fullmatch(self.trainer):
            yield f"its trainer must be MODULE:CLASS, but is {self.trainer!r:.80}"
        if not all(inspect.isfunction(each) for each in self.standalone):
            yield f"its standalone must be functions, but is {self.standalone!r:.80}"
        try:
            is_plain = isinstance(self.fixed, Mapping) and bool(json.dumps(dict(self.fixed)))
        except (TypeError, ValueError):
            is_plain = False
        if not is_plain:
            yield f"its fixed must map names to what JSON can hold, but is {self.fixed!r:.80}"

    def ask_check(
        self,
        sizes: Sequence[int] = (),
        num_classes: int = 0,
        weights: "Weights | None" = None,
        params: Params = MappingProxyType({}),
    ) -> None:
        """Asks `check`, where there is one; whatever it raises is a `ValueError`."""
        if self.check is not None:
            with self._own("check"):
                self.check(sizes, num_classes, weights, params)

    def parts(self, params: Params) -> Mapping[str, str]:
        """What `describe` says of a network; whatever it raises is a `ValueError`."""
        if self.describe is None:
            return {}
        with self._own("describe"):
            found = self.describe(params)
        if not isinstance(found, Mapping) or not all(
            isinstance(text, str) for pair in found.items() for text in pair
        ):
            raise ValueError(
                f"describe of {self.name} must return texts by the names of parts, but returned "
                f"{found!r:.80}"
            )
        return found

    def find_own_weights(self) -> "WeightsFile":
        """Asks `own_weights`; whatever it raises is a `ValueError`."""
        assert self.own_weights is not None, self.name
        with self._own("own_weights"):
            found = self.own_weights()
        if not all(hasattr(found, name) for name in ("name", "path", "sha256", "words")):
            raise ValueError(
                f"own_weights of {self.name} must return a WeightsFile, but returned a "
                f"{type(found).__name__}"
            )
        return found

    @contextmanager
    def _own(self, what: str) -> Iterator[None]:
        """Makes what a function of the family raises an error of one line that names it."""
        try:
            with of_code_in(getattr(inspect.getmodule(self.build), "__file__", self.name)):
                yield
        except ValueError:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{what} of {self.name} must say what is wrong by a ValueError, but raised "
                f"{type(error).__name__}: {reason}"
            ) from error
