"""Which sampler finds better hyperparameters in the few trials of a study? Simulated searches.

    python benchmarks/search.py [--seeds 100] [--trials 32] [--slots 1 4 16]
        [--landscapes additive interacting] [--samplers NAME ...]

The project's own search and early stopping, with the space of the CNN and 50 epochs, in virtual
time on made-up landscapes: what accuracy any hyperparameters come to, and the way there, is a
formula. In the additive one each hyperparameter has an effect of its own, most of all the learning
rate; in the interacting one pairs of them have too. Samplers are compared on the same landscapes
with the same seeds: those that a study may use; univariate TPE that is not told of running trials
(no liar), begins with quasi-random points (Sobol's), or is random for five trials in place of ten;
and the default one that is shown all trials of a long search, not the best and the latest, or under
which every trial runs to its last epoch, which shows what early stopping saves. The true accuracy
of a search's winner is the formula's, without the noise that the search sees.
"""

import argparse
import heapq
import importlib.metadata
import math
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from optuna import Study
from optuna.distributions import CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc
from scipy.stats import t as student
from search_parts import make_parts, report

from orchestrator.config.samplers import INCUMBENT_TPE, SAMPLERS
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.search import shown_trials
from orchestrator.search.samplers import MAKE, Space
from orchestrator.search.shown_trials import MOST
from orchestrator.trials.trial import winner

FAMILY = "cnn"
BINS = 4
POINTS = 1024
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
NOISE = 0.006  # standard deviation of an epoch's validation accuracy
WIDTH_SECONDS = {16: 0.6, 32: 1.0, 64: 2.0}  # of an epoch
REFERENCE: Final = INCUMBENT_TPE
WHOLE = "no early stopping"
ALL_SHOWN = "all trials shown"


class Landscape:
    """What accuracy hyperparameters come to, and how fast.

    A number's effect is a parabola around the landscape's own best value, a choice's is normal. The
    learning rate's is some 6 points a decade, the others' half a point to two points.
    """

    def __init__(self, plan: FamilyPlan, seed: int, *, interacting: bool) -> None:
        """Draws the effects."""
        random = np.random.default_rng([seed, interacting])
        self._space = plan.space
        self._best = {name: random.uniform(0.2, 0.8) for name in plan.space}
        self._weight = {name: random.uniform(0.01, 0.08) for name in plan.space}
        self._weight["learning_rate"] = 0.5
        self._choice = {
            name: random.normal(0, 0.012, len(values.choices))
            for name, values in plan.space.items()
            if isinstance(values, CategoricalDistribution)
        }
        names = list(plan.space)
        self._pairs = {
            (a, b): random.normal(0, 0.03 / math.sqrt(len(names)), (BINS, BINS))
            for number, a in enumerate(names)
            for b in names[number + 1 :]
            if interacting
        }

    def accuracy(self, params: Mapping[str, Any]) -> float:
        """After the last epoch, without noise."""
        place = {name: self._place(name, value) for name, value in params.items()}
        value = 0.8
        for name, where in place.items():
            if name in self._choice:
                value += self._choice[name][self._space[name].choices.index(params[name])]
            else:
                value -= self._weight[name] * (where - self._best[name]) ** 2
        bins = {name: min(BINS - 1, int(BINS * where)) for name, where in place.items()}
        value += sum(table[bins[a], bins[b]] for (a, b), table in self._pairs.items())
        return float(min(max(value, 0.1), 0.97))

    def epochs_needed(self, params: Mapping[str, Any]) -> float:
        """Until two thirds of the way: the more, the lower the learning rate, so curves cross."""
        off = self._place("learning_rate", params["learning_rate"]) - self._best["learning_rate"]
        return float(min(max(4 * 10 ** (-1.4 * off), 1.5), 40.0))

    def _place(self, name: str, value: Any) -> float:
        """A value's place in its dimension, from 0 to 1."""
        values = self._space[name]
        if isinstance(values, CategoricalDistribution):
            return values.choices.index(value) / max(1, len(values.choices) - 1)
        low, high = values.low, values.high
        if values.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return (value - low) / (high - low)


class Trial:
    """A trial that trains on a landscape.

    Attributes:
        last_seconds: How long its present epoch takes.
    """

    def __init__(self, number: int, config: dict[str, Any], landscape: Landscape) -> None:
        """Takes what the search proposed."""
        self.tune = SimpleNamespace(trial_id=f"tune-{number}", config=config)
        self._random = np.random.default_rng(config["seed"])
        self._accuracy = landscape.accuracy(config["params"])
        self._needed = landscape.epochs_needed(config["params"])
        self._seconds = WIDTH_SECONDS[config["params"]["width"]]
        self._epoch = 0

    def next_seconds(self) -> float:
        """How long its next epoch takes."""
        self.last_seconds = float(self._seconds * self._random.uniform(0.9, 1.1))
        return self.last_seconds

    def report(self, epochs: int) -> dict[str, Any]:
        """Its next epoch."""
        self._epoch += 1
        return report(self._epoch, float(np.clip(self.seen(), 0, 1)), epochs=epochs)

    def seen(self) -> float:
        """The validation accuracy of the present epoch."""
        way = 1 - math.exp(-self._epoch / self._needed)
        return float(0.1 + (self._accuracy - 0.1) * way + self._random.normal(0, NOISE))


class QuasiRandomStart(TPESampler):
    """Univariate TPE whose first points, while few trials have ended, are one of Sobol's each."""

    def __init__(self, seed: int, startup: int, point: Mapping[str, float]) -> None:
        """Takes the point's place in each dimension, from 0 to 1."""
        super().__init__(seed=seed, multivariate=False, n_startup_trials=startup)
        self._startup, self._point = startup, point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """A value of the point, or TPE's."""
        if len(study.get_trials(deepcopy=False, states=ENDED)) < self._startup:
            return _value_at(param_distribution, self._point[param_name])
        return super().sample_independent(study, trial, param_name, param_distribution)


def _value_at(values: Any, where: float) -> Any:
    """The value at a place in its dimension, from 0 to 1."""
    if isinstance(values, CategoricalDistribution):
        return values.choices[min(int(where * len(values.choices)), len(values.choices) - 1)]
    low, high = (math.log(v) if values.log else v for v in (values.low, values.high))
    value = low + where * (high - low)
    return type(values.low)(
        min(max(math.exp(value) if values.log else value, values.low), values.high)
    )


Ask = Callable[[int, Mapping[str, float]], TPESampler]
OTHERS: Final[Mapping[str, Ask]] = {
    "no liar": lambda seed, _: TPESampler(seed=seed, multivariate=False, constant_liar=False),
    "quasi-random start": lambda seed, point: QuasiRandomStart(seed, 10, point),
    "5 random": lambda seed, _: TPESampler(seed=seed, multivariate=False, n_startup_trials=5),
}
"""Univariate TPE otherwise, of a trial's seed and of a point."""
NAMES: Final = (*SAMPLERS, *OTHERS, ALL_SHOWN, WHOLE)


def search(
    folder: Path,
    plan: FamilyPlan,
    settings: Settings,
    landscape: Landscape,
    *,
    slots: int,
    sampler: str,
) -> tuple[float, int]:
    """Runs a search; the true accuracy of its winner, and how many epochs it took."""
    points = iter(qmc.Sobol(len(plan.space), seed=settings.seed).random(POINTS))

    def other(seed: int, space: Space) -> TPESampler:
        return OTHERS[sampler](seed, dict(zip(space, next(points), strict=True)))

    make = other if sampler in OTHERS else MAKE.get(sampler)
    shown_trials.MOST = MOST if sampler != ALL_SHOWN else settings.trials + 1
    parts = make_parts(folder, [plan], settings, sampler=make)
    running: list[tuple[float, int, Trial]] = []
    numbers = iter(range(10**9))

    def start(at: float) -> None:
        number = next(numbers)
        config = parts.searcher.suggest(f"tune-{number}")
        if isinstance(config, dict):
            trial = Trial(number, config, landscape)
            heapq.heappush(running, (at + trial.next_seconds(), number, trial))

    for _ in range(slots):
        start(0.0)
    while running:
        at, number, trial = heapq.heappop(running)
        result = trial.report(settings.epochs)
        if parts.take(trial.tune, result):
            heapq.heappush(running, (at + trial.next_seconds(), number, trial))
        else:
            start(at)
    best = winner(parts.recorder.of_family(plan.name))
    return landscape.accuracy(best.spec.params), parts.recorder.totals(plan.name).epochs


def mean_and_half_width(values: np.ndarray) -> tuple[float, float]:
    """The mean, and half of its 95% interval by Student's t."""
    count = len(values)
    return values.mean(), student.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count)


def _settings(trials: int, seed: int, *, early_stopping: bool) -> Settings:
    settings = Settings(families=FAMILY, trials=trials, seed=seed)
    return settings if early_stopping else replace(settings, grace_period=settings.epochs)


def main() -> None:
    """Runs all searches and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 4, 16])
    kinds = ["additive", "interacting"]
    parser.add_argument("--landscapes", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--samplers", nargs="+", choices=NAMES, default=NAMES)
    options = parser.parse_args()
    (plan,) = plan_families(Settings(families=FAMILY))
    started, folder = time.process_time(), Path(tempfile.mkdtemp())
    print(f"| landscape | slots | sampler | winner's accuracy | minus {REFERENCE} | epochs |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in options.landscapes:
        for slots in options.slots:
            found = {
                name: np.array(
                    [
                        search(
                            folder,
                            plan,
                            _settings(options.trials, seed, early_stopping=name != WHOLE),
                            Landscape(plan, seed, interacting=kind == "interacting"),
                            slots=slots,
                            sampler=name,
                        )
                        for seed in range(options.seeds)
                    ]
                )
                for name in dict.fromkeys((REFERENCE, *options.samplers))
            }
            for name, results in found.items():
                accuracy, half = mean_and_half_width(100 * results[:, 0])
                less, half_less = mean_and_half_width(
                    100 * (results[:, 0] - found[REFERENCE][:, 0])
                )
                difference = "" if name == REFERENCE else f"{less:+.2f} ± {half_less:.2f} points"
                print(
                    f"| {kind} | {slots} | {name} | {accuracy:.2f}% ± {half:.2f} | {difference} | "
                    f"{results[:, 1].mean():.0f} |",
                    flush=True,
                )
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("optuna", "ray", "numpy"))
    print(
        f"\n{options.seeds} searches a row, {options.trials} trials each; {versions}, Python "
        f"{platform.python_version()}, {time.process_time() - started:.0f} CPU seconds on "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
