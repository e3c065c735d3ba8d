"""Made-up studies of other people, clean ones and some with a planted sin, in four formats.

The values are random; Optuna and Ray Tune write their files themselves.
"""

import csv
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.audit.budget_use import CUT_SHORT, MISSING, UNEQUAL_EPOCHS, UNEQUAL_TRIALS
from orchestrator.audit.test_use import (
    BEST_BY_TEST,
    BEST_EPOCH,
    CHOSEN_BY_TEST,
    DURING_SEARCH,
    ONLY_TEST,
    SAME_AS_TEST,
)

Row = dict[str, Any]
EPOCHS, EARLY = 12, 3
NOISE = 0.006
"""Of a measurement, by seed and by images alike."""


@dataclass
class Foreign:
    """A study that somebody may have made.

    Attributes:
        rows: A trial each: `model, learning_rate, batch_size, seed, role, chosen, state, epochs`,
            `value`, `test` (None: not tested), and curves of both.
        metric: What trials are chosen by, as it is called.
        test_metric: The same on test.
        minimize: Less is better.
        arguments: What the one who audits it says.
        sins: That were planted.
        more: Further columns of a CSV file.
    """

    rows: list[Row]
    metric: str = "val_accuracy"
    test_metric: str = "test_accuracy"
    minimize: bool = False
    arguments: list[str] = field(default_factory=list)
    sins: frozenset[str] = frozenset()
    more: dict[str, Callable[[Row], Any]] = field(default_factory=dict)


def trial(random: np.random.Generator, model: str, level: float, **given: Any) -> Row:
    """A trial whose value is a level, what its hyperparameters are worth, and noise."""
    rate = float(10 ** random.uniform(-4, -1))
    row = {
        "model": model,
        "learning_rate": rate,
        "batch_size": int(random.choice([32, 64, 128])),
        "seed": 0,
        "role": "search",
        "chosen": False,
        "state": "completed",
        "epochs": EPOCHS,
        **given,
    }
    row["truth"] = level - 0.03 * (np.log10(row["learning_rate"]) + 3) ** 2
    return measured(random, row)


def measured(random: np.random.Generator, row: Row) -> Row:
    """The row with a value and what it would have on test, epoch by epoch."""
    epochs = row["epochs"]
    rise = row["truth"] - 0.3 * np.exp(-np.arange(1, epochs + 1) / 3)
    curves = [rise + NOISE * random.standard_normal(epochs) for _ in range(2)]
    row["curve"], row["test_curve"] = (np.round(curve, 5).tolist() for curve in curves)
    row["value"], row["hidden_test"] = row["curve"][-1], row["test_curve"][-1]
    row["test"] = None
    return row


def search(
    random: np.random.Generator, *, sizes: tuple[int, int] = (10, 10), gap: float | None = None
) -> list[Row]:
    """Two models, each with its baseline and trials around it."""
    gap = float(random.uniform(0.02, 0.08)) if gap is None else gap
    rows = []
    for model, level, size in (("cnn", 0.80, sizes[0]), ("resnet", 0.80 + gap, sizes[1])):
        baseline = {"learning_rate": 1e-4, "batch_size": 64, "role": "baseline"}
        rows.append(trial(random, model, level, **baseline))
        rows += [trial(random, model, level) for _ in range(size - 1)]
    return rows


def of_model(rows: Sequence[Row], model: str) -> list[Row]:
    return [row for row in rows if row["model"] == model]


def winner(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: row["value"])


def finals(random: np.random.Generator, rows: Sequence[Row], seeds: int) -> list[Row]:
    """Each model's winner and baseline, trained again on seeds and tested."""
    again = []
    for model in ("cnn", "resnet"):
        own = of_model(rows, model)
        for row in {id(each): each for each in (winner(own), own[0])}.values():
            for seed in range(1, seeds + 1):
                final = measured(random, {**row, "seed": seed})
                again.append({**final, "test": final["hidden_test"]})
    return again


def all_tested(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "test": row["hidden_test"]} for row in rows]


Make = Callable[[np.random.Generator], Foreign]


def _plain(random: np.random.Generator) -> Foreign:
    return Foreign(search(random))


def _with_finals(random: np.random.Generator) -> Foreign:
    rows = search(random)
    return Foreign([*rows, *finals(random, rows, 3)])


def _one_seed(random: np.random.Generator) -> Foreign:
    rows = search(random)
    return Foreign([*rows, *finals(random, rows, 1)])


def _shared_out_at_random(random: np.random.Generator) -> Foreign:
    first = int(random.binomial(24, 0.5))
    return Foreign(search(random, sizes=(max(2, first), max(2, 24 - first))))


def _more_for_the_worse(random: np.random.Generator) -> Foreign:
    return Foreign(search(random, sizes=(40, 8), gap=0.15))


def _early_stopping(random: np.random.Generator) -> Foreign:
    rows = search(random)
    for number, row in enumerate(rows):
        if row["role"] != "baseline" and number % 3 == 0:
            row.update(epochs=EARLY, state="stopped")
            measured(random, row)
    return Foreign(rows)


def _marked(random: np.random.Generator) -> Foreign:
    rows = search(random)
    for model in ("cnn", "resnet"):
        winner(of_model(rows, model))["chosen"] = True
    return Foreign([*rows, *({**row, "chosen": False} for row in finals(random, rows, 3))])


def _losses(random: np.random.Generator) -> Foreign:
    rows = search(random)
    again = finals(random, rows, 2)
    for row in (*rows, *again):
        row["curve"], row["test_curve"] = ([1 - x for x in row[n]] for n in ("curve", "test_curve"))
        row["value"], row["test"] = (
            1 - row["value"],
            None if row["test"] is None else 1 - row["test"],
        )
    return Foreign([*rows, *again], "val_loss", "test_loss", minimize=True)


def _failures(random: np.random.Generator) -> Foreign:
    rows = search(random)
    for row in rows:
        if row["role"] != "baseline" and random.random() < 0.15:
            row.update(state="failed", value=None)
    return Foreign(rows)


def _named_baseline(random: np.random.Generator) -> Foreign:
    rows = search(random)
    for row in rows:
        row["role"] = "search"
    return Foreign(rows, arguments=["--baseline", "learning_rate=0.0001,batch_size=64"])


def _nearly_equal(random: np.random.Generator) -> Foreign:
    """Validation and test of finals agree as far as two decimals show."""
    rows = search(random)
    again = finals(random, rows, 1)
    for row in again:
        row["value"] = round(row["value"], 2)
        row["test"] = row["value"] if random.random() < 0.4 else round(row["test"], 2)
    return Foreign([*rows, *again])


def _percent(random: np.random.Generator) -> Foreign:
    rows = search(random)
    again = finals(random, rows, 3)
    for row in (*rows, *again):
        row["value"], row["curve"] = 100 * row["value"], [100 * x for x in row["curve"]]
        row["test"] = None if row["test"] is None else 100 * row["test"]
    return Foreign([*rows, *again])


def _fixed_models(random: np.random.Generator) -> Foreign:
    """No search: each model once, on some seeds, tested alone."""
    rows = [
        measured(random, {**trial(random, model, 0.7), "seed": seed, "truth": level, **FIXED})
        for model, level in (("cnn", 0.8), ("resnet", 0.84), ("vit", 0.83))
        for seed in range(5)
    ]
    return Foreign(all_tested(rows), metric="")


FIXED = {"learning_rate": 1e-3, "batch_size": 64}


def _one_model(random: np.random.Generator) -> Foreign:
    return Foreign(of_model(search(random), "cnn"))


def _epochs_vary(random: np.random.Generator) -> Foreign:
    """Epochs are a hyperparameter of both models, with the baseline's at the middle."""
    rows = search(random)
    for row in rows:
        row["epochs"] = int(random.choice([8, 10, 12])) if row["role"] == "search" else 10
        measured(random, row)
    return Foreign(rows)


def _baseline_wins(random: np.random.Generator) -> Foreign:
    """A baseline that was shorter, and still is the best."""
    rows = search(random)
    for model in ("cnn", "resnet"):
        own = of_model(rows, model)
        own[0].update(epochs=EARLY, truth=own[0]["truth"] + 0.5)
        measured(random, own[0])
    return Foreign(rows)


CLEAN: dict[str, Make] = {
    "a search alone": _plain,
    "winners and baselines on three seeds": _with_finals,
    "winners and baselines trained once more": _one_seed,
    "trials shared out at random": _shared_out_at_random,
    "the worse model had more": _more_for_the_worse,
    "weak trials were stopped early": _early_stopping,
    "the best on validation is marked": _marked,
    "losses": _losses,
    "some trials failed": _failures,
    "a baseline that is named and there": _named_baseline,
    "two decimals that agree by chance": _nearly_equal,
    "accuracies in percent": _percent,
    "models that nobody tuned": _fixed_models,
    "one model": _one_model,
    "epochs are a hyperparameter": _epochs_vary,
    "a short baseline that wins": _baseline_wins,
}


def _missing(random: np.random.Generator) -> Foreign:
    rows = [row for row in search(random) if row["role"] != "baseline"]
    asked = ["--baseline", "learning_rate=0.0001,batch_size=64"]
    return Foreign(rows, arguments=asked, sins=frozenset({MISSING}))


def _cut_short(random: np.random.Generator) -> Foreign:
    rows = search(random)
    for row in rows:
        if row["role"] == "baseline":
            row["epochs"] = EARLY
            measured(random, row)
    return Foreign(rows, sins=frozenset({CUT_SHORT}))


def _unequal_trials(random: np.random.Generator) -> Foreign:
    rows = search(random, sizes=(6, 26), gap=0.08)
    return Foreign(rows, sins=frozenset({UNEQUAL_TRIALS}))


def _unequal_epochs(random: np.random.Generator) -> Foreign:
    rows = search(random, gap=0.08)
    for row in of_model(rows, "cnn"):
        row["epochs"] = EARLY
        measured(random, row)
    return Foreign(rows, sins=frozenset({UNEQUAL_EPOCHS}))


def _by_test(random: np.random.Generator) -> Foreign:
    rows = all_tested(search(random))
    for row in rows:
        row["value"], row["curve"] = row["test"], row["test_curve"]
    return Foreign(
        rows,
        metric="test_accuracy",
        arguments=["--metric", "test_accuracy"],
        sins=frozenset({CHOSEN_BY_TEST}),
    )


def _same(random: np.random.Generator) -> Foreign:
    rows = all_tested(search(random))
    for row in rows:
        row["test"], row["test_curve"] = row["value"], row["curve"]
    return Foreign(rows, sins=frozenset({SAME_AS_TEST, DURING_SEARCH}))


def _only(random: np.random.Generator) -> Foreign:
    return Foreign(all_tested(search(random)), metric="", sins=frozenset({ONLY_TEST}))


def _best_by_test(random: np.random.Generator) -> Foreign:
    rows = all_tested(search(random))
    best = max(rows, key=lambda row: row["test"])
    best["chosen"] = True
    other = max((r for r in rows if r is not best), key=lambda row: row["value"])
    other["value"] = best["value"] + 0.001
    return Foreign(rows, sins=frozenset({BEST_BY_TEST, DURING_SEARCH}))


def _best_epoch(random: np.random.Generator) -> Foreign:
    rows = all_tested(search(random))
    return Foreign(
        rows,
        sins=frozenset({BEST_EPOCH, DURING_SEARCH}),
        more={"best_test_accuracy": lambda row: max(row["test_curve"])},
    )


def _during(random: np.random.Generator) -> Foreign:
    return Foreign(all_tested(search(random)), sins=frozenset({DURING_SEARCH}))


PLANTED: dict[str, Make] = {
    "the named baseline is missing": _missing,
    "the baseline was cut short": _cut_short,
    "the winner had more trials": _unequal_trials,
    "the winner had more epochs": _unequal_epochs,
    "the objective is test": _by_test,
    "validation is test": _same,
    "nothing but test": _only,
    "the best by test is marked": _best_by_test,
    "the best epoch by test": _best_epoch,
    "test is measured in each trial": _during,
}


def write_csv(study: Foreign, path: Path) -> Path:
    """A row for each trial; where epochs matter, a row for each epoch."""
    by_epoch = bool(study.more)
    with path.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(_csv_rows(study, study.rows[0], 0, by_epoch)[0]))
        writer.writeheader()
        for number, row in enumerate(study.rows):
            writer.writerows(_csv_rows(study, row, number, by_epoch))
    return path


def _csv_rows(study: Foreign, row: Row, number: int, by_epoch: bool) -> list[Row]:
    columns = ("model", "learning_rate", "batch_size", "seed", "role", "chosen", "state", "epochs")
    written = {"trial": number, **{name: row[name] for name in columns}}
    epochs = range(row["epochs"]) if by_epoch else (-1,)
    rows = []
    for epoch in epochs:
        values = {"epoch": epoch + 1} if by_epoch else {}
        if study.metric:
            values[study.metric] = row["curve"][epoch] if by_epoch else row["value"]
        if study.metric != study.test_metric:
            values[study.test_metric] = row["test_curve"][epoch] if by_epoch else row["test"]
        rows.append({**written, **values, **{n: make(row) for n, make in study.more.items()}})
    return rows


def write_optuna(study: Foreign, path: Path) -> Path:
    """An Optuna study, asked, reported and told; `.db` is SQLite, else a journal."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = RDBStorage(f"sqlite:///{path}") if path.suffix == ".db" else None
    storage = database or JournalStorage(JournalFileBackend(str(path)))
    direction = "minimize" if study.minimize else "maximize"
    made = optuna.create_study(
        storage=storage,
        study_name="mine",
        direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names([study.metric or study.test_metric])
    states = {
        "completed": TrialState.COMPLETE,
        "stopped": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }
    for row in study.rows:
        fixed = {name: row[name] for name in ("model", "learning_rate", "batch_size")}
        made.enqueue_trial(fixed)
        asked = made.ask()
        asked.suggest_categorical("model", ["cnn", "resnet", "vit"])
        asked.suggest_float("learning_rate", 1e-5, 1.0, log=True)
        asked.suggest_categorical("batch_size", [32, 64, 128])
        noted = {name: row[name] for name in ("seed", "role", "chosen", "epochs")}
        if row["test"] is not None and study.metric not in {"", study.test_metric}:
            noted[study.test_metric] = row["test"]
        for name, value in noted.items():
            asked.set_user_attr(name, value)
        if row["state"] != "failed":
            for step, value in enumerate(row["curve"][-4:]):
                asked.report(value, step)
        value = row["value"] if study.metric else row["test"]
        made.tell(asked, value if row["state"] == "completed" else None, states[row["state"]])
    if database:
        database.remove_session()
        database.engine.dispose()
    return path


def write_ray(study: Foreign, folder: Path) -> Path:
    """An experiment of Ray Tune, in a cluster that is there."""
    from ray import tune
    from ray.tune.search import Searcher

    rows = study.rows
    columns = ("model", "learning_rate", "batch_size", "seed")

    class Listed(Searcher):
        """Proposes the hyperparameters of one row after another."""

        def __init__(self) -> None:
            super().__init__(metric="epoch", mode="max")
            self.place = -1

        def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
            self.place += 1
            if self.place == len(rows):
                return Searcher.FINISHED
            return {name: rows[self.place][name] for name in columns}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            pass

        def save(self, checkpoint_path: str) -> None:
            pass

        def restore(self, checkpoint_path: str) -> None:
            pass

    reports = {
        tuple(row[name] for name in columns): (row["state"], list(_reports(study, row)))
        for row in rows
    }

    def train(config: Row, reports: Any) -> None:
        state, own = reports[tuple(config[name] for name in columns)]
        for report in own:
            tune.report(report)
        if state == "failed":
            message = "made up"
            raise RuntimeError(message)

    tune.Tuner(
        tune.with_resources(tune.with_parameters(train, reports=reports), {"CPU": 0.5}),
        tune_config=tune.TuneConfig(
            search_alg=Listed(), num_samples=-1, reuse_actors=True, max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(name=folder.name, storage_path=str(folder.parent), verbose=0),
    ).fit()
    return folder


def _reports(study: Foreign, row: Row) -> Any:
    epochs = row["epochs"] if row["state"] != "failed" else 1
    for epoch in range(epochs):
        last = epoch + 1 == row["epochs"]
        report: Row = {"epoch": epoch + 1, "role": row["role"], "chosen": row["chosen"]}
        if study.metric:
            report[study.metric] = row["value"] if last else row["curve"][epoch]
        if row["test"] is not None and study.metric != study.test_metric:
            report[study.test_metric] = row["test"] if last else row["test_curve"][epoch]
        yield report | {name: make(row) for name, make in study.more.items()}
