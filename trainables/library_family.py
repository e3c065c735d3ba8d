"""The families that a library's model makes: from its weights, from scratch, or frozen."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from search_spaces.baseline import BASELINE
from search_spaces.dimension import Dimension
from search_spaces.spaces import (
    CLASSIFIER,
    INPUT_SIZE,
    L2,
    OPTIONAL_OF_LIBRARIES,
    fine_tuning,
    from_scratch,
)
from trainables.family import Family

if TYPE_CHECKING:
    from torch import nn

    from trainables.weights.loading import Weights, WeightsFile

SCRATCH: Final = "scratch"
FROZEN: Final = "frozen"
DEPTH: Final = "stochastic_depth"

Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LibraryModel:
    """One model of a library, and how it is made, checked and described.

    Attributes:
        library: The library's name.
        model: What the library calls the model; `@scratch` behind it leaves its weights random,
            `@frozen` trains its last layer alone.
        network: Makes the bare network from `architecture`, `num_classes`, `input_size`,
            `normalization`, all weights random; its source stands alone.
        normalization: How images may be normalised for the model's weights.
        usual: How they are in the baseline.
        fitted: A file's weights in the names and shapes that a network has at its input size.
        own_weights: Finds the weights that the library has for a model.
        check_exists: Rejects a model that the library does not have.
    """

    library: str
    model: str
    network: "Callable[[Config], nn.Module]"
    normalization: Dimension
    usual: str
    fitted: "Callable[[Weights, nn.Module], Weights]"
    own_weights: "Callable[[str], WeightsFile]"
    check_exists: Callable[[str], None]

    @property
    def architecture(self) -> str:
        """What the library makes it by."""
        return self.model.partition("@")[0]

    @property
    def variant(self) -> str:
        """`scratch`, `frozen`, or empty."""
        return self.model.partition("@")[2]

    @property
    def _fixed(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "normalization": "zero_one"}

    def family(self) -> Family:
        """The family around it.

        Raises:
            ValueError: There is something else behind the `@`.
        """
        title = f"{self.architecture} of {self.library}"
        common: dict[str, Any] = {
            "name": f"{self.library}.{self.model}",
            "build": self.build,
            "head": "",
            "standalone": (self.network,),
            "fixed": self._fixed,
            "in_all": False,
            "own_optional": OPTIONAL_OF_LIBRARIES,
            "check": self.check,
        }
        if self.variant == SCRATCH:
            return Family(
                **common,
                question=f"How far does {title} get from scratch?",
                search_space=from_scratch(),
                baseline=BASELINE,
            )
        common |= {
            "pretrained": True,
            "describe": self.describe,
            "own_weights": lambda: self.own_weights(self.architecture),
        }
        given = {"input_size": 48, "normalization": self.usual}
        if self.variant == FROZEN:
            return Family(
                **common,
                question=f"How far do the frozen features of {title} get under a linear head?",
                search_space={
                    "classifier": CLASSIFIER,
                    "l2": L2,
                    "input_size": INPUT_SIZE,
                    "normalization": self.normalization,
                },
                baseline={"classifier": "logistic", "l2": 1e-2, **given},
                trainer="trainables.training.frozen_features:FrozenFeaturesTrainer",
            )
        if self.variant or "@" in self.model:
            raise ValueError(
                f"a model's name must end in @{SCRATCH}, in @{FROZEN}, or in neither, but got "
                f"{self.library}/{self.model}"
            )
        space = {**fine_tuning(), "normalization": self.normalization}
        del space["frozen_stages"]  # what a stage is differs from network to network
        return Family(
            **common,
            question=f"What does {title} reach when it is fine-tuned from its weights?",
            search_space=space,
            baseline={
                **BASELINE,
                **given,
                "head_learning_rate_multiplier": 1.0,
                "layer_decay": 1.0,
            },
        )

    def build(self, config: Config) -> "nn.Module":
        """The network; with weights but for its last layer, where there are any.

        Args:
            config: A trial's hyperparameters, `num_classes`, `input_size`, `weights`.
        """
        from trainables.training.last_layer import last_layer, set_dropout
        from trainables.training.stochastic_depth import set_stochastic_depth

        made = self._bare(config)
        if DEPTH in config:
            set_stochastic_depth(made, config[DEPTH])
        self._load(made, config["weights"], config["num_classes"])
        set_dropout(made, last_layer(made, config["num_classes"]), config.get("dropout", 0.0))
        return made

    def describe(self, config: Config) -> dict[str, str]:
        """What the network is made of, in words.

        Args:
            config: `num_classes`.
        """
        return {
            "network": f"{self.architecture} of {self.library}",
            "trained layers": "none but the last" if self.variant == FROZEN else "all",
            "head": f"its last layer, new: {config['num_classes']} classes",
        }

    def check(
        self,
        sizes: Sequence[int],
        num_classes: int,
        weights: "Weights | None",
        params: Config = MappingProxyType({}),
    ) -> None:
        """Rejects what the library does not have, or cannot use with images of each size.

        Args:
            sizes: Edges in pixels.
            num_classes: Number of classes.
            weights: What it starts from, or None.
            params: Hyperparameters that the network is made of.

        Raises:
            ValueError: In a line, with what the library says.
        """
        from trainables.training.last_layer import last_layer
        from trainables.training.stochastic_depth import set_stochastic_depth

        self.check_exists(self.architecture)
        for size in sizes:
            config = {**params, "num_classes": num_classes, "input_size": size}
            with self._refusing(size):
                made = _tried(self._bare, config)
                last_layer(made, num_classes)
            if DEPTH in params:
                try:
                    set_stochastic_depth(made, params[DEPTH])
                except ValueError as error:
                    raise ValueError(f"space.{self.library}.{self.model}.{error}") from error
            try:
                self._load(made, weights, num_classes)
            except ValueError as error:
                message = f"with images of {size}x{size} pixels, {error}"
                if "misshapen" in message:
                    message += f" (it may take other sizes: {self._sizes})"
                raise ValueError(message) from error

    @property
    def _sizes(self) -> str:
        """The settings that say of what sizes its images are."""
        name = f"{self.library}.{self.model}.input_size"
        return f"space.{name} and baseline.{name}"

    def _bare(self, config: Config) -> "nn.Module":
        return self.network({**self._fixed, **config})

    def _load(self, made: "nn.Module", weights: "Weights | None", num_classes: int) -> None:
        from trainables.training.last_layer import last_layer
        from trainables.weights.loading import load_pretrained

        if weights is not None:
            head = f"{last_layer(made, num_classes)}."
            load_pretrained(made, self.fitted(weights, made), head=head)

    @contextmanager
    def _refusing(self, size: int) -> Iterator[None]:
        """Says whatever a network has against images of a size in one line."""
        try:
            yield
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            advice = "" if self.variant == SCRATCH else f" (other sizes: {self._sizes})"
            raise ValueError(
                f"{self.library}.{self.model} must be given images that its network takes, but of "
                f"{size}x{size} pixels: {reason}{advice}"
            ) from error


def check_name(library: str, name: str, known: Sequence[str]) -> None:
    """Rejects a name that is not among those of a library.

    Raises:
        ValueError: It names those that are like it.
    """
    if name not in known:
        like = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or known[:5]
        raise ValueError(
            f"unknown model {library}/{name}; of {len(known):,} that {library} has, those most "
            f"like it are {', '.join(like)}"
        )


def _tried(network: "Callable[[Config], nn.Module]", config: Config) -> "nn.Module":
    """A network that was given two images."""
    import torch

    from trainables.training.model_size import without_memory

    def run() -> "nn.Module":
        made, size = network(config).eval(), config["input_size"]
        made(torch.zeros(2, 3, size, size))
        return made

    with torch.no_grad():
        return without_memory(run)
