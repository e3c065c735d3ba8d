"""What does the driver cost? 10,000 fake trials, 1,000 live, without actors, then their replay.

    python benchmarks/driver.py [--trials 10000] [--live 1000] [--tpe-every 100] [--profile]

Drives search, scheduler and recorder as Ray Tune does, with the spaces of the three families and
made-up learning curves, the tables being written meanwhile. A report is an epoch that a trial
reports and all that follows from it, up to the proposal of the next trial where one has ended. The
time in which TPE is asked is told apart: it asks every `--tpe-every`-th time, otherwise points are
random, which costs next to nothing. The run stops once the last trial is proposed, so that
`--live` trials are under way; then its tables are read and replayed as `--resume` does.
"""

import argparse
import cProfile
import importlib.metadata
import math
import os
import platform
import pstats
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.samplers import BaseSampler
from search_parts import Parts, make_parts, report

from orchestrator.config.samplers import INCUMBENT_TPE, RANDOM
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.results.study_results import StudyResults, by_sequence
from orchestrator.run import replay
from orchestrator.run.replay import StoredStudy
from orchestrator.search.samplers import MAKE, IncumbentTPE, Space

PARTS = 10  # the run is reported in tenths
MOST_SECONDS = 0.01  # a report may take
CLOCKS = ("wall", "CPU")

Seconds = npt.NDArray[np.float64]  # by each of the clocks


def now() -> Seconds:
    """Both clocks; that of this thread's CPU time does not run while other processes do."""
    return np.array([time.perf_counter(), time.thread_time()])


@dataclass
class Asking:
    """How long Optuna's sampler was asked, told apart by kind.

    Attributes:
        tpe_every: TPE is asked each time this many trials were proposed.
        asked: Proposals so far.
        seconds: Those since they were last taken away from a report.
        of_tpe: Number of the proposal and seconds, of each time TPE was asked.
    """

    tpe_every: int
    asked: int = 0
    seconds: Seconds = field(default_factory=lambda: np.zeros(2))
    of_tpe: list[tuple[int, Seconds]] = field(default_factory=list)

    def sampler(self, seed: int, space: Space) -> BaseSampler:
        """What the search makes anew for each ask."""
        self.asked += 1
        if self.asked % self.tpe_every:
            return MAKE[RANDOM](seed, space)
        return MAKE[INCUMBENT_TPE](seed, space)

    def time_asks(self) -> None:
        """Has the asks of every study timed."""
        ask = optuna.Study.ask

        def timed_ask(study: optuna.Study, *args: Any, **kwargs: Any) -> optuna.Trial:
            started = now()
            trial = ask(study, *args, **kwargs)
            spent = now() - started
            self.seconds = self.seconds + spent
            if isinstance(study.sampler, IncumbentTPE):
                self.of_tpe.append((self.asked, spent))
            return trial

        optuna.Study.ask = timed_ask

    def take(self) -> Seconds:
        """The seconds since the last time, which are then forgotten."""
        taken, self.seconds = self.seconds, np.zeros(2)
        return taken


class FakeTrial:
    """A trial's process as the driver sees it: an id, a configuration, and reports."""

    def __init__(self, number: int, config: dict[str, Any]) -> None:
        """Takes what the search proposed."""
        self.tune = SimpleNamespace(trial_id=f"tune-{number}", config=config)
        self._random = random.Random(config["seed"])
        self._skill = self._random.uniform(0.3, 0.9)
        self._time_constant = self._random.uniform(3, 20)
        self.epoch = 0

    def report(self, epochs: int) -> dict[str, Any]:
        """The next epoch."""
        self.epoch += 1
        noise = self._random.gauss(0, 0.01)
        accuracy = max(0.0, self._skill * (1 - math.exp(-self.epoch / self._time_constant)) + noise)
        return report(self.epoch, accuracy, epochs=epochs)


class FakeTune:
    """Calls search and scheduler in the order in which Tune does."""

    def __init__(self, parts: Parts, settings: Settings, live: int) -> None:
        """Takes what it drives."""
        self._parts, self._epochs, self._live = parts, settings.epochs, live
        self._trials: list[FakeTrial] = []
        self._numbers = iter(range(10**9))
        self._random = random.Random(0)
        self.exhausted = False

    def fill(self) -> None:
        """Starts trials until as many are live as may be."""
        while len(self._trials) < self._live and not self.exhausted:
            number = next(self._numbers)
            config = self._parts.searcher.suggest(f"tune-{number}")
            if not isinstance(config, dict):
                self.exhausted = True
                return
            self._parts.recorder.attempt_began(config["trial_id"])
            self._trials.append(FakeTrial(number, config))

    def next_report(self) -> tuple[int, dict[str, Any]]:
        """Which live trial reports next, and what; made up before the clock starts."""
        chosen = self._random.randrange(len(self._trials))
        return chosen, self._trials[chosen].report(self._epochs)

    def take(self, chosen: int, result: dict[str, Any]) -> None:
        """What follows from a report."""
        if not self._parts.take(self._trials[chosen].tune, result):
            self._trials[chosen] = self._trials[-1]
            self._trials.pop()
            self.fill()


def reports(parts: Parts, settings: Settings, live: int, asking: Asking) -> Iterator[Seconds]:
    """The seconds that each report took, without those in which a sampler was asked."""
    tune = FakeTune(parts, settings, live)
    tune.fill()
    asking.take()
    while not tune.exhausted:
        chosen, result = tune.next_report()
        started = now()
        tune.take(chosen, result)
        yield now() - started - asking.take()


def replayed(folder: Path, plans: list[FamilyPlan], settings: Settings) -> tuple[Parts, Seconds]:
    """Reads and replays the tables as a resumed study does; and how many seconds that took."""
    started = now()
    results = StudyResults(folder)
    stored = StoredStudy(trials=results.rows("trials"), epochs=by_sequence(results.rows("epochs")))
    parts = make_parts(folder, plans, settings)
    replay.replay_search(stored, parts.recorder, parts.scheduler, parts.searcher)
    return parts, now() - started


def describe(seconds: Seconds) -> str:
    """A distribution in milliseconds."""
    cells = [seconds.mean(), *np.percentile(seconds, [50, 99]), seconds.max()]
    return " | ".join(f"{1000 * cell:.3f}" for cell in cells)


def print_reports(seconds: Seconds) -> None:
    """Prints the tenths of a run and the growth from the first to the last, by one clock."""
    tenths = np.array_split(seconds, PARTS)
    print("| reports | mean ms | median | 99% | largest |\n| --- | --- | --- | --- | --- |")
    for number, tenth in enumerate(tenths):
        print(f"| tenth {number + 1}, n = {len(tenth)} | {describe(tenth)} |")
    print(f"| all, n = {len(seconds)} | {describe(seconds)} |")
    growth = [measure(tenths[-1]) / measure(tenths[0]) for measure in (np.mean, np.median)]
    print(f"growth, last to first tenth: mean {growth[0]:.2f}, median {growth[1]:.2f}")
    print(f"over {MOST_SECONDS} s: {(seconds > MOST_SECONDS).sum()} of {len(seconds)} reports")


def print_asking(asking: Asking) -> None:
    """Prints what TPE took, in fifths of the run, in CPU time."""
    for fifth in np.array_split(np.array(asking.of_tpe, dtype=object), 5):
        spent = np.array([seconds[1] for _, seconds in fifth])
        if len(spent):
            first, last = fifth[0][0], fifth[-1][0]
            print(f"TPE asked, proposals {first} to {last}, n = {len(spent)}: {describe(spent)}")


def check_same(before: Parts, after: Parts) -> None:
    """A replay that came to another state would be worth nothing."""
    assert before.recorder._rungs == after.recorder._rungs
    assert len(before.recorder._epochs) == len(after.recorder._epochs)
    assert before.recorder.trials.keys() == after.recorder.trials.keys()
    for trial_id, record in before.recorder.trials.items():
        assert record.status == after.recorder.trials[trial_id].status, trial_id


def main() -> None:
    """Runs, replays and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--live", type=int, default=1_000)
    parser.add_argument("--tpe-every", type=int, default=100)
    parser.add_argument("--profile", action="store_true", help="the replay, by cProfile")
    flags = parser.parse_args()
    plans = plan_families(Settings(families="all"))
    settings = Settings(trials=math.ceil(flags.trials / len(plans)))
    asking = Asking(tpe_every=flags.tpe_every)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = make_parts(folder, plans, settings, sampler=asking.sampler)
        asking.time_asks()
        parts.recorder.publish(search=True)
        profile = cProfile.Profile()
        started, cpu = time.perf_counter(), time.process_time()
        with parts.writer.running():
            seconds = np.array(list(reports(parts, settings, flags.live, asking)))
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        for clock, of_clock in zip(CLOCKS, seconds.T, strict=True):
            print(f"\n{clock} time of a report, without the asking of a sampler\n")
            print_reports(of_clock)
        print_asking(asking)
        print(f"run: {wall:.0f} s, {cpu:.0f} CPU s with the writer, {flags.live} live trials")
        if flags.profile:
            profile.enable()
        after, replay_seconds = replayed(folder, plans, settings)
        profile.disable()
        check_same(parts, after)
    rows = len(parts.recorder._epochs)
    took = f"{replay_seconds[0]:.1f} s, {replay_seconds[1]:.1f} CPU s"
    print(f"replay of {len(parts.recorder.trials)} trials, {rows} epochs: {took}")
    versions = ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in ("ray", "optuna", "pyarrow")
    )
    load = os.getloadavg()[0]
    print(
        f"python {platform.python_version()}, {versions}; {os.cpu_count()} cores, load {load:.0f}"
    )
    if flags.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
