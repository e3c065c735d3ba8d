"""A training takes what its own epochs took, else those of the trial or the family it is like."""

from datetime import UTC, datetime, timedelta
from statistics import StatisticsError
from typing import Any

import pytest
from made_up_record import record

from orchestrator.forecast.speed import Speed, side_by_side
from orchestrator.forecast.workload import Images, Trained, Training, Workload

IMAGES = Images(train={1.0: 900, 0.1: 90}, validation=300)  # an epoch at 0.1 is 0.19 of one at 1.0
START = datetime(2026, 3, 1, tzinfo=UTC)


def trained(trial_id: str, seconds_per_epoch: float, *, epochs: int = 10, **more: Any) -> Trained:
    """A trial with so many seconds an epoch; it ran without anything beside its epochs."""
    own = {"status": "completed", "role": "search", "train_fraction": 1.0, **more}
    seconds = seconds_per_epoch * epochs
    return Trained(
        trial_id=trial_id,
        family=trial_id.partition("-")[0],
        epochs=epochs,
        epoch_seconds=seconds,
        **{"wall_seconds": seconds, **own},
    )


def training(**more: Any) -> Training:
    return Training(**{"family": "cnn", "train_fraction": 1.0, "epochs": 10.0, **more})


def test_it_is_as_fast_as_the_slowest_it_is_like_else_as_the_mean_of_its_family() -> None:
    trials = [trained("cnn-000", 1.0), trained("cnn-001", 3.0, epochs=1), trained("vit-000", 9.0)]
    speed = Speed(trials, IMAGES)
    assert speed.epoch_seconds(training()) == 2.0
    assert speed.epoch_seconds(training(like=("cnn-000",))) == 1.0
    assert speed.epoch_seconds(training(like=("cnn-000", "cnn-001", "cnn-002"))) == 3.0
    assert speed.epoch_seconds(training(like=("cnn-002",))) == 2.0  # it has no epoch
    assert speed.epoch_seconds(training(train_fraction=0.1)) == pytest.approx(2.0 * 0.19)


def test_an_epoch_at_a_smaller_share_says_how_long_one_at_the_largest_takes() -> None:
    speed = Speed([trained("cnn-f0.1-000", 0.19, train_fraction=0.1)], IMAGES)
    assert speed.epoch_seconds(training()) == pytest.approx(1.0)


def test_larger_images_take_longer_in_proportion_to_their_pixels() -> None:
    speed = Speed([trained("cnn-000", 4.0, edge=32), trained("cnn-001", 9.0, edge=48)], IMAGES)
    assert speed.epoch_seconds(training(edge=64)) == pytest.approx(16.0)
    assert speed.epoch_seconds(training()) == pytest.approx(6.5)  # either may be drawn


def test_another_device_says_nothing_and_an_earlier_study_speaks_where_there_is_no_epoch() -> None:
    trials = [trained("cnn-000", 1.0, device="cpu"), trained("vit-000", 2.0, device="cuda")]
    with pytest.raises(StatisticsError):
        Speed(trials, IMAGES, device="cuda").epoch_seconds(training())
    speed = Speed(trials, IMAGES, device="cuda", earlier=lambda _, fraction: 7.0 * fraction)
    assert speed.epoch_seconds(training(train_fraction=0.1)) == pytest.approx(0.7)
    assert speed.epoch_seconds(training(family="vit")) == 2.0


def test_what_comes_beside_the_epochs_counts_once_and_waiting_is_no_device_time() -> None:
    when = {"started_at": START, "ended_at": START + timedelta(seconds=20)}
    speed = Speed([trained("cnn-000", 1.0, wall_seconds=15.0, **when)], IMAGES)
    assert speed.device_seconds(training()) == 5 + 10
    assert speed.wall_seconds(training()) == 5 + 5 + 10
    assert speed.wall_seconds(training(begun=True, epochs=4.0)) == 4


@pytest.mark.parametrize(("at_a_time", "seconds"), [(1, 12.0), (2, 7.0), (4, 7.0)])
def test_side_by_side_they_take_no_less_than_the_longest(at_a_time: int, seconds: float) -> None:
    work = [training(epochs=7.0), training(epochs=2.5, times=2)]
    assert side_by_side(work, lambda each: each.epochs, at_a_time) == seconds


def test_the_plan_before_the_start_is_the_same_work_at_its_least_and_its_most() -> None:
    given = {"trials": 3, "epochs": 10, "grace_period": 2, "seeds": 2, "families": ["cnn"]}
    settings = {**given, "reduction_factor": 3, "train_fractions": [1.0, 0.1]}
    study = record(**settings).settings
    least, most = (Workload(study, ["cnn"], reach=reach) for reach in ("least", "most"))
    (search,) = most.searches
    assert [(each.epochs, each.times) for each in least.to_come(search)] == [(10, 1), (2, 2)]
    assert [(each.epochs, each.times) for each in most.to_come(search)] == [(10, 1), (10, 2)]
    assert [(f.train_fraction, f.times) for f in least.finals("cnn")] == [(1.0, 2), (0.1, 2)]
    assert [(f.train_fraction, f.times) for f in most.finals("cnn")] == 2 * [(1.0, 2)] + 2 * [
        (0.1, 2)
    ]
    some = [trained("cnn-000", 1.0, role="baseline"), trained("cnn-001", 1.0, status="running")]
    begun = Workload(study, ["cnn"], some, reach="most")
    assert [each.epochs for each in begun.to_come(search)] == [10]
    assert [each.epochs for each in begun.running("cnn")] == [0]
