"""The best so far grows with the device-seconds spent, in the order in which epochs came."""

import pytest
from made_up_rows import epoch, table, trial

from orchestrator.analysis.anytime_performance import best_after, best_so_far_sections, trace_best


def tables(trials, epochs):
    """Trials as {id: (status, device seconds)}, epochs as (id, accuracy) in their order."""
    rows = [
        trial(name, status, device_seconds=seconds) for name, (status, seconds) in trials.items()
    ]
    reported = [epoch(name, 1, value, sequence=at) for at, (name, value) in enumerate(epochs)]
    # The tables are sorted by trial, not by time.
    reported.sort(key=lambda row: row["trial_id"])
    return table("trials", rows), table("epochs", reported)


def said(trials, epochs, families=("cnn", "vit")):
    study = {"settings": {"families": list(families)}}
    (section,) = best_so_far_sections(study, *tables(trials, epochs))
    return [*section.sentences, *section.rows]


TRIALS = {"cnn-0": ("completed", 60.0), "cnn-1": ("stopped", 40.0), "vit-0": ("completed", 200.0)}
EPOCHS = [
    ("cnn-0", 0.2),
    ("vit-0", 0.5),
    ("cnn-1", 0.4),
    ("cnn-0", 0.3),
    ("cnn-1", 0.1),
    ("vit-0", 0.6),
    ("cnn-0", 0.5),
]


def test_epochs_count_as_they_came_at_their_trials_mean_cost() -> None:
    traces = trace_best(*tables(TRIALS, EPOCHS))
    assert traces["cnn"] == [(20, 0.2), (40, 0.4), (60, 0.4), (80, 0.4), (100, 0.5)]
    assert traces["vit"] == [(100, 0.5), (200, 0.6)]


@pytest.mark.parametrize(("seconds", "best"), [(19, None), (20, 0.2), (99, 0.4), (1000, 0.5)])
def test_the_best_within_a_budget_is_that_of_the_epochs_done_by_then(seconds, best) -> None:
    trace = trace_best(*tables(TRIALS, EPOCHS))["cnn"]
    assert best_after(trace, seconds) == best


def test_families_are_held_against_each_other_at_equal_device_seconds() -> None:
    lines = said(TRIALS, EPOCHS)
    assert ("cnn", "100", "40.00%", "50.00%", "50.00%", "50.00%") in lines
    assert ("vit", "200", "—", "50.00%", "50.00%", "60.00%") in lines
    assert (
        "After 100 device-seconds each, all that cnn was given: cnn 50.00%, vit 50.00%."
    ) in lines


def test_a_trial_that_cannot_win_costs_and_counts_for_nothing() -> None:
    trials = {**TRIALS, "cnn-1": ("diverged", 40.0)}
    trace = trace_best(*tables(trials, EPOCHS))["cnn"]
    assert trace == [(20, 0.2), (40, 0.2), (60, 0.3), (80, 0.3), (100, 0.5)]


def test_a_family_without_a_trial_that_can_win_has_dashes() -> None:
    trials = {**TRIALS, "vit-0": ("failed", 200.0)}
    lines = said(trials, EPOCHS)
    assert ("vit", "200", "—", "—", "—", "—") in lines
    assert "After 100 device-seconds each, all that cnn was given: cnn 50.00%." in lines


def test_a_family_without_an_epoch_has_dashes_and_one_family_no_rival() -> None:
    lines = said({"cnn-0": ("completed", 8.0)}, [("cnn-0", 0.2), ("cnn-0", 0.3)])
    assert ("vit", "—", "—", "—", "—", "—") in lines
    assert ("cnn", "8", "—", "20.00%", "20.00%", "30.00%") in lines
    assert not [line for line in lines if "each" in line]


def test_without_an_epoch_nothing_is_said() -> None:
    assert said({"cnn-0": ("failed", 8.0)}, []) == []
