"""Meaning and unit of each stored column: in the files' own metadata and docs/COLUMNS.md."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

_SHARE: Final = "fraction, 0 to 1"
_SECONDS: Final = "s"
_LOSS: Final = "nats"
_COUNT: Final = "count"

# Column: its unit, and what it is; this alone where it has no unit.
_MEANINGS: Final[Mapping[str, str | tuple[str, str]]] = {
    "study": "the study's name: that of its folder",
    "family": "the model family",
    "trial_id": "`<family>-<number>`, or `<family>-<role>-s<seed>-f<fraction>` of a final run",
    "role": "`baseline` or `search`; in the finals `baseline` or `tuned`",
    "seed": "the seed of initial weights, batches and augmentation",
    "train_fraction": (_SHARE, "how much of the training images it was trained on"),
    "status": "`completed`, `stopped` (by ASHA), `diverged`, `failed` or `running`",
    "stop_reason": "why it is not `completed`; null where it is",
    "epochs_run": (_COUNT, "epochs that have a row"),
    "attempts": (_COUNT, "processes that have tried it"),
    "best_epoch": ("epoch, from 1", "the epoch with the best objective on validation"),
    "epoch": ("epoch, from 1", "the epoch"),
    "sequence": "the order in which epochs and arrivals at rungs came",
    "attempt": ("from 1", "the attempt that computed it"),
    "train_loss": (_LOSS, "mean cross-entropy of the epoch's training batches"),
    "train_accuracy": (_SHARE, "accuracy on the epoch's training batches, augmented as they were"),
    "validation_loss": (_LOSS, "mean cross-entropy on the validation images"),
    "validation_accuracy": (_SHARE, "accuracy on the validation images"),
    "validation_precision": (
        _SHARE,
        "macro precision on the validation images; never predicted: 0",
    ),
    "validation_recall": (_SHARE, "macro recall on the validation images: the balanced accuracy"),
    "validation_f1": (_SHARE, "macro F1 on the validation images"),
    "objective": (_SHARE, "what epochs and trials are compared by: the setting of that name"),
    "learning_rate": "of the epoch's last step, in the highest trained layers below the head",
    "epoch_seconds": (_SECONDS, "wall time of the epoch, training and validation"),
    "images_per_second": ("images/s", "training images by the seconds of training alone"),
    "device_memory_peak_bytes": (
        "bytes",
        "most that tensors took on the GPU in this process so far; null without",
    ),
    "reported_at": ("UTC", "when the driver heard of it"),
    "device_seconds": (
        "device-s",
        "wall time times what it reserved: its share of a GPU, else its CPUs",
    ),
    "node": "the node of the last attempt",
    "device": "`cuda` or `cpu`",
    "device_name": "model of the GPU, or of the processor where there is none",
    "device_memory_bytes": ("bytes", "all memory of the GPU; null without one"),
    "driver": "version of the GPU's driver; null without one",
    "cuda": "version of CUDA that PyTorch was built for; null without a GPU",
    "cudnn": "version of cuDNN that PyTorch uses; null without a GPU",
    "device_speed": (
        "images/s",
        "measured on a fixed work with `mix_devices` alone; otherwise null",
    ),
    "started_at": ("UTC", "when its first attempt began"),
    "ended_at": ("UTC", "when it ended; null while it runs"),
    "error": "the last error's message; null where there was none",
    "train_images": (_COUNT, "images it was trained on"),
    "validation_images": (_COUNT, "images it was validated on"),
    "test_images": (_COUNT, "images it was tested on"),
    "last_epoch": ("epoch, from 1", "the last epoch; `*_last_epoch` are of it"),
    "test_loss": (
        _LOSS,
        "mean cross-entropy on the test images, no probability clipped; scikit-learn's `log_loss` "
        "clips them and says less of a network that is very sure and wrong",
    ),
    "test_accuracy": (_SHARE, "accuracy on the test images"),
    "test_precision": (
        _SHARE,
        "macro precision on the test images; a class never predicted counts 0",
    ),
    "test_recall": (_SHARE, "macro recall on the test images"),
    "test_precision_micro_at_half": (_SHARE, "micro precision on the test images at threshold 0.5"),
    "test_recall_micro_at_half": (_SHARE, "micro recall on the test images at threshold 0.5"),
    "classes_never_predicted": (_COUNT, "classes that no test image was taken for"),
    "parameters": (_COUNT, "parameters of the network"),
    "trained_parameters": (_COUNT, "parameters that are trained"),
    "forward_flops_per_image": ("FLOP", "floating-point operations of one image's forward pass"),
    "train_seconds": (_SECONDS, "wall time of all its epochs"),
    "params_json": ("JSON", "all hyperparameters of the row"),
    "rung": ("epoch, from 1", "the rung of ASHA that it arrived at"),
    "value": (_SHARE, "the objective it arrived with"),
    "cutoff": (_SHARE, "what it had to reach to go on; null where too few had arrived"),
    "decision": "`continue`, `stop`, `protected` (a weak baseline) or `finished` (older)",
    "at": ("UTC", "when it happened"),
    "kind": "what happened: a fault, a retry, the opening of the test set",
    "detail": "its particulars, as text or JSON",
    "image_index": ("from 0", "the image's place in the test part"),
    "label": ("class, from 0", "its true class, as `study.json` numbers them"),
    "predicted": ("class, from 0", "the class with the highest probability"),
    "probabilities": (
        _SHARE,
        "the softmax's value of each class, as float32: below 1.4e-45 it is 0, and a loss of "
        "them is a lower bound",
    ),
    "file": "the test image's file; null where it is none",
    "a_family": "the family of the first model, a",
    "a_role": "its role",
    "b_family": "the family of the second model, b",
    "b_role": "its role",
    "metric": "the test metric that is compared",
    "difference": ("of the metric", "a minus b"),
    "ci_low": ("of the metric", "lower end of the difference's 95% interval"),
    "ci_high": ("of the metric", "upper end of the difference's 95% interval"),
    "p_value": (
        "probability",
        "of accuracy: McNemar's with a seed, the interval's over means; else null",
    ),
    "p_value_holm": (
        "probability",
        "that, adjusted by Holm over the distinct pairs of fraction and seed; of registered "
        "questions over all of these",
    ),
    "n_images": (_COUNT, "test images compared"),
    "n_seeds": (_COUNT, "seeds that are averaged"),
    "registered": (
        "of means, whether it was registered before the search; null: the study registered none"
    ),
}

# Where a table's column means something of its own.
_OF_TABLE: Final[Mapping[tuple[str, str], str | tuple[str, str]]] = {
    ("epochs", "device_name"): "model of the attempt's GPU, or processor where there is none",
    ("final", "epoch"): (
        "epoch, from 1",
        "the one with the best objective; plain `test_*` columns are of it",
    ),
    ("comparison", "seed"): "the seed of both models; null: the difference of means over seeds",
    ("comparison", "train_fraction"): (
        _SHARE,
        "how much of the training images both were trained on",
    ),
    ("events", "family"): "the family it concerns; null: the study",
    ("events", "trial_id"): "the trial it concerns; null: none in particular",
}


def described(table: str, column: pa.Field) -> pa.Field:
    """A column with its unit and meaning as metadata.

    Raises:
        KeyError: Neither stands here.
    """
    name, end = column.name, ""
    found = _OF_TABLE.get((table, name))
    if name.startswith("param_"):
        found = f"the hyperparameter `{name.removeprefix('param_')}`; null: not in this family"
    elif found is None and name not in _MEANINGS:
        name, end = name.removesuffix("_last_epoch"), ", at the last epoch"
    entry = found or _MEANINGS[name]
    unit, meaning = ("", entry) if isinstance(entry, str) else entry
    texts = {"description": meaning + end, "unit": unit}
    return column.with_metadata({name: text for name, text in texts.items() if text})
