"""Tables of what the test images say."""

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from recomputing.cells.registry import UNITS, Cells, Key, fraction_in, known, scaled, spread, table
from recomputing.shown import Digits
from recomputing.study import Recomputed
from recomputing.tested import Model

REFERENCE = {
    "cnn": (50, 1.58, 70, 0.71, 0.69),
    "resnet50_scratch": (50, 1.56, 66, 0.68, 0.65),
    "resnet50_transfer": (50, 0.52, 88, 0.88, 0.87),
}


@table("Test results at train fraction", 1)
def test_results(r: Recomputed, title: str) -> Cells:
    cells: dict[Key, Any] = {}
    fraction = fraction_in(title)
    for (family, role), own in r.measured[r.measured.fraction == fraction].groupby(
        ["family", "role"]
    ):
        model = f"{family} {role}"
        for column, metric in (
            ("test loss", "loss"),
            ("test accuracy", "accuracy"),
            ("macro precision", "precision"),
            ("macro recall", "recall"),
        ):
            cells[model, column] = spread(own[metric], UNITS[metric])
        stored = r.final[(r.final.family == family) & (r.final.role == role)]
        stored = stored[stored.train_fraction == fraction]
        cells[model, "seeds"] = [len(own)]
        cells[model, "parameters"] = known(stored.parameters.iloc[0])
        behind = r.of_search(r.search_behind(family, fraction))
        behind = behind[behind.role == "baseline"] if role == "baseline" else behind
        cells[model, "search device seconds"] = [behind.device_seconds.sum()]
    return cells


@table("Beside the reference results", 2)
def reference(r: Recomputed, _: str) -> Cells:
    columns = ("epoch", "test loss", "test accuracy", "precision", "recall")
    cells = {
        (family, "reference", column): [value]
        for family, values in REFERENCE.items()
        for column, value in zip(columns, values, strict=True)
    }
    final = r.final[(r.final.role == "baseline") & (r.final.train_fraction == r.largest)]
    for family, own in final.groupby("family"):
        for kind, end in (("macro", ""), ("micro at 0.5", "_micro_at_half")):
            key = (family, f"ours, {kind}")
            cells[*key, "epoch"] = [own.last_epoch.max()]
            for column, name, scale in (
                ("test loss", "test_loss", 1),
                ("test accuracy", "test_accuracy", 100),
                ("precision", f"test_precision{end}", 1),
                ("recall", f"test_recall{end}", 1),
            ):
                cells[*key, column] = spread(own[f"{name}_last_epoch"], scale)
    return cells


@table("Final runs", 2)
def final_runs(r: Recomputed, _: str) -> Cells:
    own = r.measured[r.measured.fraction == r.largest]
    return {
        (f"{row.family} {row.role}", str(row.seed), "test accuracy"): [100 * row.accuracy]
        for row in own.itertuples()
    }


def pairs(r: Recomputed, fraction: float) -> Iterator[tuple[Model, Model]]:
    """Each two models, both ways."""
    own = [model[:2] for model in r.models if model[2] == fraction]
    yield from ((a, b) for a in own for b in own if a != b)


@table("Every pair at train fraction", 2)
def every_pair(r: Recomputed, title: str) -> Cells:
    cells: dict[Key, Any] = {}
    fraction = fraction_in(title)
    for a, b in pairs(r, fraction):
        found = scaled(r.difference(a, b, fraction))
        cells[" ".join(a), " ".join(b), "by points [95% interval]"] = found
        certain = found[1] > 0 or found[2] < 0
        cells[" ".join(a), " ".join(b), "certain"] = "yes" if certain else "no"
    return cells


@table("Tuned minus baseline", 2)
def tuned_minus_baseline(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family, role, fraction in r.models:
        if role == "tuned" and (family, "baseline", fraction) in r.models:
            for metric in UNITS:
                found = r.difference((family, "tuned"), (family, "baseline"), fraction, metric)
                column = "accuracy (points)" if metric == "accuracy" else metric
                cells[f"{fraction:g}", family, column] = scaled(found, metric)
    return cells


@table("Differences in test accuracy, in percentage points", 2)
def differences(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for fraction in r.images:
        for a, b in pairs(r, fraction):
            what = f"{a[0]} minus {b[0]}" if a[0] != b[0] else f"{a[0]}: tuned minus baseline"
            if a[1] == "tuned" == b[1] or (a[0] == b[0] and a[1] == "tuned"):
                found = scaled(r.difference(a, b, fraction))
                for column, value in zip(("points", "95% from", "to"), found, strict=True):
                    cells[f"{fraction:g}", what, column] = [value]
    return cells


@table("Training noise: would one more training", 3)
def training_noise(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for fraction in r.images:
        for a, b in pairs(r, fraction):
            first, second = (r.of_model(*model, fraction).accuracy for model in (a, b))
            share = mannwhitneyu(first, second, method="asymptotic").statistic
            key = (f"{fraction:g}", " ".join(a), " ".join(b))
            cells[*key, "seeds"] = [len(first), len(second)]
            cells[*key, "better in"] = [100 * share / len(first) / len(second)]
    return cells


@table("Test accuracy against training images", 2)
def curve(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for (family, role, fraction), ends in r.points.items():
        key = (f"{family} {role}", f"{r.images[fraction]:,}")
        for column, value in zip(("test accuracy", "95% from", "to"), ends, strict=True):
            cells[*key, column] = [100 * value]
        cells[*key, "seeds"] = [len(r.of_model(family, role, fraction))]
    return cells


@table("Sample efficiency: test accuracy against", 2)
def curves(r: Recomputed, _: str) -> Cells:
    return {
        (role, f"{r.images[fraction]:,}", family): [100 * value for value in ends]
        for (family, role, fraction), ends in r.points.items()
    }


@table("Sample efficiency: training images for", 3)
def equal_accuracy(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for leader, role, fraction in r.models:
        for other in dict.fromkeys(model[0] for model in r.models):
            if role == "tuned" and other != leader:
                images = r.images[fraction]
                needed = r.images_to_reach(other, r.accuracy(leader, role, fraction))
                shown = abs(needed) if needed < inf else max(r.images.values())
                exact = needed < 0 or needed == inf
                cells[leader, f"{images:,}", other, "images"] = [
                    shown if exact else Digits(shown, 2)
                ]
                cells[leader, f"{images:,}", other, "times as many"] = [shown / images]
    return cells


@table("Each class: recall, and what", 2)
def each_class(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family in r.tuned:
        matrix = r.confusion(family)
        for index, name in enumerate(r.classes):
            own, images = matrix[index], matrix[index].sum()
            others = np.where(np.arange(len(own)) == index, 0, own)
            wrong = others.max()
            key = (f"{family} tuned", name)
            cells[*key, "recall"] = [100 * own[index] / images] if images else []
            cells[*key, "of its images"] = [100 * wrong / images] if images else []
            guess = r.classes[others.argmax()] if wrong else "nothing else"
            cells[*key, "most often taken for"] = guess
    return cells


@table("Calibration on the test images", 2)
def calibration(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for (family, role, fraction), own in r.measured.groupby(["family", "role", "fraction"]):
        key = (f"{family} {role}", f"{fraction:g}")
        for column, name in (
            ("calibration error", "ece"),
            ("confidence", "confidence"),
            ("accuracy", "accuracy"),
        ):
            cells[*key, column] = spread(own[name], 100)
    return cells


@table("Classes: precision / recall", 1)
def classes(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family in r.tuned:
        matrix = r.confusion(family)
        seeds = len(r.of_model(family, "tuned"))
        for index, name in enumerate(r.classes):
            hits, said, images = matrix[index, index], matrix[:, index].sum(), matrix[index].sum()
            recall = [hits / images] if images else []
            cells[name, family] = [hits / said if said else 0, *recall]
            cells[name, "test images"] = [images // seeds]
    return cells


@table("Classes: the worst confusions", 3)
def confusions(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family in r.tuned:
        matrix = r.confusion(family)
        for true, label in enumerate(r.classes):
            for taken, other in enumerate(r.classes):
                wrong, images = matrix[true, taken], matrix[true].sum()
                key = (f"{family} tuned", label, other)
                cells[*key, "of its images"] = [100 * wrong / images] if images else []
                cells[*key, "images"] = [wrong, images]
    return cells


@table("Classes: confusion matrix of", 1)
def confusion_matrix(r: Recomputed, title: str) -> Cells:
    matrix = r.confusion(title.removeprefix("Classes: confusion matrix of ").rpartition(" ")[0])
    return {
        (name if name == str(index) else f"{index} {name}", str(column)): [matrix[index, column]]
        for index, name in enumerate(r.classes)
        for column in range(len(r.classes))
    }
