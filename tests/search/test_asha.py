"""The rule of early stopping decides as Ray's ASHA does, and is quick on large rungs."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_record import record
from ray.tune.schedulers import ASHAScheduler

from orchestrator.config.rungs import all_rungs, earliest_stop, offered_rungs
from orchestrator.config.settings import Settings
from orchestrator.search.ray_asha import RayRungs
from orchestrator.stats.asha import FamilyRungs

STUDIES = 1_000


@dataclass(frozen=True)
class Report:
    """An epoch that a trial reports, which may be one that an earlier attempt reported."""

    trial_id: str
    epoch: int
    value: float

    @property
    def arguments(self) -> tuple[str, dict[str, float]]:
        """The trial, and the row of its epoch."""
        return self.trial_id, {"epoch": self.epoch, "objective": self.value}


class RandomStudy:
    """Reports of trials in a random order, with ties, and epochs left out or coming again."""

    def __init__(self, number: int) -> None:
        self.random = random = Random(number)
        epochs = random.randint(1, 40)
        self.settings = {
            "epochs": epochs,
            "grace_period": random.randint(1, min(epochs, 6)),
            "reduction_factor": random.randint(2, 4),
        }
        self.images = random.choice([4, 20, 100, 5_000])  # so many accuracies are possible
        self.running = {f"cnn-{number:03d}": 0 for number in range(random.randint(1, 24))}
        self.exempt = {name for name in self.running if random.random() < 0.1}

    def reports(self) -> Iterator[Report]:
        """One after another, until all trials have ended; now and then an attempt goes back."""
        random, last = self.random, self.settings["epochs"]
        while self.running:
            name = random.choice(list(self.running)[:6])
            further = random.randint(2, 9) if random.random() < 0.05 else 1
            epoch = self.running[name] = min(last, self.running[name] + further)
            yield Report(name, epoch, random.randint(0, self.images) / self.images)
            if epoch == last:
                del self.running[name]
            elif name in self.running and random.random() < 0.03:
                self.running[name] = random.randrange(epoch)


class RaysOwn:
    """Ray's ASHA, told of every report as Tune does; and what each of its rungs has seen."""

    def __init__(self, settings: dict[str, int]) -> None:
        self.epochs = settings["epochs"]
        self.asha = ASHAScheduler(
            time_attr="epoch",
            metric="objective",
            mode="max",
            max_t=settings["epochs"],
            grace_period=settings["grace_period"],
            reduction_factor=settings["reduction_factor"],
        )
        self.known: set[str] = set()

    def stops(self, report: Report) -> bool:
        """Whether a trial that has not reached the last epoch is to stop."""
        trial, (_, row) = SimpleNamespace(trial_id=report.trial_id), report.arguments
        if report.trial_id not in self.known:
            self.known.add(report.trial_id)
            self.asha.on_trial_add(None, trial)
        if report.epoch == self.epochs:
            self.asha.on_trial_complete(None, trial, row)
            return False
        return self.asha.on_trial_result(None, trial, row) == "STOP"


def test_the_rule_decides_as_rays_asha_does_in_a_thousand_random_studies() -> None:
    seen: Counter[str] = Counter()
    for number in range(STUDIES):
        study = RandomStudy(number)
        rays, rule = (
            RaysOwn(study.settings),
            made(FamilyRungs, study, all_rungs(record(**study.settings).settings)),
        )
        for report in study.reports():
            arrival = rule.arrive("cnn", *report.arguments, exempt=report.trial_id in study.exempt)
            stops = rays.stops(report)
            if arrival is None:
                assert not stops
                continue
            seen[arrival.decision] += 1
            seen["tie"] += arrival.value == arrival.cutoff
            if stops != (arrival.decision in {"stop", "protected"}):
                assert arrival.value == pytest.approx(arrival.cutoff, rel=1e-12, abs=1e-12)
                seen["tie that rounding decided another way"] += 1
            if arrival.decision == "stop":
                del study.running[report.trial_id]
    # Cut-offs are rounded as by Ray's NumPy, so that ties fall the same way.
    assert seen["tie that rounding decided another way"] == 0
    assert all(seen[word] > 500 for word in ("continue", "stop", "protected", "finished", "tie"))


def test_the_live_study_decides_by_the_rule_at_the_rungs_that_are_offered() -> None:
    seen: Counter[str] = Counter()
    for number in range(STUDIES // 5):
        study = RandomStudy(number)
        rungs = offered_rungs(record(**study.settings).settings)
        live, rule = (made(kind, study, rungs) for kind in (RayRungs, FamilyRungs))
        for report in study.reports():
            exempt = report.trial_id in study.exempt
            arrival = live.arrive("cnn", *report.arguments, exempt=exempt)
            assert arrival == rule.arrive("cnn", *report.arguments, exempt=exempt)
            if arrival is not None:
                assert arrival.rung in rungs
                seen[arrival.decision] += 1
                if arrival.decision == "stop":
                    del study.running[report.trial_id]
    assert all(seen[word] > 100 for word in ("continue", "stop", "protected"))


def test_a_cutoff_is_numpys_percentile_of_the_earlier_arrivals_to_the_last_bit() -> None:
    for factor in (2, 3, 4, 7):
        rule = FamilyRungs(["cnn"], rungs=[1], epochs=9, reduction_factor=factor)
        met: list[float] = []
        for number, value in enumerate(np.random.default_rng(factor).random(300).tolist()):
            report = Report(f"cnn-{number}", 1, value)
            arrival = rule.arrive("cnn", *report.arguments, exempt=False)
            assert arrival is not None
            expected = np.nanpercentile(met, (1 - 1 / factor) * 100) if met else None
            assert arrival.cutoff == expected
            met.append(value)


def made(kind: type[FamilyRungs], study: RandomStudy, rungs: list[int]) -> FamilyRungs:
    settings = {name: study.settings[name] for name in ("epochs", "reduction_factor")}
    return kind(["cnn"], rungs=rungs, **settings)


@pytest.mark.parametrize(
    ("epochs", "grace", "factor", "offered", "left_out"),
    [
        (50, 5, 3, [5, 15], [45]),
        (50, 5, 2, [5, 10, 20, 40], []),
        (9, 1, 3, [1, 3], [9]),
        (4, 1, 3, [1, 3], []),
        (3, 1, 3, [1], [3]),
        (2, 1, 3, [1], []),
        (1, 1, 3, [], [1]),
        (50, 45, 3, [], [45]),
    ],
)
def test_rungs_within_a_fifth_of_the_last_epoch_are_not_offered(
    epochs: int, grace: int, factor: int, offered: list[int], left_out: list[int]
) -> None:
    settings = Settings(epochs=epochs, grace_period=grace, reduction_factor=factor)
    assert offered_rungs(settings) == offered
    assert all_rungs(settings) == [*offered, *left_out]
    assert earliest_stop(settings) == (offered[0] if offered else epochs)


def test_a_study_that_does_not_name_its_rungs_has_all_and_one_that_does_has_those() -> None:
    settings = {"epochs": 50, "grace_period": 5, "reduction_factor": 3}
    assert record(**settings).rungs == [5, 15, 45]
    assert record({"rungs": [5, 15]}, **settings).rungs == [5, 15]
    assert record({"rungs": []}, **settings).rungs == []


def test_an_arrival_costs_as_little_at_a_rung_of_thousands_as_at_an_empty_one() -> None:
    rungs = FamilyRungs(["cnn"], rungs=[1], epochs=50, reduction_factor=3)
    values = np.random.default_rng(0).random(20_000).tolist()
    started = time.process_time()
    for number, value in enumerate(values):
        rungs.arrive("cnn", *Report(f"cnn-{number}", 1, value).arguments, exempt=False)
    assert (time.process_time() - started) / len(values) < 1e-4
