"""What early stopping did is counted from the rows, and said in sentences that fit them."""

import numpy as np
import pytest
from made_up_rows import epoch, rung, table, trial
from scipy.stats import kendalltau, rankdata

from orchestrator.analysis.early_stopping import (
    correlate_ranks,
    early_stopping_sections,
    estimate_savings,
    summarize_rungs,
)

LAST = 9


class Asha:
    """One family's rungs at epochs 1 and 3 of 9; the trials of a rung go on as they are told."""

    def __init__(self, first, second=(), end=(), *, family="cnn", decisions=None):
        self.family, self.values = family, {1: list(first), 3: list(second), LAST: list(end)}
        self.decisions = decisions or {}

    def rungs(self):
        rows = []
        for at, following in ((1, 3), (3, LAST)):
            for number, value in enumerate(self.values[at]):
                decision = "continue" if number < len(self.values[following]) else "stop"
                decision = self.decisions.get((at, number), decision)
                cutoff = None if number == 0 else 0.3 + number / 100
                more = {"sequence": 100 * at + number, "cutoff": cutoff}
                rows.append(rung(f"{self.family}-{number:03d}", at, value, decision, **more))
        return rows

    def epochs(self):
        return [
            epoch(f"{self.family}-{number:03d}", at, value)
            for at, values in self.values.items()
            for number, value in enumerate(values)
        ]

    def trials(self):
        rows = []
        for number in range(len(self.values[1])):
            run = max(at for at, values in self.values.items() if number < len(values))
            status = "completed" if run == LAST else "stopped"
            name = f"{self.family}-{number:03d}"
            rows.append(trial(name, status, run, device_seconds=10.0 * run))
        return rows


def said(*ashas, families=("cnn",), trials=None):
    rows = [row for asha in ashas for row in asha.trials()] if trials is None else trials
    sections = early_stopping_sections(
        {"settings": {"epochs": LAST, "families": list(families)}},
        table("trials", rows),
        table("epochs", [row for asha in ashas for row in asha.epochs()]),
        table("rungs", [row for asha in ashas for row in asha.rungs()]),
    )
    return [cell for section in sections for cell in (*section.sentences, *section.rows)]


SEVEN = Asha(
    first=[0.40, 0.38, 0.44, 0.36, 0.41, 0.35, 0.20, 0.10],
    second=[0.50, 0.55, 0.45, 0.60, 0.44, 0.61],
    end=[0.70, 0.80],
)


def test_each_rung_has_its_arrivals_median_last_cutoff_and_survivors() -> None:
    first, second = summarize_rungs(table("rungs", SEVEN.rungs()))
    assert (first.epoch, first.arrivals, first.stopped) == (1, 8, 2)
    assert first.median == pytest.approx(np.median(SEVEN.values[1]))
    assert first.last_cutoff == pytest.approx(0.37)
    assert (second.epoch, second.arrivals, second.stopped) == (3, 6, 4)
    assert ("cnn", "1", "8", "37.00%", "37.00%", "6") in said(SEVEN)


def test_the_rank_correlation_is_that_of_the_ranks_over_the_trials_at_both_epochs() -> None:
    found = correlate_ranks(
        table("rungs", SEVEN.rungs()), table("epochs", SEVEN.epochs()), last_epoch=LAST
    )
    assert [(each.earlier, each.later, each.trials) for each in found] == [
        (1, 3, 6),
        (1, LAST, 2),
        (3, LAST, 2),
    ]
    ranks = rankdata(SEVEN.values[1][:6]), rankdata(SEVEN.values[3])
    assert found[0].rho == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert [each.rho for each in found[1:]] == [None, None]
    assert np.sign(found[0].rho) == np.sign(kendalltau(*ranks).statistic)


def test_a_low_rank_correlation_is_a_warning_with_its_number() -> None:
    warnings = [line for line in said(SEVEN) if str(line).startswith("Warning")]
    assert len(warnings) == 1
    assert "cnn: the order of the trials at epoch 1 says little about" in warnings[0]
    assert "(rho -0.94 over 6 trials, below 0.5)" in warnings[0]


def test_a_high_rank_correlation_is_none() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    lines = said(Asha(first=values, second=values, end=values))
    assert not [line for line in lines if str(line).startswith("Warning")]
    assert not [line for line in lines if "too little" in line]
    assert ("cnn", "1", "3", "5", "1.00") in lines


def test_too_few_trials_are_said_to_say_too_little_instead_of_warned_of() -> None:
    lines = said(Asha(first=[0.1, 0.2, 0.3], second=[0.3, 0.2, 0.1]))
    assert not [line for line in lines if str(line).startswith("Warning")]
    assert any(
        "cnn: fewer than 5 trials reached both ends of epochs 1 to 3, 1 to 9, 3 to 9" in line
        for line in lines
    )
    assert ("cnn", "1", "3", "3", "-1.00") in lines
    assert ("cnn", "3", "9", "0", "—") in lines


def test_equal_values_have_no_rank_correlation_and_no_nan() -> None:
    lines = said(Asha(first=[0.1] * 6, second=[0.2] * 6))
    assert ("cnn", "1", "3", "6", "—") in lines
    assert "nan" not in str(lines).lower()


def test_a_rung_at_the_last_epoch_is_the_end_and_stands_once() -> None:
    rows = Asha(first=[0.1, 0.2, 0.3]).rungs()
    rows += [{**row, "sequence": row["sequence"] + 500, "rung": LAST} for row in rows]
    epochs = [epoch(row["trial_id"], LAST, 0.5) for row in rows[:2]]
    found = correlate_ranks(table("rungs", rows), table("epochs", epochs), last_epoch=LAST)
    assert [(each.earlier, each.later) for each in found] == [(1, LAST)]


def test_savings_are_the_missing_epochs_at_the_familys_cost_per_epoch() -> None:
    trials = SEVEN.trials()
    trials.append(trial("cnn-008", "diverged", 0, device_seconds=99.0))
    (saving,) = estimate_savings(table("trials", trials), last_epoch=LAST)
    assert saving.epochs_run == 2 * LAST + 4 * 3 + 2 * 1
    assert saving.epochs_saved == 4 * (LAST - 3) + 2 * (LAST - 1)
    assert saving.seconds_per_epoch == pytest.approx(10.0)
    assert saving.device_seconds_saved == pytest.approx(10.0 * saving.epochs_saved)
    assert (
        "cnn: 6 of 9 trials were stopped early, which saved 40 of 72 epochs (56%) against running "
        "them to epoch 9, an estimated 0.11 device-hours at the family's 10 device-seconds per "
        "epoch."
    ) in said(SEVEN, trials=trials)


def test_a_family_in_which_nothing_was_stopped_saved_nothing() -> None:
    values = [0.1, 0.2]
    lines = said(Asha(first=values, second=values, end=values))
    assert "cnn: no trial was stopped early, so nothing was saved." in lines


def test_a_protected_baseline_survives_below_the_cutoff_and_is_named() -> None:
    asha = Asha(first=[0.1, 0.5], second=[0.2], decisions={(1, 0): "protected"})
    lines = said(asha)
    assert ("cnn", "1", "2", "30.00%", "31.00%", "1") in lines
    assert any("cnn: the baseline was below the cut-off at epoch 1" in line for line in lines)


def test_a_family_without_a_trial_at_a_rung_is_said_to_have_none() -> None:
    failed = [trial("vit-000", "failed", 0, device_seconds=3.0)]
    lines = said(SEVEN, families=("cnn", "vit"), trials=[*SEVEN.trials(), *failed])
    assert "vit: no trial arrived at a rung, so none could be stopped early." in lines
    assert "vit: no trial was stopped early, so nothing was saved." in lines
    assert "nan" not in str(lines).lower()


def test_a_study_without_a_trial_has_no_numbers() -> None:
    assert said() == ["cnn: no trial arrived at a rung, so none could be stopped early."]
