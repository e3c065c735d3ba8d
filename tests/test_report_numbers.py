"""Every number in the report's text is one that a query on the tables gives: a test walks them."""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_study import MadeUpStudy
from scipy.stats import mannwhitneyu, spearmanr
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from test_report import Page, build

from orchestrator import results
from orchestrator.predicted_runs import split_runs
from orchestrator.sample_efficiency import (
    crossing_interval,
    find_crossings,
    measure_curves,
    share_of_changed_leads,
)

FAMILIES = ("cnn", "resnet50_scratch", "resnet50_transfer")
NUMBER = re.compile(r"(?<![\w.#])\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?(?![\w])")
NAMES = re.compile(r"\b(?:resnet50_\w+|cnn)(?:-\d{3})?|CIFAR-10|cifar10|20\d\d-\d\d-\d\d \d\d:\d\d")
SOURCES = re.compile(r"\(?(?:after )?[A-Z][a-z]+ et al\.? \(?\d{4}")
Numbers = Iterator[float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MadeUpStudy(trials=16).write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def shown(folder: Path) -> Page:
    return build(folder)


class Tables:
    """The tables as pandas reads them, and what queries on them give."""

    def __init__(self, folder: Path) -> None:
        for name in ("trials", "epochs", "rungs", "final", "final_epochs", "comparison"):
            setattr(self, name, pd.read_parquet(folder / f"{name}.parquet"))
        self.folder = folder
        self.predictions = pd.read_parquet(folder / "predictions.parquet")
        self.study = json.loads((folder / "study.json").read_text())
        self.rung_epochs = sorted({*self.rungs.rung})

    def always(self) -> Numbers:
        """Counts and settings that stand in many chapters."""
        yield from (0, 1, 2, 3, 95, 100, 50, len(self.study["dataset"]["classes"]))
        yield from self.study["settings"]["train_fractions"]
        for name in ("trials", "epochs", "grace_period", "seeds"):
            yield self.study["settings"][name]
        yield from range(1, self.study["settings"]["epochs"] + 1)
        yield from (self.study["dataset"][f"{part}_images"] for part in ("train", "validation"))
        yield from {*self.final.train_images, *self.final.test_images}
        yield from (len(self.trials), *self.trials.groupby("family", observed=True).size())

    def header(self) -> Numbers:
        yield from self.test_means()
        yield from self.differences()
        device = self.trials.device_seconds.sum() + self.final.device_seconds.sum()
        yield from (device, device / 60, device / 3600)

    def results(self) -> Numbers:
        yield from self.test_means()
        yield from self.final.test_accuracy
        yield from self.trials.groupby("family", observed=True).device_seconds.sum()
        yield from {*self.final.parameters, *self.final.last_epoch}
        # The reference results.
        yield from (1.58, 70, 0.71, 0.69, 1.56, 66, 0.68, 0.65, 0.52, 88, 0.88, 0.87, 0.5)

    def test_means(self) -> Numbers:
        models = self.final.groupby(["family", "role", "train_fraction"], observed=True)
        for name in [c for c in self.final if c.startswith("test_") and c != "test_images"]:
            yield from models[name].mean()
            yield from models[name].std()

    def differences(self) -> Numbers:
        for name in ("difference", "ci_low", "ci_high", "p_value_holm"):
            yield from self.comparison[name].dropna().abs()
        yield 0.0001
        tests = self.final.groupby(["train_fraction", "family", "role"], observed=True)
        for (_, a), (_, b) in itertools.combinations(tests.test_accuracy, 2):
            share = mannwhitneyu(a, b).statistic / (len(a) * len(b))
            yield from (share, 1 - share)
        yield len(self.study["settings"]["families"])
        yield self.study["settings"]["seeds"] ** 2
        for fraction in self.study["settings"]["train_fractions"]:
            yield math.comb(len(tests.test_accuracy.mean()[fraction]), 2)

    def data(self) -> Numbers:
        """Accuracy against images; ends of intervals are a bootstrap of the predictions."""
        yield from self.test_means()
        tuned = self.final.groupby(["train_fraction", "role", "family"], observed=True)
        means = tuned.test_accuracy.mean()
        for key, a in means.items():
            for other, b in means.items():
                if key[:2] == other[:2]:
                    yield abs(a - b)
        yield from self.intervals()
        yield from self._images_for_equal_accuracy(means)
        for fraction in self.study["settings"]["train_fractions"]:
            yield round(45_000 * fraction)
        yield from (0.3, 10, 0.1)

    def _images_for_equal_accuracy(self, means: pd.Series) -> Numbers:
        """Where one family's line over log(images) reaches another's accuracy, and how often."""
        few, many = (means[fraction]["tuned"] for fraction in (0.1, 1.0))
        for family in few.index:
            for images, targets in ((4_500, few), (45_000, many)):
                share = (targets - few[family]) / (many[family] - few[family])
                for needed in np.exp(np.log(4_500) + share * np.log(10)):
                    yield from (float(f"{needed:.2g}"), needed / images)

    def intervals(self) -> Numbers:
        """Intervals of the curves and of their crossings; tests of their own hold what they are."""
        final, predictions = (
            results.read_table(self.folder, name) for name in ("final", "predictions")
        )
        curves = measure_curves(final, split_runs(predictions))
        for curve in curves.values():
            for point in curve:
                yield from (point.low, point.high)
        for (_, a), (_, b) in itertools.combinations(curves.items(), 2):
            yield share_of_changed_leads(a, b)
            for images in (*find_crossings(a, b), *crossing_interval(a, b)):
                yield float(f"{images:.2g}")

    def curves(self) -> Numbers:
        by_epoch = self.epochs.groupby(["family", "epoch"], observed=True).validation_accuracy
        for share in (0.25, 0.5, 0.75):
            yield from by_epoch.quantile(share)
        yield from by_epoch.count()
        yield from self.epochs.validation_accuracy
        yield from self.trials.validation_accuracy.dropna()

    def effort(self) -> Numbers:
        ended = self.trials[self.trials.status.isin(["completed", "stopped"])]
        for family in FAMILIES:
            own = self.trials[self.trials.family == family]
            values = sorted(ended[ended.family == family].validation_accuracy)
            baseline = own[own.role == "baseline"].validation_accuracy.iloc[0]
            yield from (*values, baseline, max(values) - baseline, len(values), len(own))
            yield from (len(own) - len(values), own.epochs_run.sum(), own.device_seconds.sum())
            for k in (1, 2, 4, 8, 16):
                if k <= len(values):
                    chosen = itertools.combinations(values, k)
                    yield float(np.mean([max(each) for each in chosen]))
            tuned = self.final[(self.final.family == family) & (self.final.role == "tuned")]
            tuned = tuned[tuned.train_fraction == 1.0]
            test, again = tuned.test_accuracy.mean(), tuned.validation_accuracy.mean()
            yield from (test, again, abs(max(values) - test), abs(again - test))
            yield from {*self.final.parameters}
            finals = self.final[self.final.family == family]
            yield from (len(finals), finals.device_seconds.sum())
        spent = self.trials.groupby("family", observed=True).device_seconds.sum()
        yield from (a / b for a in spent for b in spent)
        yield from (spent.max() * quarter / 4 for quarter in (1, 2, 3, 4))
        yield from self.best_so_far()
        yield from (4, 8, 16)

    def best_so_far(self) -> Numbers:
        """Device-seconds at which the best rose, also in minutes and hours, and to what."""
        trials = self.trials.set_index("trial_id")
        per_epoch = trials.device_seconds / trials.epochs_run
        for _, own in self.epochs.sort_values("sequence").groupby("family", observed=True):
            spent = own.trial_id.map(per_epoch).cumsum()
            yield from (*spent, *(spent / 60), *(spent / 3600))
            yield from own.validation_accuracy

    def stopping(self) -> Numbers:
        last = self.study["settings"]["epochs"]
        stopped = self.trials[self.trials.status == "stopped"]
        for own in (self.trials, *(g for _, g in self.trials.groupby("family", observed=True))):
            ended = own[own.status == "stopped"]
            saved, run = (last - ended.epochs_run).sum(), own.epochs_run.sum()
            seconds = own.device_seconds.sum() / run
            yield from (len(own), len(ended), saved, run, saved + run, saved / (saved + run))
            yield from (seconds, saved * seconds / 3600)
        assert len(stopped)
        for (_, rung), own in self.rungs.groupby(["family", "rung"], observed=True):
            cutoffs = own.sort_values("sequence").cutoff.dropna()
            yield from (rung, len(own), (own.decision != "stop").sum(), own.value.median())
            yield from cutoffs[-1:]
        yield from (5, 0.5)
        for _, own in self.rungs.groupby("family", observed=True):
            table = own.pivot_table(index="trial_id", columns="rung", values="value")
            for a, b in itertools.combinations(table.columns, 2):
                both = table[[a, b]].dropna()
                yield len(both)
                if len(both) > 2:
                    yield abs(spearmanr(both[a], both[b]).statistic)

    def search(self) -> Numbers:
        yield from self.trials.validation_accuracy.dropna()
        for name in ("learning_rate", "dropout", "batch_size"):
            yield from self.trials[f"param_{name}"].astype(float)
        can_win = self.trials[self.trials.status.isin(["completed", "stopped"])]
        for _, own in can_win.groupby("family", observed=True):
            yield from (len(own), len(own) // 5, (own.status == "stopped").sum())
        yield from (20, 30, 15)
        yield from self.importances

    importances: tuple[float, ...] = ()

    def classes(self) -> Numbers:
        at_largest = self.predictions[self.predictions.train_fraction == 1.0]
        for _, own in at_largest[at_largest.role == "tuned"].groupby("family", observed=True):
            precision, recall, _, support = precision_recall_fscore_support(
                own.label, own.predicted, zero_division=0
            )
            confusion = confusion_matrix(own.label, own.predicted)
            yield from (*precision, *recall, *support, *(support / own.seed.nunique()))
            yield from (*confusion.ravel(), *(confusion / support[:, None]).ravel())
        for _, model in self.predictions.groupby(
            ["family", "role", "train_fraction"], observed=True
        ):
            yield from self._calibration(model)
        yield 15

    def _calibration(self, model: pd.DataFrame) -> Numbers:
        per_seed = []
        for _, run in model.groupby("seed"):
            sure = np.stack(run.probabilities.to_numpy()).astype(float).max(axis=1)
            right = (run.label == run.predicted).to_numpy()
            bins = np.digitize(sure, np.linspace(0, 1, 16), right=True)
            gaps = [abs((right - sure)[bins == number].sum()) for number in set(bins)]
            per_seed.append((sum(gaps) / len(run), sure.mean(), right.mean()))
        for values in zip(*per_seed, strict=True):
            yield from (np.mean(values), np.std(values, ddof=1))

    def time(self) -> Numbers:
        started, ended = self.trials.started_at, self.trials.ended_at
        runs = self.final_epochs.groupby("trial_id")
        first = runs.reported_at.min() - pd.to_timedelta(runs.epoch_seconds.first(), unit="s")
        last = runs.reported_at.max()
        stays = pd.DataFrame(
            {"start": [*started, *first], "end": [*ended, *last]},
        )
        span = (stays.end.max() - stays.start.min()).total_seconds()
        busy = (stays.end - stays.start).dt.total_seconds()
        yield from (span, span / 60, span / 3600, 1 - busy.sum() / (2 * span))
        gap = (first.min() - ended.max()).total_seconds()
        yield from (gap, gap / 60, gap / 3600)
        families = [*self.trials.family, *runs.family.first()]
        for _, own in busy.groupby(np.array(families, dtype=object)):
            yield from (len(own), own.sum())

    def failures(self) -> Numbers:
        yield from self.trials.status.value_counts()
        yield from self.trials[self.trials.status == "failed"].epochs_run


def stray_numbers(text: str, known: list[float]) -> list[str]:
    """Numbers of a text that none of the known ones is, at the decimals that are shown."""
    plain = SOURCES.sub("", NAMES.sub("", text))
    pool = np.abs(np.array([*known, *(100 * value for value in known)], dtype=float))
    stray = []
    for token in NUMBER.findall(plain):
        value = float(token.replace(",", ""))
        digits = len(token.partition(".")[2].partition("e")[0])
        # Half of the last digit shown; of numbers with an exponent, of three digits.
        room = 0.5 * 10.0**-digits if "e" not in token else 0.006 * value
        if not (np.abs(pool - value) <= room * (1 + 1e-6)).any():
            stray.append(token)
    return stray


CHAPTERS = (
    *("results", "differences", "data", "curves", "effort", "stopping", "search", "classes"),
    *("time", "failures"),
)


def test_every_chapter_with_numbers_is_walked(shown: Page) -> None:
    assert set(shown.text) - {""} == {*CHAPTERS, "settings", "transfer"}


@pytest.mark.parametrize("chapter", ["", *CHAPTERS])
def test_every_number_shown_is_one_of_the_tables(folder: Path, shown: Page, chapter: str) -> None:
    tables = Tables(folder)
    if chapter == "search":
        tables.importances = _importances(folder)
    known = [*tables.always(), *getattr(tables, chapter or "header")()]
    text = shown.chapter(chapter)
    assert len(NUMBER.findall(text)) > 3
    assert stray_numbers(text, known) == []


def test_the_walk_finds_a_number_that_is_off_in_its_last_digit(folder: Path, shown: Page) -> None:
    tables = Tables(folder)
    known = [*tables.always(), *tables.header()]
    text = shown.chapter("")
    found = re.search(r"(\d\d\.\d\d)% on the test set", text)
    assert found
    wrong = f"{float(found[1]) + 0.01:.2f}"
    assert wrong in stray_numbers(text.replace(found[1], wrong), known)


def test_every_setting_and_hash_is_that_of_the_study(folder: Path, shown: Page) -> None:
    study = json.loads((folder / "study.json").read_text())
    text = shown.chapter("settings")
    for value in (
        study["code_sha256"],
        study["git_commit"],
        study["weights"]["sha256"],
        study["dataset"]["split_sha256"],
        *study["dataset"]["files"].values(),
        *study["environment"].values(),
    ):
        assert value in text


def _importances(folder: Path) -> tuple[float, ...]:
    """Of each family, by Optuna itself on the trials in its journal."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    study = json.loads((folder / "study.json").read_text())
    trials = pd.read_parquet(folder / "trials.parquet")
    ended = trials[trials.status.isin(["completed", "stopped"])]
    found: list[float] = []
    for family, own in ended.groupby("family", observed=True):
        space = {
            name: optuna.distributions.json_to_distribution(json.dumps(values))
            for name, values in study["spaces"][family].items()
        }
        best_first = own.sort_values(["validation_accuracy", "trial_id"], ascending=[False, True])
        searched = optuna.create_study(direction="maximize")
        searched.add_trials(
            [
                optuna.create_trial(
                    params=json.loads(row.params_json),
                    distributions=space,
                    value=row.validation_accuracy,
                )
                for row in best_first.itertuples()
            ]
        )
        for evaluator in (
            FanovaImportanceEvaluator(n_trees=16, seed=0),
            PedAnovaImportanceEvaluator(),
        ):
            shares = optuna.importance.get_param_importances(searched, evaluator=evaluator)
            found += map(float, shares.values())
    return tuple(found)
