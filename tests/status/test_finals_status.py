"""How many re-trainings a study has, which are done, and which go on."""

import json
from pathlib import Path
from typing import Any

from made_up_rows import final_run
from made_up_status import CHOICE, ENDED, SEARCHED, SETTINGS, write_study

from orchestrator.results.lock import holding


def test_a_completed_study_shows_its_finals_and_times(tmp_path: Path, shown: Any) -> None:
    runs = [
        final_run(role, seed, fraction)
        for role in ("baseline", "tuned")
        for seed in (0, 1)
        for fraction in (0.5, 1.0)
    ]
    # A family whose baseline won is trained once and stands for both roles.
    both = [
        {**final_run("baseline", seed, fraction, "resnet50_transfer"), "role": role}
        for role in ("baseline", "tuned")
        for seed in (0, 1)
        for fraction in (0.5, 1.0)
    ]
    trained = runs + [run for run in both if run["role"] == "baseline"]
    folder = write_study(
        tmp_path / "mine",
        outcome="completed",
        final=runs + both,
        final_epochs=[{**run, "epoch": n} for run in trained for n in range(1, 11)],
        choice=CHOICE,
        halted={},
    )
    text = shown(folder)
    assert text.startswith(
        "Study mine: completed; started 2026-05-04 12:00:00 UTC; ended 2026-05-04 13:30:00 UTC\n"
    )
    assert "Finals: 12 of 12 re-trainings done, 120 of 120 epochs\nFaults: none" in text


def test_finals_in_progress_are_named_with_their_epochs(tmp_path: Path, shown: Any) -> None:
    done, begun = final_run("baseline", 0, 0.5), final_run("tuned", 1, 1.0)
    folder = write_study(
        tmp_path / "mine",
        trials=ENDED,
        final=[done],
        final_epochs=[{**done, "epoch": n} for n in range(1, 11)]
        + [{**begun, "epoch": n} for n in range(1, 4)],
        choice=CHOICE,
        settings={**SETTINGS, "trials": 2},
    )
    expected = "Finals: 1 of 12 re-trainings done, 13 of 120 epochs\n"
    with holding(folder):
        assert f"{expected}in progress: cnn-tuned-s1-f1 (epoch 3)\n" in shown(folder)
    assert f"{expected}not finished: cnn-tuned-s1-f1 (epoch 3)\n" in shown(folder)
    assert json.loads(shown(folder, "--json"))["finals"] == {
        "done": 1,
        "expected": 12,
        "epochs": 13,
        "epochs_expected": 120,
        "unfinished": [{**begun, "epochs": 3, "done": False, "failed": False}],
        "failed": [],
    }


def test_finals_of_an_earlier_choice_do_not_count_while_an_extended_study_searches(
    tmp_path: Path, shown: Any
) -> None:
    done = final_run("baseline", 0, 0.5)
    folder = write_study(tmp_path / "mine", trials=SEARCHED, final=[done], choice=CHOICE, halted={})
    with holding(folder):
        assert "Finals: not begun\n" in shown(folder)


def test_finals_of_an_earlier_choice_do_not_count_before_an_extended_study_has_a_new_trial(
    tmp_path: Path, shown: Any
) -> None:
    study = {"trials": ENDED, "choice": CHOICE, "halted": {}}
    done = final_run("baseline", 0, 0.5)
    fewer = {**SETTINGS, "trials": 2}
    folder = write_study(tmp_path / "mine", final=[done], settings=fewer, **study)
    assert "Finals: 1 of 12 re-trainings done" in shown(folder)
    write_study(folder, final=[done], **study)  # killed when four trials were asked for
    assert "Finals: not begun\n" in shown(folder)


def test_a_study_without_any_winner_has_no_finals(tmp_path: Path, shown: Any) -> None:
    folder = write_study(tmp_path / "mine", outcome="incomplete", choice={}, halted={})
    assert "Finals: none, since no family has a winner" in shown(folder)
