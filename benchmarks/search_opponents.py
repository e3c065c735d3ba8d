"""Does a study's search find a better winner than what users would run instead, for the same time?

    python benchmarks/search_opponents.py [--seeds 100] [--first 0] [--trials 32] [--slots 4]
        [--landscapes additive interacting measured] [--opponents NAME ...]

Each opponent has as many device-seconds as the project's own search took on the same landscape with
the same seed, and proposes trials until they are used up. Opponents are those of
`other_searches.py` (Optuna's; where `pip install 'syne-tune[extra]'` or `pip install
neural-pipeline-search` was done, Syne Tune's or NePS's) and the project's own search with other
rungs. Additive and interacting landscapes are those of `search.py`. A measured one is a
random forest (200 trees) over the curves in `data/cnn_curves.jsonl`, each drawn with replacement,
so that every seed has a landscape of its own; an epoch's validation accuracy is noisy by as much as
real ones jump from one epoch to the next. The true accuracy of a winner is the landscape's, on
measured ones that of the test set.
"""

import argparse
import heapq
import importlib.metadata
import logging
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
from measured_landscape import AnyLandscape, Measured, make_trial
from other_searches import OPPONENTS, winners_accuracy
from search import FAMILY, Landscape, Trial, mean_and_half_width
from search_parts import make_parts

from orchestrator.config.samplers import MULTIVARIATE_TPE, TPE
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.trials.trial import winner

PROJECT: Final = "the project's search"


def own_search(
    folder: Path,
    plan: FamilyPlan,
    settings: Settings,
    landscape: AnyLandscape,
    *,
    slots: int,
    budget: float | None = None,
) -> tuple[float, float]:
    """The project's search.

    Args:
        folder: Where nothing is written.
        plan: The family's.
        settings: The study's.
        landscape: Where it trains.
        slots: Trials at a time.
        budget: Device-seconds, in place of a number of trials.

    Returns:
        The true accuracy of its winner, and the device-seconds that it took.
    """
    parts = make_parts(folder, [plan], settings)
    running: list[tuple[float, int, Trial]] = []
    numbers, used = iter(range(10**9)), 0.0

    def start(at: float) -> None:
        number = next(numbers)
        config = parts.searcher.suggest(f"tune-{number}")
        if isinstance(config, dict):
            trial = make_trial(number, config, landscape)
            seconds = trial.next_seconds()
            heapq.heappush(running, (at + seconds, number, trial))

    for _ in range(slots):
        start(0.0)
    while running and (budget is None or used < budget):
        at, number, trial = heapq.heappop(running)
        used += trial.last_seconds
        if parts.take(trial.tune, trial.report(settings.epochs)):
            heapq.heappush(running, (at + trial.next_seconds(), number, trial))
        else:
            start(at)
    records = parts.recorder.of_family(plan.name)
    if budget is not None:  # a trial that the end of the budget interrupts may win
        for record in records:
            record.status = "stopped" if record.status == "running" else record.status
    best = winner(records)
    return landscape.accuracy(best.spec.params), used


OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "half go on at each rung": {"reduction_factor": 2},
    "first rung at a fifth": {"grace_period": 10},
    "first rung at a fifth, half go on": {"grace_period": 10, "reduction_factor": 2},
    "none stopped": {"grace_period": 50},
    "univariate TPE": {"sampler": TPE},
    "multivariate TPE": {"sampler": MULTIVARIATE_TPE},
    "the same, until the end of the time": {},
}
"""The project's own search with other rungs, epochs being 50, or another sampler."""


def scaled(settings: Settings, epochs: int) -> Settings:
    """The same rungs in fewer epochs."""
    grace = max(1, round(settings.grace_period * epochs / settings.epochs))
    return replace(settings, epochs=epochs, grace_period=grace)


def main() -> None:
    """Runs all searches and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--slots", type=int, default=4)
    kinds = ["additive", "interacting", "measured"]
    parser.add_argument("--landscapes", nargs="+", choices=kinds, default=kinds)
    names = [*OPPONENTS, *OWN]
    parser.add_argument("--opponents", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    (plan,) = plan_families(Settings(families=FAMILY))
    started, folder = time.process_time(), Path(tempfile.mkdtemp())
    print("| landscape | search | winner's accuracy | project minus it |")
    print("| --- | --- | --- | --- |")
    for kind in options.landscapes:
        found: dict[str, list[float]] = {name: [] for name in (PROJECT, *options.opponents)}
        for seed in range(options.first, options.first + options.seeds):
            landscape = (
                Measured(plan, seed)
                if kind == "measured"
                else Landscape(plan, seed, interacting=kind == "interacting")
            )
            standard = Settings(families=FAMILY, trials=options.trials, seed=seed)
            epochs = landscape.epochs if isinstance(landscape, Measured) else standard.epochs
            settings = scaled(standard, epochs)
            accuracy, budget = own_search(folder, plan, settings, landscape, slots=options.slots)
            found[PROJECT].append(accuracy)
            for name in options.opponents:
                if name in OPPONENTS:
                    found[name].append(
                        winners_accuracy(
                            *(OPPONENTS[name](plan, settings), landscape),
                            slots=options.slots,
                            epochs=epochs,
                            budget=budget,
                        )
                    )
                else:
                    own = scaled(replace(standard, trials=1000, **OWN[name]), epochs)
                    found[name].append(
                        own_search(
                            *(folder, plan, own, landscape),
                            slots=options.slots,
                            budget=budget,
                        )[0]
                    )
        for name, values in found.items():
            accuracy, half = mean_and_half_width(100 * np.array(values))
            less, half_less = mean_and_half_width(
                100 * (np.array(found[PROJECT]) - np.array(values))
            )
            difference = "" if name == PROJECT else f"{less:+.2f} ± {half_less:.2f} points"
            print(f"| {kind} | {name} | {accuracy:.2f}% ± {half:.2f} | {difference} |", flush=True)
    packages = ("optuna", "ray", "numpy", "scikit-learn")
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in packages)
    print(
        f"\n{options.seeds} searches a row from seed {options.first}, {options.trials} trials of "
        f"the project's, {options.slots} at a time; {versions}, "
        f"Python {platform.python_version()}, {time.process_time() - started:.0f} CPU seconds on "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
