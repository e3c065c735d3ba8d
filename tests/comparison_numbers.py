"""Recomputes what `comparison.md` says, from the tables with pandas, scikit-learn and SciPy alone.

`python tests/comparison_numbers.py RESULTS` prints how many numbers were held against it.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, binomtest, spearmanr
from sklearn import metrics
from statsmodels.stats.multitest import multipletests

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?(?!\w)")
# Names and sources, whose digits count nothing.
NAMES = re.compile(
    r"resnet[\w-]+|\b[\w.-]+-\d{3}\b|\(?\b(?:19|20)\d\d\)?|CIFAR-10|SHA-256 \w+"
    r"|[\w.-]+\.safetensors|`[^`]*`|They were trained on: .*"
)
# Not said in a table either; `test_sample_efficiency.py` and `test_training_noise.py` hold these.
BOOTSTRAPPED = ("Sample efficiency: where families cross",)
REFERENCE = {
    (family, "reference", column): [value]
    for family, values in {
        "cnn": (50, 1.58, 70, 0.71, 0.69),
        "resnet50_scratch": (50, 1.56, 66, 0.68, 0.65),
        "resnet50_transfer": (50, 0.52, 88, 0.88, 0.87),
    }.items()
    for column, value in zip(
        ("epoch", "test loss", "test accuracy", "precision", "recall"), values, strict=True
    )
}
FIXED = ("95", "0.0001", "0", "0.5", "15", "2")
"""Confidence, the least p shown, thresholds, bins of the calibration error, a FLOP's count."""
PAIR = ["a_family", "a_role", "b_family", "b_role", "train_fraction", "seed"]
Values = Mapping[tuple[str, ...], list[float]]


@dataclass
class Shown:
    """A section of `comparison.md`: its table by rows, and its sentences."""

    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


def sections(text: str) -> dict[str, Shown]:
    """The sections of a Markdown report by title."""
    found: dict[str, Shown] = {}
    for line in text.splitlines():
        if line.startswith("## "):
            shown = Shown(title=line[3:])
            found[shown.title] = shown
        elif line.startswith("| ---"):
            shown.columns = shown.rows.pop()
        elif line.startswith("| "):
            shown.rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
        elif line.startswith("- ") and found:
            shown.sentences.append(line[2:])
    return found


class Near(float):
    """The end of an interval of an accuracy, exact: 0.1 points and one image are close enough."""

    room: float

    def __new__(cls, images: float, tested: int) -> "Near":
        """The end in points, from the images that are right."""
        near = super().__new__(cls, 100 * images / tested)
        near.room = 0.1 + 100 / tested
        return near


class Rounded(float):
    """A value of which two digits are shown."""


ANY = float("nan")
"""A value that nothing else gives."""


def agrees(shown: str, value: float) -> bool:
    """Whether a number as it is printed is the rounding of a value."""
    if math.isnan(value):
        return True
    if isinstance(value, Rounded):
        return float(shown.replace(",", "")) == float(f"{value:.2g}") or float(value).is_integer()
    if isinstance(value, Near):
        return abs(float(shown) - value) <= value.room
    text = shown.replace(",", "").lstrip("+")
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return abs(float(text) - value) <= 0.5 * 10.0**-decimals * (1 + 1e-6) + 1e-12


class Recomputed:
    """A study's numbers, computed again."""

    def __init__(self, folder: Path) -> None:
        self.study: dict[str, Any] = json.loads((folder / "study.json").read_text())
        names = ("trials", "epochs", "rungs", "final", "predictions", "comparison")
        self.table = {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}
        for table in self.table.values():
            for column in table.select_dtypes("category"):
                table[column] = table[column].astype(object)

    @cached_property
    def runs(self) -> dict[tuple[str, str, float, int], pd.DataFrame]:
        """Family, role, fraction, seed to predictions by image."""
        keys = ["family", "role", "train_fraction", "seed"]
        return {
            key: own.sort_values("image_index")
            for key, own in self.table["predictions"].groupby(keys)
        }

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Test metrics of each run from its predictions, in the units shown."""
        rows = []
        for (family, role, fraction, seed), own in self.runs.items():
            probabilities = np.stack(own.probabilities.to_numpy()).astype(float)
            labels, predicted = own.label.to_numpy(), own.predicted.to_numpy()
            classes = np.arange(probabilities.shape[1])
            chosen = np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)
            macro = {"labels": classes, "average": "macro", "zero_division": 0}
            rows.append(
                {
                    "family": family,
                    "role": role,
                    "fraction": fraction,
                    "seed": seed,
                    "loss": float(-np.log(chosen).mean()),
                    "accuracy": metrics.accuracy_score(labels, predicted),
                    "precision": metrics.precision_score(labels, predicted, **macro),
                    "recall": metrics.recall_score(labels, predicted, **macro),
                    "confidence": probabilities.max(axis=1).mean(),
                    "ece": _calibration_error(probabilities, labels),
                }
            )
        return pd.DataFrame(rows)

    def of_model(self, family: str, role: str, fraction: float) -> pd.DataFrame:
        """The runs of one model."""
        own = self.measured
        return own[(own.family == family) & (own.role == role) & (own.fraction == fraction)]

    def p_values(self) -> dict[tuple[Any, ...], tuple[float, float]]:
        """Pair, fraction and seed to McNemar's p and Holm's."""
        adjusted: dict[tuple[Any, ...], tuple[float, float]] = {}
        stored = self.table["comparison"]
        stored = stored[(stored.metric == "accuracy") & stored.seed.notna()]
        for (fraction, seed), pairs in stored.groupby(["train_fraction", "seed"]):
            keys, ps = [], []
            for row in pairs.itertuples():
                a = self.runs[row.a_family, row.a_role, fraction, int(seed)]
                b = self.runs[row.b_family, row.b_role, fraction, int(seed)]
                right_a = (a.predicted == a.label).to_numpy()
                right_b = (b.predicted == b.label).to_numpy()
                only_a, only_b = (right_a & ~right_b).sum(), (right_b & ~right_a).sum()
                both = int(only_a + only_b)
                ps.append(binomtest(int(only_a), both).pvalue if both else 1.0)
                keys.append((row.a_family, row.a_role, row.b_family, row.b_role, fraction, seed))
            for key, p, holm in zip(keys, ps, multipletests(ps, method="holm")[1], strict=True):
                adjusted[key] = (p, holm)
        return adjusted

    def differences(self) -> Iterator[tuple[Any, float, float]]:
        """Each row of `comparison.parquet` with its difference as stored and as computed again."""
        for row in self.table["comparison"].itertuples():
            a = self.of_model(row.a_family, row.a_role, row.train_fraction)
            b = self.of_model(row.b_family, row.b_role, row.train_fraction)
            if not pd.isna(row.seed):
                a, b = a[a.seed == row.seed], b[b.seed == row.seed]
            yield row, row.difference, a[row.metric].mean() - b[row.metric].mean()

    def test_results(self, fraction: float) -> Values:
        """Cells of a table of test results."""
        cells: dict[tuple[str, ...], list[float]] = {}
        final, trials = self.table["final"], self.table["trials"]
        for (family, role), own in self.measured[self.measured.fraction == fraction].groupby(
            ["family", "role"]
        ):
            model = f"{family} {role}"
            for column, name, scale in (
                ("test loss", "loss", 1),
                ("test accuracy", "accuracy", 100),
                ("macro precision", "precision", 1),
                ("macro recall", "recall", 1),
            ):
                values = scale * own[name]
                cells[model, column] = [values.mean(), *([values.std()] if len(own) > 1 else [])]
            row = final[(final.family == family) & (final.role == role)].iloc[0]
            cells[model, "seeds"] = [len(own)]
            cells[model, "parameters"] = [row.parameters]
            searched = trials[trials.family == family]
            cells[model, "search device seconds"] = [searched.device_seconds.sum()]
        return cells

    def calibration(self) -> Values:
        """Cells of the table of calibration."""
        cells = {}
        for (family, role, fraction), own in self.measured.groupby(["family", "role", "fraction"]):
            key = (f"{family} {role}", f"{fraction:g}")
            for column, name in (
                ("calibration error", "ece"),
                ("confidence", "confidence"),
                ("accuracy", "accuracy"),
            ):
                values = 100 * own[name]
                cells[*key, column] = [values.mean(), *([values.std()] if len(own) > 1 else [])]
        return cells

    def classes(self) -> Values:
        """Cells of the table of classes: precision and recall over all seeds together."""
        cells = {}
        names = self.study["dataset"]["classes"]
        largest = max(self.measured.fraction)
        for family in self.measured.family.unique():
            own = [r for k, r in self.runs.items() if k[:3] == (family, "tuned", largest)]
            if not own:
                continue
            pooled = pd.concat(own)
            labels = {"labels": range(len(names)), "average": None, "zero_division": 0}
            precision = metrics.precision_score(pooled.label, pooled.predicted, **labels)
            recall = metrics.recall_score(pooled.label, pooled.predicted, **labels)
            for index, name in enumerate(names):
                cells[name, family] = [precision[index], recall[index]]
                cells[name, "test images"] = [(own[0].label == index).sum()]
        return cells

    def rungs(self) -> Values:
        """Cells of the table of rungs."""
        cells = {}
        for (family, rung), own in self.table["rungs"].groupby(["family", "rung"]):
            cutoffs = own.sort_values("sequence").cutoff.dropna()
            key = (family, str(rung))
            cells[*key, "arrivals"] = [len(own)]
            cells[*key, "median accuracy"] = [100 * own.value.median()]
            cells[*key, "last cut-off"] = [100 * c for c in cutoffs.tail(1)]
            cells[*key, "survivors"] = [(own.decision != "stop").sum()]
        return cells

    def ranks(self) -> Values:
        """Cells of the table of rank correlations."""
        cells = {}
        last, epochs = self.study["settings"]["epochs"], self.table["epochs"]
        for family, own in self.table["rungs"].groupby("family"):
            at = {
                rung: arrivals.set_index("trial_id").value for rung, arrivals in own.groupby("rung")
            }
            ended = epochs[(epochs.family == family) & (epochs.epoch == last)]
            at[last] = ended.set_index("trial_id").validation_accuracy
            for earlier in sorted(at):
                for later in (rung for rung in sorted(at) if rung > earlier):
                    both = pd.concat([at[earlier], at[later]], axis=1, join="inner")
                    key = (family, str(earlier), str(later))
                    cells[*key, "trials at both"] = [len(both)]
                    constant = both.nunique().min() < 2
                    rho = [] if len(both) < 3 or constant else [spearmanr(both).statistic]
                    cells[*key, "Spearman's rho"] = rho
        return cells

    def reference(self) -> Values:
        """Cells of the table beside the reference results: our baselines at their last epoch."""
        final = self.table["final"]
        final = final[
            (final.role == "baseline") & (final.train_fraction == final.train_fraction.max())
        ]
        cells: dict[tuple[str, ...], list[float]] = {}
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
                    values = scale * own[f"{name}_last_epoch"]
                    spread = [values.std()] if len(own) > 1 else []
                    cells[*key, column] = [values.mean(), *spread]
        return cells

    def equal_accuracy(self) -> Values:
        """Cells of the table of training images for the same accuracy."""
        sizes = self.table["final"].groupby("train_fraction").train_images.first()
        tuned = self.measured[self.measured.role == "tuned"]
        means = tuned.pivot_table("accuracy", "family", "fraction")
        logs = np.log(sizes.to_numpy())
        cells: dict[tuple[str, ...], list[float]] = {}
        for leader, reached in means.iterrows():
            for other, own in means.drop(leader).iterrows():
                for images, accuracy in zip(sizes, reached, strict=True):
                    needed = _images_to_reach(logs, own.to_numpy(), accuracy)
                    key = (str(leader), f"{images:,}", str(other))
                    cells[*key, "images"] = [Rounded(needed)]
                    cells[*key, "times as many"] = [needed / images]
        return cells

    def sizes(self) -> Values:
        """Cells of the table of sizes."""
        columns = ("parameters", "of them trained", "forward MFLOPs per image")
        names = ("parameters", "trained_parameters", "forward_flops_per_image")
        cells = {}
        for (family, role), own in self.table["final"].groupby(["family", "role"]):
            row = own.loc[own.train_fraction.idxmax()]
            for column, name in zip(columns, names, strict=True):
                scale = 1e6 if "flops" in name else 1
                known = [] if pd.isna(row.get(name)) else [row[name] / scale]
                cells[f"{family} {role}", column] = known
        return cells

    def confused(self) -> Values:
        """Cells of the table of the worst confusions."""
        names, cells = self.study["dataset"]["classes"], {}
        for family in self.measured.family.unique():
            matrix = self.confusion_matrix(family)
            for true, label in enumerate(names):
                for taken, other in enumerate(names):
                    share = 100 * matrix[true, taken] / matrix[true].sum()
                    cells[f"{family} tuned", label, other, "of its images"] = [share]
                    counts = [matrix[true, taken], matrix[true].sum()]
                    cells[f"{family} tuned", label, other, "images"] = counts
        return cells

    def gain(self) -> Values:
        """Cells of the table of the best trial against the baseline."""
        trials = self.table["trials"].set_index("trial_id")
        cells = {}
        for family, chosen in self.study["choice"].items():
            best = trials.validation_accuracy[chosen["trial_id"]]
            baseline = trials.validation_accuracy[f"{family}-000"]
            cells[family, "baseline"] = [100 * baseline]
            cells[family, "its accuracy"] = [100 * best]
            cells[family, "gain (points)"] = [100 * (best - baseline)]
        return cells

    def savings(self) -> list[float]:
        """Epochs and device-hours saved, and device-seconds per epoch; ratios of the searches."""
        last, values = self.study["settings"]["epochs"], []
        spent = self.table["trials"].groupby("family").device_seconds.sum()
        for _, own in self.table["trials"].groupby("family"):
            ended, run = own[own.status == "stopped"], own.epochs_run.sum()
            saved, each = (last - ended.epochs_run).sum(), own.device_seconds.sum() / run
            values += [saved, run + saved, 100 * saved / (run + saved), each, saved * each / 3600]
        return [*values, *(a / b for a in spent for b in spent)]

    def effort(self) -> Values:
        """Cells of the table of effort."""
        cells = {}
        final = self.table["final"].drop_duplicates("trial_id")
        for family, own in self.table["trials"].groupby("family"):
            retrained = final[final.family == family]
            cells[family, "trials"] = [len(own)]
            cells[family, "epochs"] = [own.epochs_run.sum()]
            cells[family, "search device s"] = [own.device_seconds.sum()]
            cells[family, "final runs"] = [len(retrained)]
            cells[family, "finals device s"] = [retrained.device_seconds.sum()]
        return cells

    def interval(self, row: Any, sign: int = 1) -> list[float]:
        """A difference computed again, and its interval as stored, as they are shown."""
        a = self.of_model(row.a_family, row.a_role, row.train_fraction)[row.metric].mean()
        b = self.of_model(row.b_family, row.b_role, row.train_fraction)[row.metric].mean()
        scale = sign * (100 if row.metric == "accuracy" else 1)
        return [scale * (a - b), *sorted((scale * row.ci_low, scale * row.ci_high))]

    @cached_property
    def means(self) -> pd.DataFrame:
        """The rows of `comparison.parquet` on means over seeds."""
        return self.table["comparison"][self.table["comparison"].seed.isna()]

    def pairs(self, fraction: float) -> Values:
        """Cells of a table of every pair, the more accurate model first."""
        cells: dict[tuple[str, ...], list[float]] = {}
        own = self.means[
            (self.means.train_fraction == fraction) & (self.means.metric == "accuracy")
        ]
        for row in own.itertuples():
            names = f"{row.a_family} {row.a_role}", f"{row.b_family} {row.b_role}"
            for key, sign in ((names, 1), (names[::-1], -1)):
                cells[*key, "by points [95% interval]"] = self.interval(row, sign)
                cells[*key, "certain"] = []
        return cells

    def tuning(self) -> Values:
        """Cells of the table of tuned minus baseline."""
        names = {"accuracy": "accuracy (points)"}
        own = self.means[self.means.a_family == self.means.b_family]
        return {
            (f"{row.train_fraction:g}", row.a_family, names.get(row.metric, row.metric)): (
                self.interval(row, 1 if row.a_role == "tuned" else -1)
            )
            for row in own.itertuples()
        }

    def curves(self) -> Values:
        """Cells of the table of accuracies by training images; intervals of one seed are exact."""
        images = self.table["final"].groupby("train_fraction").train_images.first()
        cells = {}
        for (family, role, fraction), own in self.measured.groupby(["family", "role", "fraction"]):
            accuracy, ends = own.accuracy.mean(), [ANY, ANY]
            if len(own) == 1:
                tested = len(self.runs[family, role, fraction, own.seed.iloc[0]])
                ends = [Near(e, tested) for e in binom.ppf([0.025, 0.975], tested, accuracy)]
            cells[role, f"{images[fraction]:,}", family] = [100 * accuracy, *ends]
        return cells

    def confusion_matrix(self, family: str) -> np.ndarray:
        """Of a tuned family at the largest fraction, all seeds together, [true, predicted]."""
        largest, classes = max(self.measured.fraction), len(self.study["dataset"]["classes"])
        pooled = pd.concat(r for k, r in self.runs.items() if k[:3] == (family, "tuned", largest))
        return metrics.confusion_matrix(pooled.label, pooled.predicted, labels=range(classes))

    def confusions(self, family: str) -> Values:
        """Cells of a confusion matrix."""
        names, matrix = self.study["dataset"]["classes"], self.confusion_matrix(family)
        return {
            (name if name == str(index) else f"{index} {name}", str(column)): [
                matrix[index, column]
            ]
            for index, name in enumerate(names)
            for column in range(len(names))
        }

    def luck(self) -> Values:
        """Cells of the table of the expected best of k trials, by going through all draws."""
        cells = {}
        able = self.table["trials"]
        able = able[able.status.isin(["completed", "stopped"]) & able.validation_accuracy.notna()]
        for family in self.study["settings"]["families"]:
            own = able[able.family == family].validation_accuracy
            cells[family, "trials"] = [len(own)]
            for k in (1, 2, 4, 8, 16, 32):
                draws = (
                    [max(draw) for draw in combinations(own, k)] if comb(len(own), k) < 1e5 else []
                )
                cells[family, f"k={k}"] = [100 * np.mean(draws)] if draws else []
        return cells

    def optimism(self) -> Values:
        """Cells of the table of selection optimism."""
        cells = {}
        trials, final = self.table["trials"], self.table["final"]
        final = final[
            (final.role == "tuned") & (final.train_fraction == final.train_fraction.max())
        ]
        for family, chosen in self.study["choice"].items():
            own = final[final.family == family]
            searched = trials.set_index("trial_id").validation_accuracy[chosen["trial_id"]]
            validation, test = own.validation_accuracy.mean(), own.test_accuracy.mean()
            cells[family, "search validation"] = [100 * searched]
            cells[family, "re-trained validation"] = [100 * validation]
            cells[family, "re-trained test"] = [100 * test]
            cells[family, "search optimism (points)"] = [100 * (searched - test)]
            cells[family, "re-trained optimism (points)"] = [100 * (validation - test)]
        return cells


def check(folder: Path) -> tuple[int, list[str]]:
    """How many numbers of a study's `comparison.md` were computed again, and what differs."""
    again, problems, checked = Recomputed(folder), [], 0
    shown = sections((folder / "comparison.md").read_text())
    for found, problem in [*_cells(shown, again), *_pairs(again), *_sentences(shown, again)]:
        checked += found
        problems += [problem] if problem else []
    return checked, problems


def _cells(shown: Mapping[str, Shown], again: Recomputed) -> Iterator[tuple[int, str | None]]:
    """How many numbers each cell has, and what is wrong with it."""
    for title, section in shown.items():
        for prefix, keys, cells in _expected(again):
            if title.startswith(prefix):
                expected = cells(title)
                for row in section.rows:
                    for column, cell in zip(section.columns[keys:], row[keys:], strict=True):
                        found = NUMBER.findall(NAMES.sub("", cell))
                        values = expected.get((*row[:keys], column))
                        if values is None and not found:
                            continue
                        wrong = values is None or len(found) != len(values)
                        wrong = wrong or not all(map(agrees, found, values))
                        what = f"{title}: {row[:keys]} {column} is {cell}, not {values}"
                        yield len(found), what if wrong else None


def _sentences(shown: Mapping[str, Shown], again: Recomputed) -> Iterator[tuple[int, str | None]]:
    """How many numbers each sentence has, and those that neither a table nor a query gives."""
    cells = (cell for section in shown.values() for row in section.rows for cell in row)
    in_tables = {token.lstrip("+-") for cell in cells for token in NUMBER.findall(cell)}
    settings = again.study["settings"]
    pool = [
        *again.savings(),
        *again.table["final"].test_images,
        *again.table["final"].validation_images,
        *(settings[name] for name in ("seeds", "trials", "epochs")),
        *range(len(again.means) + 1),
        *again.table["comparison"].p_value_holm.dropna(),
    ]
    for section in shown.values():
        for sentence in section.sentences:
            found = [token.lstrip("+-") for token in NUMBER.findall(NAMES.sub("", sentence))]
            stray = [
                token
                for token in found
                if token not in in_tables
                and token not in FIXED
                and not any(agrees(token, value) for value in pool)
            ]
            what = f"{section.title}: nothing gives {stray} of: {sentence}"
            yield len(found), what if stray and section.title not in BOOTSTRAPPED else None


def _pairs(again: Recomputed) -> Iterator[tuple[int, str | None]]:
    """The same for the differences and p-values of `comparison.parquet`."""
    for row, stored, computed in again.differences():
        yield 1, None if abs(stored - computed) < 1e-6 else f"{row} differs by {computed}"
    pairs = again.table["comparison"].set_index(PAIR)
    pairs = pairs[(pairs.metric == "accuracy") & pairs.index.get_level_values("seed").notna()]
    for key, expected in again.p_values().items():
        found = pairs.loc[key, ["p_value", "p_value_holm"]].to_numpy(float)
        yield 2, None if np.allclose(found, expected, rtol=1e-9) else f"p of {key} is {expected}"


def _expected(again: Recomputed) -> Iterator[tuple[str, int, Callable[[str], Values]]]:
    """Titles' beginnings, how many columns name a row, and what the other cells must be."""

    def results_at(title: str) -> Values:
        return again.test_results(float(title.split(":", maxsplit=1)[0].rsplit(" ", 1)[1]))

    yield "Test results at train fraction", 1, results_at
    yield "Calibration on the test images", 2, lambda _: again.calibration()
    yield "Classes: precision / recall", 1, lambda _: again.classes()
    yield "Every pair at train fraction", 2, lambda title: again.pairs(float(title.split()[-1]))
    yield "Tuned minus baseline", 2, lambda _: again.tuning()
    yield "Sample efficiency: test accuracy against", 2, lambda _: again.curves()
    yield "Classes: confusion matrix of", 1, lambda title: again.confusions(title.split()[-2])
    yield "Fairness: expected best of k", 1, lambda _: again.luck()
    yield "Beside the reference results", 2, lambda _: {**again.reference(), **REFERENCE}
    yield "Sample efficiency: training images for", 3, lambda _: again.equal_accuracy()
    yield "Fairness: how large", 1, lambda _: again.sizes()
    yield "Classes: the worst confusions", 3, lambda _: again.confused()
    yield "Fairness: the best trial against", 1, lambda _: again.gain()
    yield "Early stopping: the rungs", 2, lambda _: again.rungs()
    yield "Early stopping: do early ranks hold?", 3, lambda _: again.ranks()
    yield "Fairness: what each family was given", 1, lambda _: again.effort()
    yield "Fairness: selection optimism", 1, lambda _: again.optimism()


def _images_to_reach(logs: np.ndarray, accuracies: np.ndarray, goal: float) -> float:
    """The fewest images, on lines over log(images); the most where they do not do."""
    for index, accuracy in enumerate(accuracies):
        if accuracy >= goal and not index:
            return float(round(np.exp(logs[0])))
        if accuracy >= goal:
            ends = slice(index - 1, index + 1)
            return float(np.exp(np.interp(goal, accuracies[ends], logs[ends])))
    return float(round(np.exp(logs[-1])))


def _calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Guo et al. 2017), bins closed above."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    own = pd.DataFrame({"bin": bin_of, "confidence": confidence, "right": right})
    gaps = own.groupby("bin").agg({"confidence": "mean", "right": "mean", "bin": "size"})
    return float((gaps.bin * (gaps.confidence - gaps.right).abs()).sum() / len(own))


if __name__ == "__main__":
    count, wrong = check(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{problem}\n" for problem in wrong))
    sys.stdout.write(f"{count} numbers computed again, {len(wrong)} differ\n")
    sys.exit(bool(wrong))
