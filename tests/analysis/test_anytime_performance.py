"""The best so far grows with the device-seconds spent, in the order in which epochs came."""

import numpy as np
import pytest
from made_up_rows import epoch, framed, trial
from shown_cells import cells

from orchestrator.analysis.anytime_performance import best_after, best_so_far_sections, trace_best


def tables(trials, epochs):
    """Trials as {id: (status, device seconds)}, epochs as (id, accuracy) in their order."""
    rows = [
        trial(name, status, device_seconds=seconds) for name, (status, seconds) in trials.items()
    ]
    reported = [epoch(name, 1, value, sequence=at) for at, (name, value) in enumerate(epochs)]
    # The tables are sorted by trial, not by time.
    reported.sort(key=lambda row: row["trial_id"])
    return framed("trials", rows), framed("epochs", reported)


def shown(trials, epochs):
    return cells(best_so_far_sections(*tables(trials, epochs))).get("effort/time", [])


def pairs(trace):
    return list(trace.itertuples(index=False, name=None))


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
    assert pairs(traces["cnn"]) == [(20, 0.2), (40, 0.4), (60, 0.4), (80, 0.4), (100, 0.5)]
    assert pairs(traces["vit"]) == [(100, 0.5), (200, 0.6)]


@pytest.mark.parametrize(("seconds", "best"), [(20, 0.2), (99, 0.4), (1000, 0.5)])
def test_the_best_within_a_budget_is_that_of_the_epochs_done_by_then(seconds, best) -> None:
    trace = trace_best(*tables(TRIALS, EPOCHS))["cnn"]
    assert best_after(trace, seconds) == best
    assert np.isnan(best_after(trace, 19))


def test_families_are_held_against_each_other_at_equal_device_seconds() -> None:
    (section,) = best_so_far_sections(*tables(TRIALS, EPOCHS))
    assert list(section.formats) == [
        "family",
        "spent",
        "by 100 s",
        "by 50 s",
        "by 150 s",
        "by 200 s",
    ]
    assert section.cells() == [
        ("cnn", "100", "50.00%", "40.00%", "50.00%", "50.00%"),
        ("vit", "200", "50.00%", "—", "50.00%", "60.00%"),
    ]


def test_a_trial_that_cannot_win_costs_and_counts_for_nothing() -> None:
    trials = {**TRIALS, "cnn-1": ("diverged", 40.0)}
    trace = trace_best(*tables(trials, EPOCHS))["cnn"]
    assert pairs(trace) == [(20, 0.2), (40, 0.2), (60, 0.3), (80, 0.3), (100, 0.5)]


def test_a_family_without_a_trial_that_can_win_has_dashes() -> None:
    trials = {**TRIALS, "vit-0": ("failed", 200.0)}
    assert shown(trials, EPOCHS)[1] == ("vit", "200", "—", "—", "—", "—")


def test_without_an_epoch_nothing_is_said() -> None:
    assert shown({"cnn-0": ("failed", 8.0)}, []) == []
