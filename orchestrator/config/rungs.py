"""The rungs of a study: the epochs at which early stopping holds a trial against the others."""

import numpy as np

from orchestrator.config.stored_settings import AnySettings


def all_rungs(settings: AnySettings) -> list[int]:
    """Every rung of successive halving up to the last epoch, ascending, as Ray's ASHA has them."""
    grace, factor = settings.grace_period, settings.reduction_factor
    # The rounding is Ray's too: 243 epochs, grace 1 and factor 3 have no rung at 243.
    count = int(np.log(settings.epochs / grace) / np.log(factor) + 1)
    return [grace * factor**power for power in range(count)]


def offered_rungs(settings: AnySettings) -> list[int]:
    """The rungs of a new study, ascending: none within a fifth of the last epoch.

    One there ends trials that are all but done: at 45 of 50 epochs that saves 3% of the epochs and,
    in simulation, costs 0.18 points of the winner's accuracy.
    """
    return [rung for rung in all_rungs(settings) if 5 * rung <= 4 * settings.epochs]


def earliest_stop(settings: AnySettings) -> int:
    """The epoch at which early stopping can first end a trial; the last where there is no rung."""
    return next(iter(offered_rungs(settings)), settings.epochs)
