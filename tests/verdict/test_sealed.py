"""The log of a sealed test set: what is spent, what is said, and what is refused."""

import json
from pathlib import Path

import pytest
from conftest import Run
from made_up_predictions import MadeUpPredictions

from orchestrator.verdict.__main__ import main

CLAIM = ("--baseline", "old", "--claim", "better", "--log", "looks.jsonl")


@pytest.fixture(autouse=True)
def models(place: Path) -> None:
    """A baseline, a model that is much better, and five that are as good."""
    MadeUpPredictions(skill=0.6).write(place / "old.csv")
    MadeUpPredictions(skill=0.95, seed=1).write(place / "new.csv")
    for seed in range(5):
        MadeUpPredictions(skill=0.6, seed=seed + 2).write(place / f"model-{seed}.csv")


def entries(place: Path) -> list[dict[str, object]]:
    """The lines of the log."""
    return [json.loads(line) for line in (place / "looks.jsonl").read_text().splitlines()]


def test_each_look_has_less_to_spend_and_no_number_is_said(place: Path, verdict: Run) -> None:
    for number in range(3):
        found = verdict("old.csv", f"model-{number}.csv", *CLAIM, code=1)
        assert found["sealed"]
        assert "pairs" not in found
        assert "%" not in found["answer"]["headline"]
    assert [entry["level"] for entry in entries(place)] == [0.05 / 2 / n**2 for n in (1, 2, 3)]
    assert verdict("old.csv", "new.csv", *CLAIM)["held"]
    assert entries(place)[-1]["held"]
    after = verdict("old.csv", "model-4.csv", *CLAIM, code=1)
    assert after["claims"][0]["level"] == pytest.approx(0.05 / (25 * 6 * 4))
    page = (place / "verdict.html").read_text()
    assert "not shown" in page
    assert "Test results" not in page


def test_the_same_predictions_again_spend_nothing(place: Path, verdict: Run) -> None:
    first = verdict("old.csv", "model-0.csv", *CLAIM, code=1)
    again = verdict("old.csv", "x=model-0.csv", *CLAIM, code=1)
    assert not first["claims"][0]["again"]
    assert again["claims"][0] == {**first["claims"][0], "candidate": "x", "again": True}
    assert len(entries(place)) == 1


def test_log_and_page_make_the_folder_that_they_lie_in(place: Path) -> None:
    given = [*CLAIM[:-1], "new/log/looks.jsonl", "--output", "new/page/verdict.html"]
    assert main(["old.csv", "new.csv", *given, "--slices", "none"]) == 0
    assert (place / "new/log/looks.jsonl").is_file()
    assert (place / "new/page/verdict.html").is_file()


def test_numbers_that_were_shown_are_remembered(place: Path, verdict: Run) -> None:
    verdict("old.csv", "model-0.csv", *CLAIM, code=1)
    shown = verdict("old.csv", "model-0.csv", *CLAIM, "--open", code=1)
    assert shown["pairs"]
    assert [entry["opened"] for entry in entries(place)] == [False, True]
    after = verdict("old.csv", "model-1.csv", *CLAIM, code=1)
    assert "were shown at 1 of 3 looks" in after["sections"][0]["notes"][-1]
    assert after["claims"][0]["level"] == 0.05 / 2 / 4  # showing the same again spent nothing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"held": false', '"held": true'), "a line was changed or is missing"),
        (('{"look": 1', "{"), "line 1 of looks.jsonl is none"),
    ],
)
def test_a_log_that_was_changed_is_refused(
    change: tuple[str, str],
    message: str,
    place: Path,
    verdict: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from orchestrator.verdict.__main__ import main

    for number in range(2):
        verdict("old.csv", f"model-{number}.csv", *CLAIM, code=1)
    path = place / "looks.jsonl"
    path.write_text(path.read_text().replace(*change, 1))
    assert main(["old.csv", "model-2.csv", *CLAIM]) == 2
    assert message in capsys.readouterr().err
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert main(["old.csv", "model-2.csv", *CLAIM]) == 2


def test_another_test_set_has_another_log(
    place: Path, verdict: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from orchestrator.verdict.__main__ import main

    verdict("old.csv", "model-0.csv", *CLAIM, code=1)
    for name in ("old", "new"):
        MadeUpPredictions(images=90).write(place / f"{name}.csv")
    assert main(["old.csv", "x=new.csv", *CLAIM]) == 2
    assert "is of another (images or labels differ)" in capsys.readouterr().err
