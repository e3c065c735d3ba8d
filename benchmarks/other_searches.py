"""What users would run instead of this project's search, for `search_opponents.py`.

Each opponent is asked for a trial, told of each of its epochs, and says whether it goes on:
Optuna's samplers and pruners as a script has them by `ask`, `should_prune` and `tell`; Syne Tune's
ASHA with its samplers; NePS's PriorBand, whose prior is the baseline, by its `AskAndTell`.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final, Protocol

import numpy as np
import optuna
from measured_landscape import AnyLandscape, make_trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan

Params = dict[str, Any]


class Opponent(Protocol):
    """A search that is not the project's."""

    def ask(self) -> tuple[int, Params]:
        """The number and the hyperparameters of a trial that begins, or is taken up again."""

    def goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """Whether a trial goes on after an epoch, as the project's trials report it."""


def winners_accuracy(
    opponent: Opponent, landscape: AnyLandscape, *, slots: int, epochs: int, budget: float
) -> float:
    """The true accuracy of the winner of a search that has some device-seconds.

    Args:
        opponent: The search.
        landscape: Where it trains.
        slots: Trials at a time.
        epochs: Of a whole trial.
        budget: Device-seconds.
    """
    trials = {}
    running: list[tuple[float, int]] = []
    best, winner, used = -1.0, Params(), 0.0

    def start(at: float) -> None:
        number, params = opponent.ask()
        if number not in trials:
            config = {"params": params, "seed": number}
            trials[number] = make_trial(number, config, landscape), params
        heapq.heappush(running, (at + trials[number][0].next_seconds(), number))

    for _ in range(slots):
        start(0.0)
    while used < budget:
        at, number = heapq.heappop(running)
        trial, params = trials[number]
        used += trial.last_seconds
        result = trial.report(epochs)
        if result["validation_accuracy"] > best:
            best, winner = result["validation_accuracy"], params
        if opponent.goes_on(number, result):
            heapq.heappush(running, (at + trial.next_seconds(), number))
        else:
            start(at)
    return landscape.accuracy(winner)


class OptunaScript:
    """A sampler and a pruner of Optuna."""

    def __init__(self, plan: FamilyPlan, sampler: BaseSampler, pruner: BasePruner) -> None:
        """Begins a study."""
        self._space = dict(plan.space)
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._asked: dict[int, optuna.Trial] = {}
        self._best: dict[int, float] = {}

    def ask(self) -> tuple[int, Params]:
        """See `Opponent`."""
        trial = self._study.ask(self._space)
        self._asked[trial.number] = trial
        return trial.number, {name: trial.params[name] for name in self._space}

    def goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """See `Opponent`."""
        trial = self._asked[number]
        value = max(result["validation_accuracy"], self._best.get(number, 0.0))
        self._best[number] = value
        trial.report(value, result["epoch"])
        if result["done"]:
            self._study.tell(trial, value)
        elif trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            return True
        return False


class SyneTune:
    """A sampler of Syne Tune under its ASHA."""

    def __init__(self, plan: FamilyPlan, settings: Settings, searcher: str) -> None:
        """Makes the scheduler, with a searcher that it knows by name."""
        from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving

        self._scheduler = AsynchronousSuccessiveHalving(
            {name: _syne_tune_domain(values) for name, values in plan.space.items()},
            metric="validation_accuracy",
            do_minimize=False,
            searcher=searcher,
            time_attr="epoch",
            max_t=settings.epochs,
            grace_period=settings.grace_period,
            reduction_factor=settings.reduction_factor,
            random_seed=settings.seed,
        )
        self._trials: list[Any] = []

    def ask(self) -> tuple[int, Params]:
        """See `Opponent`."""
        from syne_tune.backend.trial_status import Trial as Suggested

        number = len(self._trials)
        trial = Suggested(number, self._scheduler.suggest().config, datetime.now(tz=UTC))
        self._scheduler.on_trial_add(trial)
        self._trials.append(trial)
        return number, trial.config

    def goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """See `Opponent`."""
        if result["done"]:
            self._scheduler.on_trial_complete(self._trials[number], result)
            return False
        return bool(self._scheduler.on_trial_result(self._trials[number], result) == "CONTINUE")


def _syne_tune_domain(values: BaseDistribution) -> Any:
    """The same dimension in Syne Tune's terms."""
    from syne_tune import config_space

    if isinstance(values, CategoricalDistribution):
        return config_space.choice(list(values.choices))
    whole = isinstance(values, IntDistribution)
    kind = ("log" if values.log else "") + ("randint" if whole else "uniform")
    return getattr(config_space, kind)(values.low, values.high)


class PriorBand:
    """NePS's PriorBand; trials that it promotes go on from where they stood."""

    def __init__(self, plan: FamilyPlan, settings: Settings, base: str) -> None:
        """Makes the optimizer over brackets of a kind that it knows by name."""
        import neps
        import torch

        torch.manual_seed(settings.seed)
        np.random.seed(settings.seed)  # noqa: NPY002 (NePS draws from the global generators)
        random.seed(settings.seed)
        fields = {name: _neps_domain(v, plan.baseline[name]) for name, v in plan.space.items()}
        fields["epoch"] = neps.IntegerFidelity(settings.grace_period, settings.epochs)
        self._names = list(plan.space)
        self._search = neps.AskAndTell(
            neps.algorithms.priorband(
                type("Space", (neps.PipelineSpace,), fields)(),
                eta=settings.reduction_factor,
                base=base,
                sample_prior_first=True,
            )
        )
        self._now: dict[int, Any] = {}
        self._best: dict[int, float] = {}

    def ask(self) -> tuple[int, Params]:
        """See `Opponent`."""
        asked = self._search.ask()
        number = int(asked.metadata.id.split("_")[0])  # of "3_rung_1"
        self._now[number] = asked
        return number, {name: asked.config[name] for name in self._names}

    def goes_on(self, number: int, result: dict[str, Any]) -> bool:
        """See `Opponent`."""
        self._best[number] = max(result["validation_accuracy"], self._best.get(number, 0.0))
        asked = self._now[number]
        if result["epoch"] < asked.config["epoch"]:
            return True
        self._search.tell(asked.metadata.id, {"objective_to_minimize": 1 - self._best[number]})
        return False


def _neps_domain(values: BaseDistribution, baseline: Any) -> Any:
    """The same dimension in NePS's terms, with the baseline as its prior."""
    import neps

    if isinstance(values, CategoricalDistribution):
        choices = values.choices
        return neps.Categorical(choices, prior=choices.index(baseline), prior_confidence="medium")
    kind = neps.Integer if isinstance(values, IntDistribution) else neps.Float
    limits = {"log": values.log, "prior": baseline, "prior_confidence": "medium"}
    return kind(values.low, values.high, **limits)


def _halving(settings: Settings) -> BasePruner:
    return SuccessiveHalvingPruner(
        min_resource=settings.grace_period, reduction_factor=settings.reduction_factor
    )


def _hyperband(settings: Settings) -> BasePruner:
    return HyperbandPruner(
        min_resource=settings.grace_period,
        max_resource=settings.epochs,
        reduction_factor=settings.reduction_factor,
    )


Make = Callable[[FamilyPlan, Settings], Opponent]
OPTUNA: Final[Mapping[str, Make]] = {
    "random, ASHA": lambda p, s: OptunaScript(p, RandomSampler(seed=s.seed), _halving(s)),
    "Optuna's TPE, ASHA": lambda p, s: OptunaScript(p, TPESampler(seed=s.seed), _halving(s)),
    "Optuna's TPE, Hyperband": lambda p, s: OptunaScript(p, TPESampler(seed=s.seed), _hyperband(s)),
    "Optuna's GP, ASHA": lambda p, s: OptunaScript(p, GPSampler(seed=s.seed), _halving(s)),
    "Optuna's TPE, median": lambda p, s: OptunaScript(p, TPESampler(seed=s.seed), MedianPruner()),
    "Optuna's TPE, none stopped": lambda p, s: OptunaScript(
        p, TPESampler(seed=s.seed), NopPruner()
    ),
}
SYNE_TUNE: Final[Mapping[str, Make]] = {
    "Syne Tune's BOHB": lambda p, s: SyneTune(p, s, "kde"),
    "Syne Tune's ASHA, conformal quantiles": lambda p, s: SyneTune(p, s, "cqr"),
    "Syne Tune's ASHA, BORE": lambda p, s: SyneTune(p, s, "bore"),
}
NEPS: Final[Mapping[str, Make]] = {
    "NePS's PriorBand": lambda p, s: PriorBand(p, s, "hyperband"),
    "NePS's PriorBand, ASHA": lambda p, s: PriorBand(p, s, "asha"),
}
OPPONENTS: Final[Mapping[str, Make]] = {
    **OPTUNA,
    **(SYNE_TUNE if find_spec("syne_tune") else {}),
    **(NEPS if find_spec("neps") else {}),
}
"""Those whose packages are installed."""
