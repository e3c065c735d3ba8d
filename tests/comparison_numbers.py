"""Recomputes what `comparison.md` says, from the tables with pandas, scikit-learn and SciPy alone.

`python tests/comparison_numbers.py RESULTS` prints how many numbers were held against it.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, spearmanr
from sklearn import metrics
from statsmodels.stats.multitest import multipletests

NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
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


def agrees(shown: str, value: float) -> bool:
    """Whether a number as it is printed is the rounding of a value."""
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
                cells[*key, column] = [100 * own[name].mean()]
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
    for title, section in shown.items():
        for prefix, keys, cells in _expected(again):
            if not title.startswith(prefix):
                continue
            for row in section.rows:
                for column, cell in zip(section.columns[keys:], row[keys:], strict=True):
                    found = NUMBER.findall(cell)
                    values = cells(title).get((*row[:keys], column))
                    if values is None:
                        problems.append(f"{title}: nothing to hold {row[:keys]} {column} against")
                    elif len(found) != len(values) or not all(map(agrees, found, values)):
                        problems.append(f"{title}: {row[:keys]} {column} {cell}, not {values}")
                    checked += len(found)
    for row, stored, computed in again.differences():
        checked += 1
        if abs(stored - computed) > 1e-6:
            problems.append(f"difference of {row} is {computed}")
    stored = again.table["comparison"]
    for (a, ar, b, br, fraction, seed), ps in again.p_values().items():
        own = stored[(stored.metric == "accuracy") & (stored.seed == seed)]
        own = own[(own.train_fraction == fraction) & (own.a_family == a) & (own.a_role == ar)]
        own = own[(own.b_family == b) & (own.b_role == br)]
        checked += 2
        if not np.allclose(own[["p_value", "p_value_holm"]].to_numpy()[0], ps, rtol=1e-9):
            problems.append(f"p of {a} {ar} against {b} {br} at {fraction:g}: {ps}")
    return checked, problems


def _expected(again: Recomputed) -> Iterator[tuple[str, int, Callable[[str], Values]]]:
    """Titles' beginnings, how many columns name a row, and what the other cells must be."""

    def results_at(title: str) -> Values:
        return again.test_results(float(title.split(":", maxsplit=1)[0].rsplit(" ", 1)[1]))

    yield "Test results at train fraction", 1, results_at
    yield "Calibration on the test images", 2, lambda _: again.calibration()
    yield "Classes: precision / recall", 1, lambda _: again.classes()
    yield "Early stopping: the rungs", 2, lambda _: again.rungs()
    yield "Early stopping: do early ranks hold?", 3, lambda _: again.ranks()
    yield "Fairness: what each family was given", 1, lambda _: again.effort()
    yield "Fairness: selection optimism", 1, lambda _: again.optimism()


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
