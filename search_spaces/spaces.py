"""The dimensions that families share, and the two spaces they start from."""

from collections.abc import Mapping
from typing import Any, Final

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.baseline import Params
from search_spaces.dimension import Dimension

LEARNING_RATE = Dimension(
    values=FloatDistribution(1e-5, 1e-2, log=True),
    meaning="peak learning rate per step",
)
BATCH_SIZE = Dimension(
    values=CategoricalDistribution((32, 64, 128, 256)),
    meaning="images per optimizer step",
)
OPTIMIZER = Dimension(
    values=CategoricalDistribution(("adam", "adamw", "sgd")),
    meaning="Adam, AdamW, or SGD with Nesterov momentum 0.9",
)
WEIGHT_DECAY = Dimension(
    values=CategoricalDistribution((0.0, 1e-5, 1e-4, 1e-3, 1e-2)),
    meaning="L2 penalty of Adam and SGD",
)
# An optimizer's own, where the shared dimension's range is another one's; the others do not use it.
SGD_LEARNING_RATE = Dimension(
    values=FloatDistribution(1e-3, 0.5, log=True),
    meaning="SGD's, in place of learning_rate; around the 0.1 of He et al. 2016",
)
SGD_LEARNING_RATE_OF_FINE_TUNING = Dimension(
    values=FloatDistribution(1e-4, 0.1, log=True),
    meaning="SGD's, in place of learning_rate; range of Kornblith et al. 2019",
)
ADAMW_WEIGHT_DECAY = Dimension(
    values=FloatDistribution(1e-2, 0.3, log=True),
    meaning="AdamW's, in place of weight_decay: decoupled; to the 0.3 of Dosovitskiy et al. 2021",
)
SCHEDULE = Dimension(
    values=CategoricalDistribution(("constant", "cosine")),
    meaning="learning rate after the warm-up: constant, or a cosine to 0 at the last epoch",
)
WARMUP_FRACTION = Dimension(
    values=FloatDistribution(0.0, 0.2),
    meaning="share of all steps in which the rate rises linearly from 0",
)
DROPOUT = Dimension(
    values=FloatDistribution(0.0, 0.7),
    meaning="probability of zeroing a feature before the last layer",
)
LABEL_SMOOTHING = Dimension(
    values=FloatDistribution(0.0, 0.2),
    meaning="share of the target spread over all classes; shapes the gradient only",
)
AUGMENTATION = Dimension(
    values=CategoricalDistribution(("none", "flip", "flip_crop", "flip_crop_cutout")),
    also=("flip_crop_color", "flip_crop_rotate_color"),
    meaning="strength: mirror; also shift by up to an eighth; also hide a square of a quarter",
)
EMA_DECAY = Dimension(
    values=CategoricalDistribution((0.0, 0.999)),
    also=(0.99, 0.9999),
    meaning=(
        "decay of an average of the weights, which is tested in their place; 0: none "
        "(Tarvainen and Valpola 2017)"
    ),
)
LAYER_DECAY = Dimension(
    values=FloatDistribution(0.5, 1.0),
    meaning=(
        "learning rate of a block of layers relative to the one above; 1: all alike "
        "(Clark et al. 2020, Bao et al. 2022)"
    ),
)
# Dimensions of the training itself, which are searched where a study's settings name them alone:
# each says in which paper its range stands.
CLASS_WEIGHTS = Dimension(
    values=CategoricalDistribution(("none", "balanced")),
    meaning="what an image of a class weighs in the loss: all alike, or the rarer the more",
)
MIXUP = Dimension(
    values=FloatDistribution(0.0, 1.0),
    meaning="share of steps in which images are mixed in pairs (Zhang et al. 2018, alpha 1)",
)
CUTMIX = Dimension(
    values=FloatDistribution(0.0, 1.0),
    meaning=(
        "share of steps in which images get a box of another, of those without mixup "
        "(Yun et al. 2019, alpha 1)"
    ),
)
WEIGHT_DECAY_ON = Dimension(
    values=CategoricalDistribution(("all", "weights")),
    meaning="what decays: all, or all but biases and norms (He et al. 2019)",
)
HEAD_FIRST_FRACTION = Dimension(
    values=FloatDistribution(0.0, 0.5),
    meaning="share of all steps in which the head alone moves, before all (Kumar et al. 2022)",
)
STOCHASTIC_DEPTH = Dimension(
    values=FloatDistribution(0.0, 0.5),
    meaning=(
        "probability that a residual block is passed by in training, of the last one; lower "
        "before (Huang et al. 2016)"
    ),
)
OPTIONAL: Final[Mapping[str, tuple[Dimension, Any]]] = {
    "class_weights": (CLASS_WEIGHTS, "none"),
    "mixup": (MIXUP, 0.0),
    "cutmix": (CUTMIX, 0.0),
    "weight_decay_on": (WEIGHT_DECAY_ON, "all"),
    "ema_decay": (EMA_DECAY, 0.0),
}
"""Name to dimension, and the value of every baseline."""
OPTIONAL_PRETRAINED: Final[Mapping[str, tuple[Dimension, Any]]] = {
    "layer_decay": (LAYER_DECAY, 1.0),
    "head_first_fraction": (HEAD_FIRST_FRACTION, 0.0),
}
"""The same of networks from pre-trained weights alone."""
OPTIONAL_OF_LIBRARIES: Final[Mapping[str, tuple[Dimension, Any]]] = {
    "stochastic_depth": (STOCHASTIC_DEPTH, 0.0),
}
"""The same of a library's networks that have it; unnamed it is as the library has it."""
INSTEAD: Final[Mapping[str, tuple[str, str]]] = {
    "sgd_learning_rate": ("sgd", "learning_rate"),
    "adamw_weight_decay": ("adamw", "weight_decay"),
}
"""Name to the optimizer that alone uses it, and the dimension that it then uses no more."""
ABSENT: Final[Params] = {
    **{name: off for name, (_, off) in {**OPTIONAL, **OPTIONAL_PRETRAINED}.items()},
    **dict.fromkeys(INSTEAD),  # None: as the shared dimension says
    "classifier": "logistic",
}
"""What a trial trains with that lacks one of these: studies of earlier versions do."""

STEM = Dimension(
    values=CategoricalDistribution(("imagenet", "small")),
    meaning="ImageNet's 7x7 stride 2 with max-pooling, or 3x3 stride 1 without",
)

INPUT_SIZE = Dimension(
    values=CategoricalDistribution((32, 48, 64, 96, 128)),
    # For photographs; on CIFAR-10 160 to 224 cost 11 to 22 times as much as 48.
    also=(160, 192, 224, 256, 288, 320, 384),
    meaning="edge in pixels that images are resized to",
)
FROZEN_STAGES = Dimension(
    values=IntDistribution(0, 4),
    meaning="0: all layers are fine-tuned; k: the stem and the first k stages are not",
)
HEAD_LEARNING_RATE_MULTIPLIER = Dimension(
    values=FloatDistribution(1.0, 10.0, log=True),
    meaning="learning rate of the new head relative to the pre-trained layers",
)
NORMALIZATION = Dimension(
    values=CategoricalDistribution(("zero_one", "imagenet")),
    meaning="images in [0, 1] as they are, or with ImageNet's mean and deviation",
)

CLASSIFIER = Dimension(
    values=CategoricalDistribution(("logistic", "ridge")),
    meaning="head on frozen features: logistic regression, or least squares in closed form",
)
L2 = Dimension(
    values=FloatDistribution(1e-6, 10.0, log=True),
    meaning="L2 penalty on the head's weights, of standardised features",
)


def from_scratch() -> dict[str, Dimension]:
    """The space of a network with random weights."""
    return {
        "learning_rate": LEARNING_RATE,
        "batch_size": BATCH_SIZE,
        "optimizer": OPTIMIZER,
        "weight_decay": WEIGHT_DECAY,
        "schedule": SCHEDULE,
        "warmup_fraction": WARMUP_FRACTION,
        "dropout": DROPOUT,
        "label_smoothing": LABEL_SMOOTHING,
        "augmentation": AUGMENTATION,
        "sgd_learning_rate": SGD_LEARNING_RATE,
        "adamw_weight_decay": ADAMW_WEIGHT_DECAY,
        "ema_decay": EMA_DECAY,
    }


def fine_tuning() -> dict[str, Dimension]:
    """The space of a network from pre-trained weights: as from scratch, and what only it has."""
    return {
        **from_scratch(),
        "sgd_learning_rate": SGD_LEARNING_RATE_OF_FINE_TUNING,
        "input_size": INPUT_SIZE,
        "frozen_stages": FROZEN_STAGES,
        "head_learning_rate_multiplier": HEAD_LEARNING_RATE_MULTIPLIER,
        "normalization": NORMALIZATION,
        "layer_decay": LAYER_DECAY,
    }
