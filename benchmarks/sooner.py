"""How much sooner does early stopping find what trials that all run to their end find?

    python benchmarks/sooner.py [--seeds 50] [--first 1000] [--shares 0.2 0.3 0.46 0.7 1]

On the made-up landscapes of `search.py`: the device-seconds of the project's search of 32 trials, 4
at a time, of which none is stopped, and what its search with early stopping finds in shares of
them, with as many trials as fit.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from search import FAMILY, Landscape, mean_and_half_width
from search_opponents import own_search

from orchestrator.config.settings import Settings
from orchestrator.plan.families import plan_families


def main() -> None:
    """Runs all searches and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1000, help="the first seed")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.2, 0.3, 0.46, 0.7, 1.0])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (plan,) = plan_families(Settings(families=FAMILY))
    folder = Path(tempfile.mkdtemp())
    print("| landscape | share of the device-seconds | minus whole trials |")
    print("| --- | --- | --- |")
    for kind in ("additive", "interacting"):
        gained = []
        for seed in range(options.first, options.first + options.seeds):
            landscape = Landscape(plan, seed, interacting=kind == "interacting")
            settings = Settings(families=FAMILY, seed=seed)
            whole = replace(settings, grace_period=settings.epochs)
            most, seconds = own_search(folder, plan, whole, landscape, slots=4)
            endless = replace(settings, trials=1000)
            gained.append(
                [
                    own_search(folder, plan, endless, landscape, slots=4, budget=share * seconds)[0]
                    - most
                    for share in options.shares
                ]
            )
        for share, column in zip(options.shares, 100 * np.array(gained).T, strict=True):
            mean, half = mean_and_half_width(column)
            print(f"| {kind} | {share:g} | {mean:+.2f} ± {half:.2f} points |", flush=True)


if __name__ == "__main__":
    main()
