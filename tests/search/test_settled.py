"""A study that is told to ends its searches once more trials would hardly change who wins."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_process import Driver
from made_up_inputs import FAMILIES

from orchestrator.config.searches import Search
from orchestrator.config.settings import FEWEST_TO_SETTLE as FEWEST
from orchestrator.config.settings import Settings
from orchestrator.results import files
from orchestrator.search.settled import Settled
from orchestrator.status.__main__ import main as status
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialSpec
from orchestrator.verify.runner import verify

SEARCHES = [Search(name=name, family=name, train_fraction=1.0) for name in ("cnn", "other")]
LOWER = '''"""Does a family that is far behind stay there?"""

import dataclasses

from trainables.families import curve

FAMILY = dataclasses.replace(
    curve.FAMILY,
    name="lower",
    search_space={
        **curve.FAMILY.search_space,
        "skill": curve.Dimension(
            values=curve.FloatDistribution(0.1, 0.3), meaning="accuracy in the end"
        ),
    },
    baseline={"skill": 0.2, "fault": "none"},
)
'''


def end(recorder: Recorder, family: str, number: int, accuracy: float, status: str) -> None:
    trial_id = f"{family}-{number:03d}"
    spec = TrialSpec(
        trial_id=trial_id, family=family, role="search", params={}, seed=0, train_fraction=1.0
    )
    recorder.propose(spec)
    recorder.trials[trial_id].rows.append(
        {"epoch": 1, "validation_accuracy": accuracy, "validation_loss": 1 - accuracy}
    )
    recorder.end(trial_id, status)


def settled(recorder: Recorder, below: float | None) -> str | None:
    rule = Settled(recorder, SEARCHES, trials=40, below=below, images=1000)
    return rule.blocked_by(SEARCHES[0])


def test_a_wide_gap_between_families_ends_the_searches_if_that_is_wanted(
    recorder: Recorder,
) -> None:
    for number, step in enumerate(np.linspace(0, 0.02, FEWEST)):
        end(recorder, "cnn", number, 0.8 - step, "completed")
        assert settled(recorder, 0.01) is None
        end(recorder, "other", number, 0.5 - step, "stopped")
    assert settled(recorder, 0.01) == "stop_when_settled"
    assert settled(recorder, None) is None


def test_trials_that_cannot_win_say_nothing(recorder: Recorder) -> None:
    for number, step in enumerate(np.linspace(0, 0.02, FEWEST)):
        end(recorder, "cnn", number, 0.8 - step, "completed")
        end(recorder, "other", number, 0.5 - step, "failed" if number == 1 else "completed")
    assert settled(recorder, 0.01) is None


def test_what_runs_may_open_it_again(recorder: Recorder) -> None:
    rule = Settled(recorder, SEARCHES, trials=40, below=0.05, images=1000)
    for number, step in enumerate(np.linspace(0, 0.02, FEWEST)):
        end(recorder, "cnn", number, 0.8 - step, "completed")
        end(recorder, "other", number, 0.5 - step, "completed")
    assert rule.blocked_by(SEARCHES[1]) == "stop_when_settled"
    end(recorder, "other", FEWEST, 0.8, "completed")
    assert rule.blocked_by(SEARCHES[1]) is None


@pytest.mark.parametrize("chance", [0, 1, -0.1, float("nan")])
def test_only_a_chance_is_taken(chance: float) -> None:
    with pytest.raises(ValueError, match="stop_when_settled must be a chance between 0 and 1"):
        Settings(stop_when_settled=chance)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    families = tmp_path / "families"
    families.mkdir()
    (families / "curve.py").write_text((FAMILIES / "curve.py").read_text())
    (families / "lower.py").write_text(LOWER)
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(families))
    settings = {"families": "curve,lower", "trials": 30, "epochs": 2, "grace_period": 1, "seeds": 2}
    healthy = ("space.curve.fault=none", "space.lower.fault=none")
    return Driver(tmp_path / "results", monkeypatch, settings, assignments=healthy)


def test_a_study_that_is_settled_says_so_is_sound_and_goes_on_if_it_is_to(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.settings["stop_when_settled"] = 0.01
    assert driver.start()
    content = files.read_study(driver.folder).raw
    trials = pd.read_parquet(driver.folder / "trials.parquet").groupby("family").size()
    assert content["closed"] == {
        name: {"trials": trials[name], "setting": "stop_when_settled"}
        for name in ("curve", "lower")
    }
    assert all(FEWEST <= trials[name] < 30 for name in trials.index)
    assert verify(driver.folder, sources=False).problems == []
    events = pd.read_parquet(driver.folder / "events.parquet")
    said = events.detail[events.kind == "budget_reached"].tolist()
    assert said[0] == (
        f"curve ended after {trials['curve']} of 30 trials: the chance that more change which "
        "family wins is below 0.01"
    )
    assert status([str(driver.folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["families"]
    assert [each["trials"] for each in shown] == trials.tolist()
    assert driver.resume()
    again = files.read_study(driver.folder).raw
    names = ("closed", "choice_sha256", "test_openings")
    assert [again[name] for name in names] == [content[name] for name in names]
    assert driver.resume(stop_when_settled=None)
    assert files.read_study(driver.folder).raw["closed"] == {}
    assert len(pd.read_parquet(driver.folder / "trials.parquet")) == 60
    assert verify(driver.folder, sources=False).problems == []
