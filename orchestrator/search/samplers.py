"""The samplers of a search, made anew for each trial; see `docs/SEARCH.md`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from orchestrator.config.samplers import INCUMBENT_TPE, MULTIVARIATE_TPE, RANDOM, STARTUP, TPE

ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)
SHARE: Final = 0.75
"""How many of the proposals after the first `STARTUP` ended trials keep some of the incumbent."""
KEPT: Final = 0.5
"""How likely each of its values is kept in such a proposal."""

Space = dict[str, BaseDistribution]
MakeSampler = Callable[[int, Space], BaseSampler]
"""Makes a sampler of a trial's seed and of the family's space."""


class IncumbentTPE(TPESampler):
    """Univariate TPE, most of whose proposals keep some values of the incumbent.

    The incumbent is the best complete trial. That values which are good together stay together is
    what univariate TPE lacks; PriorBand samples around its incumbent in this way (Mallik et al.
    2023). Optuna's own sampler with fixed parameters is experimental.
    """

    def __init__(self, seed: int, space: Space) -> None:
        """Of one trial.

        Args:
            seed: Of the trial.
            space: Of the family.
        """
        super().__init__(seed=seed, multivariate=False, n_startup_trials=STARTUP)
        self._random = np.random.default_rng(seed)
        self._space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """All dimensions whose values may be kept: those that have more than one."""
        del study, trial
        return {name: values for name, values in self._space.items() if not values.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        """The incumbent's values that are kept, never all; TPE proposes each of the others."""
        del trial
        ended = study.get_trials(deepcopy=False, states=ENDED)
        complete = [one for one in ended if one.state == TrialState.COMPLETE]
        if len(ended) < STARTUP or not complete or not search_space:
            return {}
        if self._random.random() >= SHARE:
            return {}
        incumbent = max(complete, key=lambda one: one.values[0]).params
        kept = self._random.random(len(search_space)) < KEPT
        kept[self._random.integers(len(kept))] = False
        return {
            name: incumbent[name] for name, keep in zip(search_space, kept, strict=True) if keep
        }


MAKE: Final[Mapping[str, MakeSampler]] = {
    INCUMBENT_TPE: IncumbentTPE,
    TPE: lambda seed, _: TPESampler(seed=seed, multivariate=False),
    MULTIVARIATE_TPE: lambda seed, _: TPESampler(seed=seed, multivariate=True),
    RANDOM: lambda seed, _: RandomSampler(seed=seed),
}
