"""The trials of a long search that TPE is shown: the best and the latest.

TPE sorts all that it is shown at each ask, so that an ask takes the longer the more trials there
are; see `docs/SEARCH.md`. Its good ones are 25 at most, and of the others the latest count most
(`optuna.samplers.TPESampler`, `gamma` and `weights`).
"""

import math
from typing import Final

import optuna
from optuna.trial import FrozenTrial, TrialState

BEST: Final = 25
LATEST: Final = 25
MOST: Final = 2 * (BEST + LATEST)

_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


def shortened(study: optuna.Study) -> optuna.Study | None:
    """A study of the best and the latest ended trials of another; None while there are few.

    Args:
        study: One to maximise. What runs in it is left out.
    """
    ended = study.get_trials(deepcopy=False, states=_ENDED)
    if len(ended) < MOST:
        return None
    best = {trial.number for trial in sorted(ended, key=_rank)[:BEST]}
    others = [trial for trial in ended if trial.number not in best]
    shown = best | {trial.number for trial in others[-LATEST:]}
    short = optuna.create_study(study_name=study.study_name, direction="maximize")
    short.add_trials(trial for trial in ended if trial.number in shown)
    return short


def _rank(trial: FrozenTrial) -> tuple[bool, float, float]:
    """TPE's order: complete ones by value, then pruned ones by how far they came, then by value."""
    if trial.state == TrialState.COMPLETE:
        return False, 0.0, -trial.values[0]
    epoch, value = max(trial.intermediate_values.items(), default=(0, -math.inf))
    return True, -epoch, -value
