"""Does a study that is ended once it is settled give the full study's answer, and what is saved?

    python benchmarks/settled.py [--studies 1000] [--searches 300] [--trials 32]
        [--below 0.05 0.01 0.002]

The project's own search of one family, in virtual time on the landscapes of `search.py`, half of
them additive, half interacting. A study is three of these searches drawn at random, one for each
family, whose levels differ by a normal amount of 1, 2, 4 or 8 points; their trials take turns.
After each trial that ends, `stats.settled` says how likely those to come are to change which family
wins; where that is below the value, none is trained any more. A family's winner is then tested: its
formula's accuracy with the noise of 10,000 test images and three trainings, the same noise for the
same trial. The answer is the family that tests best.
"""

import argparse
import heapq
import importlib.metadata
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from search import FAMILY, Landscape, Trial
from search_parts import make_parts

from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.stats.settled import SearchProgress, chance_of_another

NAMES = ("cnn", "resnet50_scratch", "resnet50_transfer")
LEVELS = (0.01, 0.02, 0.04, 0.08)
"""Standard deviations of a family's level, one study after another."""
FIRST = 10_000
"""The seed of the first study; others served to choose `FEWEST_TO_SETTLE`."""
SLOTS = 2
VALIDATION_IMAGES, TEST_IMAGES, SEEDS, SEED_NOISE = 5_000, 10_000, 3, 0.006


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A trial that has ended.

    Attributes:
        family: Its family's name; empty before its search is part of a study.
        seen: Its best validation accuracy.
        true: Its accuracy without noise.
        seconds: That it took of a device.
        residual: When it is tested, in standard deviations.
    """

    family: str = ""
    seen: float
    true: float
    seconds: float
    residual: float = 0.0

    @property
    def tested(self) -> float:
        """What its re-trainings give on the test set."""
        noise = self.true * (1 - self.true) / TEST_IMAGES + SEED_NOISE**2 / SEEDS
        return float(self.true + np.sqrt(noise) * self.residual)


def search(folder: Path, plan: FamilyPlan, *, trials: int, seed: int) -> list[Ended]:
    """A whole search of one family, two trials at a time, in the order in which they end."""
    settings = Settings(families=FAMILY, trials=trials, seed=seed)
    parts = make_parts(folder, [plan], settings)
    landscape = Landscape(plan, seed, interacting=bool(seed % 2))
    running: list[tuple[float, int, Trial, float]] = []
    numbers, ended = iter(range(10**9)), []

    def start(at: float) -> None:
        number = next(numbers)
        config = parts.searcher.suggest(f"tune-{number}")
        if isinstance(config, dict):
            trial = Trial(number, config, landscape)
            heapq.heappush(running, (at + trial.next_seconds(), number, trial, at))

    for _ in range(SLOTS):
        start(0.0)
    while running:
        at, number, trial, began = heapq.heappop(running)
        if parts.take(trial.tune, trial.report(settings.epochs)):
            heapq.heappush(running, (at + trial.next_seconds(), number, trial, began))
            continue
        record = parts.recorder.trials[trial.tune.config["trial_id"]]
        ended.append(
            Ended(
                seen=record.best["validation_accuracy"],
                true=landscape.accuracy(record.spec.params),
                seconds=at - began,
            )
        )
        start(at)
    return ended


def study(searches: Sequence[Sequence[Ended]], seed: int) -> list[Ended]:
    """A study of three of these searches, its trials in the order in which they end."""
    random = np.random.default_rng(seed)
    levels = random.normal(0, LEVELS[seed % len(LEVELS)], len(NAMES))
    drawn = random.choice(len(searches), len(NAMES), replace=False)
    leveled = [
        [
            replace(
                each,
                family=name,
                seen=float(np.clip(each.seen + level, 0.01, 0.99)),
                true=float(np.clip(each.true + level, 0.01, 0.99)),
                residual=random.standard_normal(),
            )
            for each in searches[number]
        ]
        for name, level, number in zip(NAMES, levels, drawn, strict=True)
    ]
    return [each for turn in zip(*leveled, strict=True) for each in turn]


def answer(ended: Sequence[Ended]) -> str:
    """The family whose winner tests best."""
    winners = [
        max((each for each in ended if each.family == name), key=lambda each: each.seen)
        for name in dict.fromkeys(each.family for each in ended)
    ]
    return max(winners, key=lambda each: each.tested).family


def chances(ended: Sequence[Ended], trials: int, lowest: float) -> list[float | None]:
    """What is said after each trial that ends, until it is below the lowest value asked for."""
    said: list[float | None] = []
    for number in range(1, len(ended) + 1):
        so_far = ended[:number]
        families = {}
        for name in NAMES:
            own = np.array([each.seen for each in so_far if each.family == name])
            families[name] = SearchProgress(accuracies=own, to_come=trials - len(own))
        said.append(chance_of_another(families, images=VALIDATION_IMAGES))
        if said[-1] is not None and said[-1] < lowest:
            break
    return said


def stopped(ended: Sequence[Ended], said: Sequence[float | None], below: float) -> list[Ended]:
    """The trials of a study that is ended once it is settled."""
    for number, chance in enumerate(said, start=1):
        if chance is not None and chance < below:
            return list(ended[:number])
    return list(ended)


def main() -> None:
    """Runs all searches and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--below", type=float, nargs="+", default=[0.05, 0.01, 0.002])
    options = parser.parse_args()
    (plan,) = plan_families(Settings(families=FAMILY))
    started, folder = time.process_time(), Path(tempfile.mkdtemp())
    searches = [
        search(folder, plan, trials=options.trials, seed=seed) for seed in range(options.searches)
    ]
    found: dict[tuple[float, float], list[tuple[bool, bool, float]]] = {}
    for seed in range(FIRST, FIRST + options.studies):
        ended = study(searches, seed)
        said, full = chances(ended, options.trials, min(options.below)), answer(ended)
        for below in options.below:
            part = stopped(ended, said, below)
            saved = 1 - sum(each.seconds for each in part) / sum(each.seconds for each in ended)
            row = (len(part) < len(ended), answer(part) != full, saved)
            found.setdefault((LEVELS[seed % len(LEVELS)], below), []).append(row)
    print("| families' levels | ended below | studies ended early | another answer | saved |")
    print("| --- | --- | --- | --- | --- |")
    for below in options.below:
        everything = []
        for level in (*LEVELS, None):
            rows = everything if level is None else found[level, below]
            everything += [] if level is None else rows
            name = "all" if level is None else f"±{100 * level:.0f} points"
            print(
                f"| {name} | {below:g} | {100 * fmean(row[0] for row in rows):.0f}% "
                f"| {100 * fmean(row[1] for row in rows):.1f}% "
                f"| {100 * fmean(row[2] for row in rows):.0f}% |"
            )
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("optuna", "ray", "numpy"))
    print(
        f"\n{options.studies} studies of {options.searches} searches, {options.trials} trials "
        f"a family; {versions}, Python {platform.python_version()}, "
        f"{time.process_time() - started:.0f} CPU seconds on {platform.machine()}"
    )


if __name__ == "__main__":
    main()
