"""What early stopping did is counted from the rows."""

import numpy as np
import pytest
from made_up_record import record
from made_up_rows import epoch, framed, rung, trial
from scipy.stats import kendalltau, rankdata
from shown_cells import cells

from orchestrator.analysis.early_stopping import (
    correlate_ranks,
    early_stopping_sections,
    estimate_savings,
    replay_settings,
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


def shown(*ashas, families=("cnn",), trials=None):
    rows = [row for asha in ashas for row in asha.trials()] if trials is None else trials
    sections = early_stopping_sections(
        study(families=list(families)),
        framed("trials", rows),
        framed("epochs", [row for asha in ashas for row in asha.epochs()]),
        framed("rungs", [row for asha in ashas for row in asha.rungs()]),
    )
    return cells(sections)


def study(**settings):
    given = {"epochs": LAST, "grace_period": 1, "reduction_factor": 3, "families": ["cnn"]}
    return record(**(given | settings))


SEVEN = Asha(
    first=[0.40, 0.38, 0.44, 0.36, 0.41, 0.35, 0.20, 0.10],
    second=[0.50, 0.55, 0.45, 0.60, 0.44, 0.61],
    end=[0.70, 0.80],
)


def test_each_rung_has_its_arrivals_median_last_cutoff_and_survivors() -> None:
    first, second = summarize_rungs(framed("rungs", SEVEN.rungs())).itertuples()
    assert (first.rung, first.arrivals, first.stopped) == (1, 8, 2)
    assert first.median == pytest.approx(np.median(SEVEN.values[1]))
    assert first.cutoff == pytest.approx(0.37)
    assert (second.rung, second.arrivals, second.stopped) == (3, 6, 4)
    assert ("cnn", "1", "8", "37.00%", "37.00%", "6", "0") in shown(SEVEN)["stopping/rungs"]


def test_a_protected_baseline_survives_below_the_cutoff_and_is_counted() -> None:
    asha = Asha(first=[0.1, 0.5], second=[0.2], decisions={(1, 0): "protected"})
    assert ("cnn", "1", "2", "30.00%", "31.00%", "1", "1") in shown(asha)["stopping/rungs"]


def test_the_rank_correlation_is_that_of_the_ranks_over_the_trials_at_both_epochs() -> None:
    found = correlate_ranks(
        framed("rungs", SEVEN.rungs()), framed("epochs", SEVEN.epochs()), last_epoch=LAST
    )
    assert found[["earlier", "later", "trials"]].to_numpy().tolist() == [
        [1, 3, 6],
        [1, LAST, 2],
        [3, LAST, 2],
    ]
    ranks = rankdata(SEVEN.values[1][:6]), rankdata(SEVEN.values[3])
    assert found["rho"][0] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert found["rho"][1:].isna().all()
    assert np.sign(found["rho"][0]) == np.sign(kendalltau(*ranks).statistic)


def test_ranks_among_survivors_are_no_warning() -> None:
    sections = early_stopping_sections(
        study(), *(framed(name, getattr(SEVEN, name)()) for name in ("trials", "epochs", "rungs"))
    )
    assert [each.warnings for each in sections] == [()] * 4


def test_equal_values_have_no_rank_correlation() -> None:
    lines = shown(Asha(first=[0.1] * 6, second=[0.2] * 6))["stopping/ranks"]
    assert ("cnn", "1", "3", "6", "—") in lines


def test_a_rung_at_the_last_epoch_is_the_end_and_stands_once() -> None:
    rows = Asha(first=[0.1, 0.2, 0.3]).rungs()
    rows += [{**row, "sequence": row["sequence"] + 500, "rung": LAST} for row in rows]
    epochs = [epoch(row["trial_id"], LAST, 0.5) for row in rows[:2]]
    found = correlate_ranks(framed("rungs", rows), framed("epochs", epochs), last_epoch=LAST)
    assert found[["earlier", "later"]].to_numpy().tolist() == [[1, LAST]]


def test_savings_are_the_missing_epochs_at_the_familys_cost_per_epoch() -> None:
    trials = SEVEN.trials()
    trials.append(trial("cnn-008", "diverged", 0, device_seconds=99.0))
    (saving,) = estimate_savings(framed("trials", trials), last_epoch=LAST).itertuples()
    assert saving.epochs_run == 2 * LAST + 4 * 3 + 2 * 1
    assert saving.epochs_saved == 4 * (LAST - 3) + 2 * (LAST - 1)
    assert saving.device_seconds_saved == pytest.approx(10.0 * saving.epochs_saved)
    (line,) = shown(SEVEN, trials=trials)["stopping/saved"]
    assert line == ("cnn", "9", "6", "32", "40", "56%", "0.11")


def test_a_family_without_an_epoch_saved_nothing_and_has_no_rung() -> None:
    failed = [trial("vit-000", "failed", 0, device_seconds=3.0)]
    found = shown(SEVEN, families=("cnn", "vit"), trials=[*SEVEN.trials(), *failed])
    assert ("vit", "1", "0", "0", "0", "—", "—") in found["stopping/saved"]
    assert {line[0] for line in found["stopping/rungs"]} == {"cnn"}


def test_a_study_without_a_trial_has_no_table() -> None:
    assert not any(shown().values())


def whole(curves):
    """Trials that ran to the end, epoch by epoch side by side, and their rows."""
    rows = [
        epoch(f"cnn-{number:03d}", at + 1, curve[at], sequence=1000 * at + number)
        for at in range(LAST)
        for number, curve in enumerate(curves)
    ]
    trials = [trial(f"cnn-{number:03d}", "completed", LAST) for number in range(len(curves))]
    return framed("trials", trials), framed("epochs", rows)


def test_other_settings_on_whole_curves_are_counted_exactly() -> None:
    # The late one is behind until epoch 3, and wins.
    early, late = np.linspace(0.5, 0.6, LAST), np.linspace(0.1, 0.9, LAST)
    found = replay_settings(
        study(grace_period=2), *whole([early, early - 0.01, early - 0.02, late])
    ).set_index(["grace_period", "reduction_factor"])
    # At epoch 1 the second to the fourth are below the best third of those before them.
    assert found.loc[(1, 3), ["epochs", "exact"]].tolist() == [LAST + 3, "yes"]
    assert found.loc[(1, 3), "difference"] == pytest.approx(0.6 - 0.9)
    assert found.loc[(1, 3), "share_saved"] == pytest.approx(1 - (LAST + 3) / (4 * LAST))
    assert found.loc[(2, 3), "exact"] == "the study's own"
    unstopped = found.loc[LAST].iloc[0]
    assert unstopped[["epochs", "difference", "exact"]].tolist() == [4 * LAST, 0, "yes"]


def test_the_best_is_that_of_trials_that_can_win() -> None:
    trials, epochs = whole([np.linspace(0.5, 0.6, LAST), np.linspace(0.1, 0.9, LAST)])
    trials.loc[1, "status"] = "diverged"
    found = replay_settings(study(), trials, epochs)
    assert found["accuracy"].tolist() == [0.6] * len(found)
    trials["status"] = "failed"
    found = replay_settings(study(), trials, epochs)
    assert found["accuracy"].isna().all()
    assert found["difference"].isna().all()


def test_what_rungs_and_ranks_are_of_is_what_trials_were_compared_by() -> None:
    tables = (framed(name, getattr(SEVEN, name)()) for name in ("trials", "epochs", "rungs"))
    _, settings, rungs, ranks = early_stopping_sections(study(objective="macro_f1"), *tables)
    assert "the best macro F1 it had" in settings.notes[0]
    assert "median macro F1" in rungs.formats
    assert "of validation macro F1 over" in ranks.notes[0]


def test_where_a_stopped_trial_would_have_gone_on_it_is_a_bound() -> None:
    ran = [trial("cnn-000", "completed", LAST), trial("cnn-001", "stopped", 2)]
    _, epochs = whole([np.linspace(0.5, 0.6, LAST), np.linspace(0.1, 0.9, LAST)])
    kept = epochs[(epochs["trial_id"] == "cnn-000") | (epochs["epoch"] < 3)]
    found = replay_settings(study(grace_period=2), framed("trials", ran), kept).set_index(
        ["grace_period", "reduction_factor"]
    )
    assert found.loc[(1, 2), ["epochs", "exact"]].tolist() == [LAST + 1, "yes"]
    assert found.loc[LAST].iloc[0][["epochs", "exact"]].tolist() == [2 * LAST, "no"]
