"""While a study searches, its status says what more trials may change, and what they take."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_rows import trial
from made_up_status import SETTINGS, write_study

from orchestrator.results.lock import holding

FAMILIES = SETTINGS["families"]
DATA = {"dataset": {"name": "digits", "validation_images": 500}}


def search(folder: Path, *, gap: float, ended: int = 12, **more: Any) -> Path:
    """Two families with so many ended trials of 20 each, and one that runs."""
    trials = [
        trial(f"{family}-{number:03d}", "completed", 10, best - 0.005 * number, device_seconds=360)
        for family, best in zip(FAMILIES, (0.8, 0.8 - gap), strict=True)
        for number in range(ended)
    ]
    trials.append(trial(f"{FAMILIES[0]}-{ended:03d}", "running", 5, 0.7, device_seconds=180))
    settings = {**SETTINGS, "trials": 20}
    return write_study(folder, trials=trials, settings=settings, **{**DATA, **more})


@pytest.mark.parametrize(("gap", "said"), [(0.3, "less than 1%"), (0.0, "%")])
def test_the_chance_of_another_winner_stands_beside_what_more_trials_take(
    gap: float, said: str, tmp_path: Path, shown: Any
) -> None:
    folder = search(tmp_path / "mine", gap=gap)
    with holding(folder):
        (line,) = [each for each in shown(folder).splitlines() if each.startswith("More trials")]
        found = json.loads(shown(folder, "--json"))["more_trials"]
    assert line.startswith("More trials: the 16 to come change which family wins with a chance of")
    assert said in line
    # 16 of a tenth of an hour each, of which half of one has been.
    assert line.endswith("and take about 1.6 device-hours")
    assert found["trials"] == 16
    assert found["device_hours"] == pytest.approx(1.55)
    assert (found["chance_of_another_winner"] < 0.01) == (gap > 0)


@pytest.mark.parametrize(
    "more",
    [
        {"ended": 5},
        {"dataset": {"name": "digits"}},
        {"outcome": "completed"},
    ],
)
def test_where_nothing_can_be_said_nothing_is(
    more: dict[str, Any], tmp_path: Path, shown: Any
) -> None:
    folder = search(tmp_path / "mine", gap=0.3, **more)
    assert "More trials" not in shown(folder)
    assert json.loads(shown(folder, "--json"))["more_trials"] is None
