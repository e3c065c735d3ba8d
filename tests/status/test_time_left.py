"""What a study still takes, at the pace so far; nothing where that cannot be said."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made_up_rows import START, event, final_run, trial
from made_up_status import CHOICE, CLUSTER, SEARCHED, SETTINGS, write_study

from orchestrator.forecast.remaining import TimeLeft
from orchestrator.results.lock import holding
from orchestrator.status.study_status import read_status

LAST = START + timedelta(seconds=104)  # cnn-000 has reported its tenth epoch


def left(folder: Path, age: float | None = None) -> float | None:
    """The estimate some seconds after the last epoch of a search; None: at the last of all."""
    now = None if age is None else LAST.timestamp() + age
    with holding(folder):
        return read_status(folder, now=now).time_left_seconds


def test_the_time_left_is_what_is_to_come_at_the_pace_so_far(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    # Wall seconds: 10 an epoch, 4 to start. To come: cnn-002 has had 5 epochs, further than any
    # that ended, so 5 more; cnn-003 is taken to have 5; resnet50_transfer-000 lacks 2; -003 is
    # taken to have 1.5. What runs was last heard of so long ago that it must be done with the epoch
    # it was in. Finals: 2 families x 2 roles x 2 seeds, 10 epochs at half cost and whole.
    search = 50 - 10 + (4 + 50) + 20 - 10 + (4 + 15)
    finals = 8 * (4 + 50) + 8 * (4 + 100)
    assert left(folder) == left(folder, 0) == pytest.approx((search + finals) / 2)
    assert left(folder, 60) == pytest.approx((search + finals) / 2 - 60)
    assert left(folder, -60) == left(folder)  # a clock that was set back
    assert left(folder, 10_000) is None  # overdue


def test_the_time_left_in_the_finals_counts_only_what_is_not_done(tmp_path: Path) -> None:
    begun = final_run("tuned", 0, 0.5)
    folder = write_study(
        tmp_path / "mine",
        trials=[trial("cnn-000", "completed", 10, 0.5)],
        final=[final_run("baseline", 0, 0.5), final_run("baseline", 0, 1.0)],
        final_epochs=[
            {
                **begun,
                "epoch": number,
                "sequence": number,
                "epoch_seconds": 5.0,
                "reported_at": LAST + timedelta(seconds=5 * number),
            }
            for number in range(1, 4)
        ],
        settings={**SETTINGS, "families": ["cnn"], "trials": 1, "seeds": 1},
        choice={"cnn": CHOICE["cnn"]},
        cluster={**CLUSTER, "max_concurrent": 1},
    )
    # Seven epochs at half cost, and a whole run with its start.
    assert left(folder) == pytest.approx(7 * 5 + (4 + 10 * 10))


def test_the_time_left_knows_that_validation_takes_as_long_at_each_fraction(
    tmp_path: Path,
) -> None:
    images = {"train_images_by_fraction": {"0.01": 10, "1.0": 1000}, "validation_images": 300}
    folder = write_study(
        tmp_path / "mine",
        trials=[trial("cnn-000", "completed", 10, 0.5)],
        final=[final_run("baseline", 0, 1.0), final_run("tuned", 0, 1.0)],
        settings={
            **SETTINGS,
            "families": ["cnn"],
            "trials": 1,
            "seeds": 1,
            "train_fractions": [0.01, 1.0],
        },
        dataset=images,
        choice={"cnn": CHOICE["cnn"]},
        cluster={**CLUSTER, "max_concurrent": 1},
    )
    # Ten seconds for 1,000 images and a third of 300; to come are two runs with 10 and that third.
    assert left(folder) == pytest.approx(2 * (4 + 10 * 10 * (10 + 100) / (1000 + 100)))


@pytest.mark.parametrize(
    "trials",
    [SEARCHED[:3], [SEARCHED[0], SEARCHED[3]]],
    ids=["a family without an epoch", "no trial of the search has ended"],
)
def test_nothing_is_said_of_the_time_left_where_nothing_can_be(
    tmp_path: Path, trials: Sequence[Mapping[str, Any]]
) -> None:
    assert left(write_study(tmp_path / "mine", trials=trials)) is None


def test_a_family_without_an_epoch_counts_at_the_pace_of_the_study_that_the_forecast_rests_on(
    tmp_path: Path,
) -> None:
    times = {"epochs": [1, 2], "epoch_seconds": {"0.5": [4.0, 6.0], "1.0": [8.0, 12.0]}}
    forecast = {"families": {"resnet50_transfer": times}}
    folder = write_study(tmp_path / "mine", trials=SEARCHED[:3], forecast=forecast)
    # To come of cnn: 40 and 54 s; of resnet50_transfer a baseline of 10 epochs and three of 5.
    search = 40 + 54 + (4 + 100) + 3 * (4 + 50)
    finals = 8 * (4 + 50) + 8 * (4 + 100)
    assert left(folder) == pytest.approx((search + finals) / 2)


def test_what_ran_on_another_kind_of_device_says_nothing_of_the_time_left(tmp_path: Path) -> None:
    elsewhere = [{**row, "device": "cuda"} for row in SEARCHED]
    assert left(write_study(tmp_path / "mine", trials=elsewhere)) is None


def test_a_trial_at_a_share_that_the_study_does_not_have_is_left_out(tmp_path: Path) -> None:
    without, other = (
        [*SEARCHED, *more]
        for more in ([], [trial("cnn-f0.3-000", "running", 5, 0.5, train_fraction=0.3)])
    )
    assert left(write_study(tmp_path / "mine", trials=other)) == left(
        write_study(tmp_path / "sound", trials=without)
    )


def test_the_time_left_leaves_out_a_family_that_was_given_up(tmp_path: Path) -> None:
    halt = event("family_halted", "ValueError: bad", family="resnet50_transfer")
    folder = write_study(tmp_path / "mine", trials=SEARCHED[:3], events=[halt])
    # The search ends with cnn-003, which is longer than half of the 40 + 54 s to come.
    assert left(folder) == pytest.approx(54 + (4 * 54 + 4 * 104) / 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "10 s"), (44, "40 s"), (130, "2 min"), (5400, "90 min"), (9000, "2.5 h")],
)
def test_an_estimate_is_told_in_round_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: Any, seconds: float, text: str
) -> None:
    folder = write_study(tmp_path / "mine", trials=SEARCHED)
    written = max(path.stat().st_mtime for path in folder.glob("*.parquet"))
    found = TimeLeft(seconds=seconds + 1, at=datetime.fromtimestamp(written, UTC))
    monkeypatch.setattr("orchestrator.status.study_status.forecast_end", lambda *_: found)
    monkeypatch.setattr(time, "time", lambda: written + 1)
    with holding(folder):
        assert shown(folder).endswith(
            f"Tables written 1 s ago; if it goes on as so far, about {text} left, finals included"
        )
