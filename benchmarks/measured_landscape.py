"""Landscapes that random forests have learned from real curves, for `search_opponents.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from optuna.distributions import CategoricalDistribution
from search import Landscape, Trial
from sklearn.ensemble import RandomForestRegressor

from orchestrator.plan.families import FamilyPlan

CURVES: Final = Path(__file__).parent / "data" / "cnn_curves.jsonl"


class Measured:
    """A landscape that a random forest has learned from real curves.

    Attributes:
        epochs: Of a whole trial.
    """

    def __init__(self, plan: FamilyPlan, seed: int) -> None:
        """Draws the curves, and learns from them."""
        rows = [json.loads(line) for line in CURVES.read_text("utf-8").splitlines()]
        self._space = plan.space
        self.epochs = max(len(row["validation"]) for row in rows)
        rows = [row for row in rows if len(row["validation"]) == self.epochs]
        drawn = [rows[i] for i in np.random.default_rng(seed).integers(len(rows), size=len(rows))]
        places = np.array([self._places(row["params"]) for row in drawn])
        values = np.array(
            [[*row["validation"], row["test"], row["epoch_seconds"]] for row in drawn]
        )
        forest = RandomForestRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=seed)
        self._forest = forest.fit(places, values)
        jumps = np.diff(values[:, : self.epochs], axis=1)
        self.noise = float(jumps.std(axis=1).mean() / np.sqrt(2))
        self._known: dict[str, np.ndarray] = {}

    def curve(self, params: Mapping[str, Any]) -> np.ndarray:
        """Validation accuracy of each epoch without noise, test accuracy, seconds of an epoch."""
        key = json.dumps(params, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._forest.predict([self._places(params)])[0]
        return self._known[key]

    def accuracy(self, params: Mapping[str, Any]) -> float:
        """On the test set."""
        return float(self.curve(params)[self.epochs])

    def _places(self, params: Mapping[str, Any]) -> list[float]:
        """Each value as a number that a forest can cut at."""
        return [
            float(values.choices.index(params[name]))
            if isinstance(values, CategoricalDistribution)
            else float(np.log(params[name]) if values.log else params[name])
            for name, values in self._space.items()
        ]


class MeasuredTrial(Trial):
    """A trial that trains on a measured landscape."""

    def __init__(self, number: int, config: dict[str, Any], landscape: Measured) -> None:
        """Takes what the search proposed."""
        curve = landscape.curve(config["params"])
        self._curve, self._noise = curve[: landscape.epochs], landscape.noise
        super().__init__(number, config, _Constant(landscape.accuracy(config["params"])))
        self._seconds = float(curve[-1])

    def seen(self) -> float:
        """The validation accuracy of the present epoch."""
        return float(self._curve[self._epoch - 1] + self._random.normal(0, self._noise))


@dataclass(frozen=True)
class _Constant:
    value: float

    def accuracy(self, params: Mapping[str, Any]) -> float:
        del params
        return self.value

    def epochs_needed(self, params: Mapping[str, Any]) -> float:
        del params
        return 1.0


AnyLandscape = Landscape | Measured


def make_trial(number: int, config: dict[str, Any], landscape: AnyLandscape) -> Trial:
    """A trial on either kind of landscape."""
    if isinstance(landscape, Measured):
        return MeasuredTrial(number, config, landscape)
    return Trial(number, config, landscape)
