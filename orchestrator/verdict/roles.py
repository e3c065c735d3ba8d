"""Which column says what: names as frameworks use them, or as they are given."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from orchestrator.verdict.faults import short
from orchestrator.verdict.tables import NO_NAME, Array, Columns

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "image": (
        *("image", "image_id", "image_index", "imageid", "img", "img_id", "file", "filename"),
        *("file_name", "filepath", "file_path", "path", "image_path", "id", "uid", "sample"),
        *("sample_id", "example_id", "row_id", "idx", "index", *NO_NAME),
    ),
    "label": (
        *("label", "labels", "label_id", "label_ids", "true", "true_label", "true_class", "truth"),
        *("y_true", "y", "target", "targets", "ground_truth", "gt", "actual", "reference"),
        *("references", "expected"),
    ),
    "predicted": (
        *("predicted", "prediction", "predictions", "pred", "preds", "y_pred", "predicted_class"),
        *("predicted_label", "pred_label", "pred_class", "class", "output", "outputs", "top1"),
        *("label_0", "index_0"),
    ),
    "probabilities": (
        *("probabilities", "probability", "probs", "prob", "proba", "probas", "y_proba", "y_prob"),
        *("predict_proba", "scores", "score", "softmax"),
    ),
    "logits": ("logits", "logit"),
    "model": (
        *("model", "model_name", "classifier", "method", "family", "architecture", "run_name"),
        "run",
    ),
    "seed": ("seed", "random_state", "random_seed", "repeat", "replicate"),
    "classes": ("classes", "class_names", "classes_"),
}
"""Role to the names that say it, in lower case; the first that is there does."""
ROW_NUMBERS: Final = frozenset({"index", "idx", *NO_NAME})
"""Columns that name images only where they are not just counted."""
_OF_A_CLASS: Final = re.compile(
    r"(?P<what>prob|proba|probs|probability|probabilities|p|score|softmax|logit|logits)"
    r"(?:_class|(?<=probability) of(?= ))?[ _.:-]+(?P<name>.+)",
    re.IGNORECASE,
)


@dataclass(kw_only=True, eq=False)
class Outputs:
    """The numbers of a file for each class, if it has them.

    Attributes:
        outputs: One number a class, [rows, classes]; None where it has classes alone.
        names: Of the classes of the outputs, in their order; empty where they are not named.
        logits: Whether the outputs are said to be logits.
        trainer: Whether it is what a Hugging Face Trainer predicts, which are logits as a rule.
        single: The first of a column of probabilities that has one value an image; empty elsewhere.
    """

    outputs: Array | None = None
    names: tuple[str, ...] = ()
    logits: bool = False
    trainer: bool = False
    single: str = ""


@dataclass(kw_only=True, eq=False)
class Roles(Outputs):
    """What a file says, by role.

    Attributes:
        columns: Role to its column: `image`, `label`, `predicted`, `model`, `seed`, [rows].
        other: All columns without a role, [rows].
    """

    columns: dict[str, Array] = field(default_factory=dict)
    other: dict[str, Array] = field(default_factory=dict)


def roles_of(columns: Columns, columns_given: Mapping[str, str], known: Iterable[str]) -> Roles:
    """Finds what each column says.

    Args:
        columns: Of a file.
        columns_given: Role to the column that has it, whatever it is named.
        known: Names of classes, where they are known: columns named so are their probabilities.

    Raises:
        ValueError: A column that was given is not there.
    """
    rest = dict(columns)
    found = Roles()
    for role, name in columns_given.items():
        if name in columns:
            found.columns[role] = rest.pop(name, columns[name])
    best_only = _take_best_of_timm(found, rest)
    image_name = ""
    for role, names in NAMES.items():
        lower = {name.lower().strip(): name for name in rest}
        for name in names:
            if role not in found.columns and name in lower:
                found.columns[role] = rest.pop(lower[name])
                image_name = name if role == "image" else image_name
    images = found.columns.get("image", np.empty(0)).tolist()
    if image_name in ROW_NUMBERS and [*map(str, images)] == [*map(str, range(len(images)))]:
        # An index that pandas or a framework wrote, 0, 1, 2 ..., names no image.
        found.columns.pop("image", None)
    dropped = best_only or {"label_0", "index_0"} & set(columns)
    _take_outputs(found, rest, dropped=bool(dropped), trainer="label_ids" in columns)
    if found.outputs is None:
        _take_columns_of_classes(found, rest, set(known))
    found.other = {name: values for name, values in rest.items() if values.ndim == 1}
    return found


def _take_best_of_timm(found: Roles, rest: dict[str, Array]) -> bool:
    """Whether a table has, as of timm's `inference.py --topk K`, the best classes of each file.

    Its `index` and `label` are then what was predicted, and `prob` is of these classes alone.
    """
    lower = {name.lower().strip(): name for name in rest}
    beside = {*lower} - {*NAMES["image"]} | ({*lower} & {"index"})
    if not (
        {"index"} < beside <= {"index", "label", "prob", "logit"} and beside & {"prob", "logit"}
    ):
        return False
    best = [rest.pop(lower[name]) for name in ("index", "label") if name in lower][-1]
    found.columns["predicted"] = best[:, 0] if best.ndim > 1 else best
    return True


def _take_outputs(found: Roles, rest: dict[str, Array], *, dropped: bool, trainer: bool) -> None:
    """Takes the matrix with one number a class, under whichever name it stands."""
    if "classes" in found.columns:
        found.names = tuple(map(str, found.columns.pop("classes").tolist()))
    given = {role: found.columns.pop(role, None) for role in ("probabilities", "logits")}
    predicted = found.columns.get("predicted")
    if dropped:
        for name in [name for name in rest if _OF_A_CLASS.fullmatch(name)]:
            del rest[name]
        return
    for role, values in given.items():
        if values is not None and values.ndim == MATRIX:
            found.outputs, found.logits = values, role == "logits"
        elif values is not None and len(values):
            found.single = short(values[0])
    if predicted is not None and predicted.ndim == MATRIX:
        # A Trainer's predictions are logits, a Keras model's probabilities: their sums tell.
        del found.columns["predicted"]
        if found.outputs is None:
            found.outputs, found.trainer = predicted, trainer


def _take_columns_of_classes(found: Roles, rest: dict[str, Array], known: set[str]) -> None:
    """Takes the columns that are one class each: `prob_cat`, or `cat` where that is a class."""
    named = {name: _OF_A_CLASS.fullmatch(name) for name in rest if rest[name].ndim == 1}
    taken = {name: match["name"] for name, match in named.items() if match}
    what = {match["what"].lower() for match in named.values() if match}
    if not taken:
        labels = known or set(map(str, found.columns.get("label", np.array([])).tolist()))
        bare = [name for name in named if name.strip() in labels]
        digits = [name for name in named if name.isdigit()]
        if bare and (labels <= set(bare) or len(bare) > 1):
            taken = {name: name.strip() for name in bare}
        elif not labels and len(digits) > 1 and {*map(int, digits)} == {*range(len(digits))}:
            taken = {name: name for name in digits}
    if taken:
        found.outputs = np.stack([_numbers(rest.pop(name)) for name in taken], axis=1)
        found.names = tuple(taken.values())
        found.logits = bool(what) and what <= {"logit", "logits"}


def _numbers(values: Array) -> Array:
    """Numbers of texts; what is none is NaN, and counted as such later."""
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    numbers = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        with suppress(TypeError, ValueError):
            numbers[place] = float(value)
    return numbers


MATRIX: Final = 2
"""Dimensions of a column with one number a class."""
