"""Any classifier of timm by its name: `timm/convnext_tiny`, `timm/resnet18.a1_in1k`.

timm is an optional extra: `pip install timm`.
"""

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from optuna.distributions import CategoricalDistribution

from search_spaces.dimension import Dimension
from trainables import library_family

if TYPE_CHECKING:
    from torch import nn

    from trainables.weights.loading import Weights, WeightsFile

NORMALIZATION: Final = Dimension(
    values=CategoricalDistribution(("own", "zero_one")),
    meaning="images with the mean and deviation of the network's weights, or in [0, 1] as they are",
)


def network(config: Mapping[str, Any]) -> "nn.Module":
    """One of timm's networks, all weights random; where it is to, it normalises images itself.

    Args:
        config: `architecture`, `num_classes`, `input_size`, `normalization`.
    """
    import timm
    import torch

    name, given = config["architecture"], {"num_classes": config["num_classes"]}
    # Transformers are made for one size; layers of stochastic depth are there where it is not 0.
    sized, deep = {"img_size": config["input_size"]}, {"drop_path_rate": 0.1}
    ways = [{**sized, **deep}, deep] if "stochastic_depth" in config else []
    for more in (*ways, sized, {}):
        try:
            model: nn.Module = timm.create_model(name, **given, **more)
            break
        except TypeError:
            if not more:
                raise
    if config["normalization"] == "own":
        its: Any = model.pretrained_cfg
        for what in ("mean", "std"):
            values = torch.tensor(its[what]).view(1, 3, 1, 1)
            model.register_buffer(f"input_{what}", values, persistent=False)
        model.register_forward_pre_hook(
            lambda module, given: ((given[0] - module.input_mean) / module.input_std,)
        )
    return model


def fitted(weights: "Weights", model: "nn.Module") -> "Weights":
    """Weights as timm itself reads them: renamed, and of positions for the network's input size.

    Raises:
        ValueError: They are of another network.
    """
    import sys
    import warnings

    import torch

    converted = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if converted is None:
        return weights
    given = {name: torch.from_numpy(each) for name, each in weights.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how timm is written, not of the weights
            return {name: each.numpy() for name, each in converted(given, model).items()}
    except Exception as error:  # what it takes for its own may be of any network
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"timm cannot read it as its weights: {type(error).__name__}: {reason}"
        ) from error


def own_weights(architecture: str) -> "WeightsFile":
    """Timm's weights of a model, downloaded once from the Hugging Face hub.

    Raises:
        ValueError: It has none there, or nobody answers.
    """
    from timm.models import get_pretrained_cfg

    from trainables.weights.hub import from_hub
    from trainables.weights.sources import NOT_STATED

    found = get_pretrained_cfg(architecture, allow_unregistered=False)
    if found is None or not found.hf_hub_id:
        raise ValueError(
            f"no weights of timm/{architecture} on the Hugging Face hub; give a file to "
            f"--weights timm/{architecture}=FILE, or train it from scratch: "
            f"timm/{architecture}@{library_family.SCRATCH}"
        )
    return from_hub(
        found.hf_hub_id,
        words={"source": f"what timm calls {found.tag}", "licence": found.license or NOT_STATED},
    )


def check_exists(architecture: str) -> None:
    """Rejects a name that timm has no network by.

    Raises:
        ValueError: With names that are like it, or timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            f"timm/{architecture} needs timm, which is not installed: pip install timm"
        ) from error
    name, dot, tag = architecture.partition(".")
    library_family.check_name("timm", name, timm.list_models())
    if dot:
        known = timm.list_pretrained(f"{name}.*")
        library_family.check_name("timm", f"{name}.{tag}", known)


MODEL: Final = functools.partial(
    library_family.LibraryModel,
    library="timm",
    network=network,
    normalization=NORMALIZATION,
    usual="own",
    fitted=fitted,
    own_weights=own_weights,
    check_exists=check_exists,
)
