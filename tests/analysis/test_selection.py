"""Effort, luck and optimism are recomputed from the rows by other means, and said as they are."""

from itertools import combinations

import made_up_rows as made_up
import numpy as np
import pytest
from made_up_record import record
from made_up_rows import final_run, framed
from shown_cells import cells

from orchestrator.analysis.budget_use import measure_budget_use, overspent
from orchestrator.analysis.selection import describe_selection, expected_best, fairness_sections


def trial(number, accuracy, *, family="cnn", **more):
    more = {"device_seconds": 20.0, **more}
    return made_up.trial(f"{family}-{number:03d}", accuracy=accuracy, **more)


def final(accuracy, *, validation=0.8, of=None, **run):
    of = {"trial_id": f"cnn-{of}-s0-f1"} if of else {}
    more = {"test_accuracy": accuracy, "validation_accuracy": validation, "device_seconds": 7.0}
    return final_run(**run, **of, **more)


def tables(trials, finals=()):
    return framed("trials", trials), framed("final", finals)


def shown(trials, finals=(), families=("cnn",)):
    study = record(families=list(families))
    return cells(fairness_sections(study, *tables(trials, finals)))


def notes(trials, families):
    study = record(families=list(families))
    effort, *_ = fairness_sections(study, *tables(trials))
    return effort.notes


@pytest.mark.parametrize("k", range(1, 7))
def test_the_expected_best_is_the_mean_over_all_draws(k) -> None:
    values = [0.3, 0.9, 0.5, 0.5, 0.1, 0.7]
    brute = np.mean([max(drawn) for drawn in combinations(values, k)])
    assert expected_best(values, k) == pytest.approx(brute)


def test_the_expected_best_of_a_thousand_trials_is_finite() -> None:
    values = np.linspace(0, 1, 1001)
    assert expected_best(values, 500) == pytest.approx(500 / 501 * 1002 / 1000 - 1 / 1000)


@pytest.mark.parametrize("k", [0, 4])
def test_more_draws_than_trials_are_refused_with_both_numbers(k) -> None:
    with pytest.raises(ValueError, match=rf"got \(k={k}, values=3\)"):
        expected_best([0.1, 0.2, 0.3], k)


def test_effort_counts_every_trial_and_a_run_in_two_roles_once() -> None:
    trials = [trial(0, 0.5), trial(1, None, status="failed", epochs_run=0, device_seconds=3.0)]
    finals = [final(0.5, role="baseline"), final(0.5, of="baseline")]
    (effort,) = measure_budget_use(["cnn"], *tables(trials, finals)).itertuples()
    assert (effort.trials, effort.epochs, effort.search_seconds) == (2, 5, 23.0)
    assert (effort.final_runs, effort.finals_seconds) == (1, 7.0)
    assert ("cnn", "2", "5", "23", "1", "7") in shown(trials, finals)["effort/given"]


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        (
            {"settings": {"trials": 32}, "cluster": {"max_concurrent": 4}},
            "at most 32 trials for each family, its baseline included; device time was not made "
            "equal. Only the order was balanced: the family that had used the least device time "
            "so far was always next.",
        ),
        (
            {"settings": {"trials": 2}, "cluster": {"max_concurrent": 1}},
            "at most 2 trials for each family, its baseline included; device time was not made "
            "equal. Only the order was balanced: the family that had started the fewest trials "
            "was always next.",
        ),
        (
            {"settings": {"trials": 32, "budget_gpu_hours": 12.0}},
            "12 device-hours, an equal share for each family, finals included, which no search "
            "came to the end of; at most 32 trials for each family, its baseline included.",
        ),
        (
            {
                "settings": {"trials": 32, "budget_gpu_hours": 12.0, "time_budget": 2.5},
                "closed": {"cnn": {"trials": 9}, "vit": {"trials": 4}},
            },
            "12 device-hours, an equal share for each family and 2.5 hours of wall time, finals "
            "included, which ended the search of cnn after 9 trials, vit after 4 trials; at most "
            "32 trials for each family, its baseline included.",
        ),
    ],
)
def test_the_budget_rule_that_held_is_said(study, sentence) -> None:
    effort, *_ = fairness_sections(record(study), *tables([trial(0, 0.5)]))
    assert effort.notes[0] == f"Budget rule: {sentence}"


@pytest.mark.parametrize(("hours", "said"), [(0.02, False), (0.01992, False), (0.0195, True)])
def test_a_family_that_took_more_than_its_share_is_named(hours: float, said: bool) -> None:
    trials = [trial(0, 0.5, device_seconds=36.0), trial(0, 0.5, family="vit", device_seconds=1.0)]
    study = record(families=["cnn", "vit"], trials=2, budget_gpu_hours=hours)
    lines = [line.partition(",")[0] for line in overspent(study, *tables(trials))]
    assert lines == said * ["cnn took 0.01 device-hours"]


@pytest.mark.parametrize(("seconds", "said"), [(3600, False), (3660, True), (None, False)])
def test_a_study_that_took_longer_than_its_budget_of_wall_time_is_named(
    seconds: int | None, said: bool
) -> None:
    study = record({"wall_seconds": seconds}, time_budget=1.0)
    assert [*overspent(study, *tables([trial(0, 0.5)]))] == said * [
        "The study took 1.02 hours of wall time, more than its budget of 1: baselines and finals "
        "run whatever they cost, and what runs is not ended."
    ]


def test_unequal_effort_is_said_with_its_factor() -> None:
    trials = [trial(0, 0.5), trial(0, 0.5, family="vit", device_seconds=50.0)]
    assert (
        "The search of vit took 2.50 times the device-seconds of that of cnn; they had 1 and 1 "
        "trials."
    ) in notes(trials, ("cnn", "vit"))


def test_equal_effort_is_said_to_be_equal() -> None:
    lines = notes([trial(0, 0.5), trial(0, 0.5, family="vit")], ("cnn", "vit"))
    assert "The searches of cnn, vit took about the same device-seconds." in lines
    assert not [line for line in lines if "times the device-seconds" in line]


def test_the_winner_is_the_one_the_study_chooses() -> None:
    trials = [
        trial(0, 0.5),
        trial(1, 0.7, validation_loss=2.0),
        trial(2, 0.7, validation_loss=1.5),
        trial(3, 0.9, status="diverged"),
        trial(4, 0.7, validation_loss=1.5, status="stopped"),
    ]
    (selection,) = describe_selection(["cnn"], *tables(trials)).itertuples()
    assert selection.winner == "cnn-002"
    assert (selection.without, selection.trials) == (1, 4)
    found = shown(trials)
    (line,) = found["effort/choice"]
    assert line[:7] == ("cnn", "4", "1", "cnn-002", "50.00%", "70.00%", "+20.00")
    assert found["effort/luck"] == [("cnn", "4", "65.00%", "70.00%", "70.00%")]


def test_optimism_is_validation_minus_test_at_the_largest_fraction_over_seeds() -> None:
    finals = [
        final(0.60, validation=0.66, seed=0),
        final(0.64, validation=0.68, seed=1),
        final(0.10, fraction=0.1),
        final(0.20, role="baseline"),
    ]
    (line,) = shown([trial(0, 0.5), trial(1, 0.7)], finals)["effort/choice"]
    assert line[5:] == ("70.00%", "+20.00", "67.00%", "62.00%", "+8.00", "+5.00")


def test_a_trial_chosen_by_another_measure_is_not_said_to_be_the_most_accurate() -> None:
    study = record(families=["cnn"], objective="macro_f1")
    _, chosen, _ = fairness_sections(study, *tables([trial(0, 0.5)]))
    assert "chosen by validation macro F1, so another may have a higher" in chosen.notes[0]


def test_a_winner_by_its_lower_loss_alone_has_no_gain() -> None:
    (line,) = shown([trial(0, 0.7), trial(1, 0.7, validation_loss=0.5)])["effort/choice"]
    assert line[3:7] == ("cnn-001", "70.00%", "70.00%", "+0.00")


def test_a_winner_without_a_baseline_to_compare_has_no_gain() -> None:
    (line,) = shown([trial(0, None, status="failed"), trial(1, 0.6)])["effort/choice"]
    assert line[3:7] == ("cnn-001", "—", "60.00%", "—")


def test_a_family_without_a_finished_trial_gets_no_winner_and_no_number() -> None:
    trials = [trial(0, 0.7), trial(0, None, family="vit", status="failed", epochs_run=None)]
    found = shown(trials, [final(0.6)], families=("cnn", "vit"))
    assert found["effort/choice"][1] == ("vit", "0", "1", *["—"] * 8)
    assert found["effort/luck"][1] == ("vit", "0", "—")


def test_a_study_without_a_trial_has_no_luck_and_no_winner() -> None:
    found = shown([])
    assert found["effort/given"] == [("cnn", "0", "0", "0", "0", "0")]
    assert found["effort/choice"] == [("cnn", "0", "0", *["—"] * 8)]
    assert "effort/luck" not in found
