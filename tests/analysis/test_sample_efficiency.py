"""Sample efficiency is shown as it is read off the curves."""

from made_up_curves import made_up
from made_up_record import record
from shown_cells import cells

from orchestrator.analysis.sample_efficiency import (
    DRAW,
    EQUAL_STEPS,
    SHORTER_SEARCHES,
    STEPS,
    sample_efficiency_sections,
)


def tuned(**families):
    models = {(family, "tuned"): sizes for family, sizes in families.items()}
    return {model: {n: [value] for n, value in sizes.items()} for model, sizes in models.items()}


def shown(models):
    return cells(sample_efficiency_sections(*made_up(models), record().settings))


CNN = {100: 0.30, 1000: 0.60, 10_000: 0.90}
TRANSFER = {100: 0.60, 1000: 0.70, 10_000: 0.80}


def test_a_crossing_has_its_place_its_interval_and_who_is_ahead_on_each_side() -> None:
    assert shown(tuned(cnn=CNN, transfer=TRANSFER))["data/crossings"] == [
        ("tuned", "cnn", "transfer", "transfer", "cnn", "3,200", "2,200", "4,500", "—")
    ]


def test_families_that_do_not_cross_have_the_share_of_resamples_in_which_they_would() -> None:
    lines = shown(tuned(cnn=CNN, transfer={n: value + 0.05 for n, value in CNN.items()}))
    assert lines["data/crossings"] == [
        ("tuned", "cnn", "transfer", "transfer", "transfer", "—", "—", "—", "0%")
    ]


def test_several_crossings_have_no_interval() -> None:
    models = tuned(cnn={100: 0.3, 1000: 0.6, 10_000: 0.5}, transfer=dict.fromkeys(CNN, 0.55))
    (line,) = shown(models)["data/crossings"]
    assert line[5].count(",") == 2  # 680, 3,200
    assert line[6:] == ("—", "—", "—")


def test_equal_families_are_equal_and_need_nothing() -> None:
    found = shown(tuned(cnn=CNN, transfer=CNN))
    assert found["data/crossings"][0][3:5] == ("equal", "equal")
    assert "data/equal" not in found


def test_ahead_is_who_is_at_the_first_size_at_which_they_differ() -> None:
    models = tuned(cnn={**CNN, 100: 0.6, 1000: 0.5}, transfer={**CNN, 100: 0.6, 10_000: 0.8})
    (line,) = shown(models)["data/crossings"]
    assert line[3:5] == ("transfer", "cnn")


def test_the_images_one_family_is_worth_to_another_are_shown() -> None:
    lines = shown(tuned(cnn=CNN, transfer=TRANSFER))["data/equal"]
    assert ("transfer", "100", "cnn", "1,000", "10.0") in lines
    assert ("transfer", "1,000", "cnn", "2,200", "2.2") in lines
    assert ("cnn", "10,000", "transfer", "more than 10,000", "more than 1.0") in lines


def test_what_is_reached_with_the_fewest_images_already_is_a_bound() -> None:
    models = tuned(cnn={100: 0.5, 1000: 0.3}, transfer={100: 0.5, 1000: 0.4})
    assert ("transfer", "1,000", "cnn", "at most 100", "at most 0.1") in shown(models)["data/equal"]


def test_both_roles_have_their_curves_and_a_missing_run_is_a_dash() -> None:
    models = tuned(cnn=CNN, transfer={100: 0.6, 1000: 0.7})
    models["cnn", "baseline"] = {100: [0.2], 10_000: [0.5]}
    found = shown(models)
    assert [line[:2] for line in found["data/curves"]] == [
        ("cnn tuned", "100"),
        ("cnn tuned", "1,000"),
        ("cnn tuned", "10,000"),
        ("transfer tuned", "100"),
        ("transfer tuned", "1,000"),
        ("cnn baseline", "100"),
        ("cnn baseline", "10,000"),
    ]
    assert found["data/accuracy"] == [
        ("cnn", "90.00%", "60.00%", "30.00%"),
        ("transfer", "—", "70.00%", "60.00%"),
    ]


def test_families_measured_together_only_once_are_not_compared() -> None:
    models = tuned(cnn={100: 0.3, 1000: 0.6}, transfer={1000: 0.7, 10_000: 0.8})
    assert "data/crossings" not in shown(models)


def test_that_fewer_images_are_fewer_steps_and_one_draw_is_said_where_it_is_so() -> None:
    final, runs = made_up(tuned(cnn=CNN))
    first, *_ = sample_efficiency_sections(final, runs, record().settings)
    assert first.notes[:2] == (STEPS, DRAW)
    equal = record(equal_steps=True).settings
    first, *_ = sample_efficiency_sections(final, runs, equal)
    assert first.notes[:2] == (EQUAL_STEPS, DRAW)
    assert SHORTER_SEARCHES not in first.notes
    equal = record(equal_steps=True, tune_per_fraction=True).settings
    first, *_ = sample_efficiency_sections(final, runs, equal)
    assert SHORTER_SEARCHES in first.notes


def test_one_fraction_or_none_has_no_section() -> None:
    assert shown(tuned(cnn={10_000: 0.3})) == {}
    assert shown({}) == {}
