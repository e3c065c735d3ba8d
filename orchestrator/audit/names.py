"""What a column is by its name: a measure on validation or test, a seed, a model, a mark."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

Side = Literal["validation", "test", "train", "unsaid"]

_SIDES: Final[dict[Side, frozenset[str]]] = {
    "test": frozenset({"test", "testing", "holdout", "heldout"}),
    "validation": frozenset({"val", "valid", "validation", "dev", "eval", "cv", "oof"}),
    "train": frozenset({"train", "training", "fit"}),
}
_HIGHER: Final = (
    *("accuracy", "acc", "top1", "f1", "auc", "auroc", "roc", "score", "precision", "recall"),
    *("kappa", "mcc", "map", "iou", "dice", "r2", "value", "values", "objective", "reward"),
    *("top5", "miou", "jaccard", "auprc", "bleu", "fitness"),
)
_LOWER: Final = (
    *("loss", "logloss", "error", "err", "nll", "rmse", "mse", "mae", "perplexity", "ppl"),
)
MEASURES: Final = (*_HIGHER, *_LOWER)
"""The first found in a study's columns is taken for what trials were chosen by."""
EITHER_WAY: Final = frozenset({"score", "value", "values", "objective", None})
"""Measures of which a name does not say whether more is better."""
_PREFIXES: Final = re.compile(r"^(metrics|params?|config|user_attrs|tags|summary|hp|hparams)[._/]")
_PARAMS: Final = re.compile(r"^(params?|config|hp|hparams)[._/]")
_CROSS_VALIDATION: Final = re.compile(r"^(split\d+|mean|std|rank)_test_")
SPLIT: Final = re.compile(r"^split\d+_test_")

GROUPS: Final = (
    *("group", "family", "model", "model_name", "architecture", "arch", "network", "backbone"),
    *("algorithm", "algo", "method", "classifier", "estimator", "learner"),
)
SEEDS: Final = ("seed", "random_seed", "random_state", "rng_seed", "replicate", "repeat")
NAMES: Final = ("trial_id", "trial", "number", "run_id", "run", "id", "name")
STATES: Final = ("state", "status", "trial_state")
EPOCHS: Final = ("epochs_run", "n_epochs", "num_epochs", "epochs", "epoch", "training_iteration")
SECONDS: Final = (
    *("device_seconds", "seconds", "time_total_s", "duration", "duration_seconds", "runtime"),
    *("train_seconds", "train_time", "wall_time", "mean_fit_time"),
)
HYPERPARAMETERS: Final = {
    *("lr", "rate", "batch", "decay", "wd", "dropout", "momentum", "optimizer", "hidden"),
    *("layers", "depth", "width", "units", "neurons", "channels", "filters", "kernel"),
    *("estimators", "leaf", "leaves", "split", "c", "gamma", "alpha", "beta", "lambda"),
    *("l1", "l2", "penalty", "regularization", "augmentation", "augment", "smoothing"),
    *("warmup", "scheduler", "schedule", "activation", "eta", "subsample", "colsample"),
    *("neighbors", "solver", "temperature", "rank", "heads", "embedding", "hyperparameters"),
}
"""Words of which one stands in the name of a hyperparameter, where no tracker says that it is."""
ROLES: Final = ("role", "kind", "type", "tag", "note", "comment", "variant", "phase", "stage")
BASELINES: Final = ("baseline", "is_baseline")
CHOSEN: Final = (
    *("selected", "is_selected", "chosen", "is_chosen", "winner", "is_winner", "reported"),
    *("is_reported", "is_best", "best_trial"),
)
KNOWN: Final = frozenset(
    NAMES + STATES + EPOCHS + SECONDS + SEEDS + ROLES + BASELINES + CHOSEN + GROUPS
)
"""Names of columns that are no hyperparameters."""
MOMENTS: Final = {"time", "date", "datetime", "timestamp", "host", "hostname", "start", "end"}
"""Words in the names of columns that are no hyperparameters either."""


def tokens(name: str) -> list[str]:
    """The words of a name, in lower case: `valAcc` is `val acc`."""
    apart = re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name)
    return re.findall(r"[a-z]+\d*|\d+", apart.lower())


def plain(name: str) -> str:
    """A name without the prefix that a tracker gives it, in lower case with underscores."""
    return "_".join(tokens(_PREFIXES.sub("", name)))


def is_param(name: str) -> bool:
    """Whether a tracker says that it is a hyperparameter."""
    return _PARAMS.match(name) is not None


def side(name: str, *, cross_validation: bool = False) -> Side:
    """The part of the data that a measure is of, by its name.

    Args:
        name: Of the column.
        cross_validation: It stands in scikit-learn's `cv_results_`, whose test is each fold's.
    """
    if cross_validation and _CROSS_VALIDATION.match(plain(name)):
        return "validation"
    words = set(tokens(name))
    return next((part for part, names in _SIDES.items() if words & names), "unsaid")


def is_cross_validation(columns: Iterable[str]) -> bool:
    """Whether columns are those of scikit-learn's `cv_results_`."""
    return any(re.match(r"^(split\d+|rank)_test_", plain(name)) for name in columns)


def measure(name: str) -> str | None:
    """The measure that a name speaks of; None where it speaks of none."""
    words = tokens(_PREFIXES.sub("", name))
    return next((each for each in MEASURES if each in words), None)


def place(name: str) -> int:
    """That of a name's measure in `MEASURES`."""
    return MEASURES.index(measure(name) or "")


def is_higher_better(name: str) -> bool:
    """Whether more of a measure is better, by its name."""
    return not set(tokens(name)) & set(_LOWER)


def without_side(name: str) -> list[str]:
    """The words of a measure's name but for the part of the data that it is of."""
    sides = frozenset().union(*_SIDES.values())
    return [word for word in tokens(_PREFIXES.sub("", name)) if word not in sides]


def first_of(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first column, by the order of what is wanted, whose plain name is wanted."""
    by_name = {plain(name): name for name in reversed(columns)}
    return next((by_name[name] for name in wanted if name in by_name), None)
