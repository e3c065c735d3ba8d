"""The samplers, each asked through Optuna's own studies."""

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from orchestrator.config.samplers import INCUMBENT_TPE, RANDOM, SAMPLERS, STARTUP, TPE
from orchestrator.config.sources import resolve
from orchestrator.search.samplers import MAKE, Space

SPACE: Space = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "decay": FloatDistribution(1e-6, 1e-2, log=True),
    "momentum": FloatDistribution(0.0, 1.0),
    "shift": FloatDistribution(0.0, 1.0),
    "fixed": CategoricalDistribution(["only"]),
}
INCUMBENT = {"rate": 1e-3, "decay": 1e-4, "momentum": 0.5, "shift": 0.25, "fixed": "only"}
ASKS = 120


def study_of(ended: int, *, best: TrialState = TrialState.COMPLETE) -> optuna.Study:
    """A study whose first trial is better than the others, which were stopped."""
    study = optuna.create_study(direction="maximize")
    others = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for number in range(ended):
        params = others.ask(SPACE).params if number else INCUMBENT
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if number else best,
                value=0.9 if number == 0 else 0.1,
                params=params,
                distributions=SPACE,
                intermediate_values={5: 0.1},
            )
        )
    return study


def proposals(study: optuna.Study, sampler: str, space: Space = SPACE) -> list[dict[str, Any]]:
    """What a sampler proposes by each of many seeds, one trial known as running at a time."""
    found = []
    for seed in range(ASKS):
        study.sampler = MAKE[sampler](seed, space)
        trial = study.ask(space)
        found.append(trial.params)
        study.tell(trial, state=TrialState.FAIL)
    return found


def kept(proposed: Sequence[dict[str, Any]]) -> list[int]:
    """How many of the incumbent's values each proposal has, of those that could be another."""
    return [
        sum(params[name] == INCUMBENT[name] for name in SPACE if name != "fixed")
        for params in proposed
    ]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_until_ten_trials_have_ended_every_sampler_draws_the_same_random_points(
    sampler: str,
) -> None:
    drawn = proposals(study_of(STARTUP - 1), sampler)
    assert drawn == proposals(study_of(STARTUP - 1), RANDOM)


def test_most_proposals_keep_some_values_of_the_best_complete_trial_and_none_keeps_all() -> None:
    counts = kept(proposals(study_of(STARTUP), INCUMBENT_TPE))
    assert max(counts) == len(SPACE) - 2
    # One of four is always free; three of four proposals keep each of the others by a coin: 21/32.
    assert 0.53 < sum(map(bool, counts)) / ASKS < 0.78
    assert 0.85 < sum(counts) / ASKS < 1.4
    assert not any(kept(proposals(study_of(STARTUP), TPE)))


def test_a_trial_that_was_stopped_is_no_incumbent() -> None:
    stopped = study_of(2 * STARTUP, best=TrialState.PRUNED)
    assert not any(kept(proposals(stopped, INCUMBENT_TPE)))


def test_the_point_of_a_space_of_one_dimension_is_not_proposed_again() -> None:
    space: Space = {"size": IntDistribution(1, 1_000_000), "fixed": SPACE["fixed"]}
    study = optuna.create_study(direction="maximize")
    for number in range(STARTUP):
        params = {"size": 100 + number, "fixed": "only"}
        study.add_trial(create_trial(value=-number, params=params, distributions=space))
    proposed = [params["size"] for params in proposals(study, INCUMBENT_TPE, space)]
    assert proposed.count(100) < ASKS / 20


def test_a_space_of_one_point_is_proposed() -> None:
    space: Space = {"fixed": SPACE["fixed"]}
    study = optuna.create_study(direction="maximize")
    for _ in range(STARTUP):
        study.add_trial(create_trial(value=1, params={"fixed": "only"}, distributions=space))
    assert proposals(study, INCUMBENT_TPE, space)[0] == {"fixed": "only"}


def test_an_unknown_sampler_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="unknown sampler 'gp'; choose from incumbent_tpe, tpe, "):
        resolve({}, config=None, assignments=["sampler=gp"])
