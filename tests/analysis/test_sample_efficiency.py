"""What the data buy is read off known curves, and said so that it is true of them."""

import dataclasses

import numpy as np
import pytest
from made_up_rows import final_run, predicted_run, table
from scipy import stats

from orchestrator.analysis.sample_efficiency import (
    Point,
    _crossing_sentence,
    crossing_interval,
    find_crossings,
    images_to_reach,
    measure_curves,
    sample_efficiency_sections,
    share_of_changed_leads,
)
from orchestrator.stats import bootstrap as statistics

IMAGES = 200
LARGEST = 10_000


def curve(accuracies):
    """A curve from training images to accuracy."""
    return [
        Point(images=images, fraction=images / LARGEST, accuracy=value, low=0, high=1, seeds=1)
        for images, value in accuracies.items()
    ]


def made_up(models):
    """Final rows and runs of models whose accuracies are {(family, role): {images: [seeds]}}."""
    rows, runs = [], []
    for (family, role), sizes in models.items():
        for images, accuracies in sizes.items():
            for seed, accuracy in enumerate(accuracies):
                run = {"family": family, "role": role, "seed": seed, "fraction": images / LARGEST}
                predicted = (np.arange(IMAGES) >= round(accuracy * IMAGES)).astype(np.int64)
                rows.append(final_run(**run, train_images=images))
                labels = np.zeros(IMAGES, dtype=np.int64)
                runs.append(predicted_run(labels, np.eye(2)[predicted], **run))
    return table("final", rows), runs


def tuned(**families):
    models = {(family, "tuned"): sizes for family, sizes in families.items()}
    return {model: {n: [value] for n, value in sizes.items()} for model, sizes in models.items()}


def said(models):
    sections = sample_efficiency_sections(*made_up(models))
    return [cell for section in sections for cell in (*section.sentences, *section.rows)]


CNN = {100: 0.30, 1000: 0.60, 10_000: 0.90}
TRANSFER = {100: 0.60, 1000: 0.70, 10_000: 0.80}


def test_two_lines_over_log_images_cross_where_algebra_says() -> None:
    # 0.3 log10(n) - 0.3 = 0.1 log10(n) + 0.4 at log10(n) = 3.5.
    assert find_crossings(curve(CNN), curve(TRANSFER)) == pytest.approx([10**3.5])
    assert find_crossings(curve(TRANSFER), curve(CNN)) == pytest.approx([10**3.5])


def test_a_crossing_lies_nearer_to_the_size_at_which_the_models_differ_less() -> None:
    steep, flat = curve({100: 0.3, 10_000: 0.9}), curve({100: 0.4, 10_000: 0.4})
    # 0.3 log10(n) - 0.3 = 0.4 at log10(n) = 7/3.
    assert find_crossings(steep, flat) == pytest.approx([10 ** (7 / 3)])


def test_curves_that_touch_cross_at_the_touching_point_only_if_they_change_sides() -> None:
    flat = curve({100: 0.5, 1000: 0.5, 10_000: 0.5})
    assert find_crossings(curve({100: 0.4, 1000: 0.5, 10_000: 0.6}), flat) == [1000]
    assert find_crossings(curve({100: 0.4, 1000: 0.5, 10_000: 0.4}), flat) == []
    assert find_crossings(flat, flat) == []


def test_only_sizes_measured_in_both_count_for_a_crossing() -> None:
    other = curve({100: 0.6, 500: 0.0, 1000: 0.7, 10_000: 0.8})
    assert find_crossings(curve(CNN), other) == pytest.approx([10**3.5])


@pytest.mark.parametrize(
    ("accuracy", "images"),
    [(0.45, 10**2.5), (0.60, 1000), (0.9, 10_000), (0.91, None), (0.3, 100), (0.1, 100)],
)
def test_the_images_for_an_accuracy_are_the_fewest_on_the_curve(accuracy, images) -> None:
    found = images_to_reach(curve(CNN), accuracy)
    assert found == (None if images is None else pytest.approx(images))


def test_a_curve_that_falls_reaches_an_accuracy_where_it_first_does() -> None:
    falling = curve({100: 0.2, 1000: 0.6, 10_000: 0.4})
    assert images_to_reach(falling, 0.4) == pytest.approx(10**2.5)


def test_intervals_are_those_of_the_comparison() -> None:
    final, runs = made_up({("cnn", "tuned"): {100: [0.3, 0.4], 1000: [0.7, 0.7]}})
    points = measure_curves(final, runs)["cnn", "tuned"]
    assert [point.accuracy for point in points] == pytest.approx([0.35, 0.7])
    assert [point.seeds for point in points] == [2, 2]
    # With two equal seeds only the images vary: a binomial proportion.
    error = 1.96 * np.sqrt(0.7 * 0.3 / IMAGES)
    assert points[1].low == pytest.approx(0.7 - error, abs=0.01)
    assert points[1].high == pytest.approx(0.7 + error, abs=0.01)


def test_accuracy_draws_are_those_of_the_estimates() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=100)
    predicted = generator.integers(3, size=(2, 100))
    draws = statistics.estimate(labels, predicted, np.ones((2, 100)), classes=3, draws=50).draws
    found = statistics.accuracy_draws(predicted == labels, draws=50)
    np.testing.assert_allclose(found, draws["accuracy"])


def test_a_crossing_is_said_with_who_is_ahead_on_each_side() -> None:
    assert (
        "cnn tuned and transfer tuned cross at about 3,200 training images (95% interval 2,200 to "
        "4,500): transfer tuned is ahead with the fewest, cnn tuned with the most."
    ) in said(tuned(cnn=CNN, transfer=TRANSFER))


def test_families_that_do_not_cross_are_none_in_range() -> None:
    assert (
        "cnn tuned and transfer tuned do not cross: none in range, transfer tuned is ahead between "
        "100 and 10,000 training images; cnn is ahead somewhere there in 0% of resamples."
    ) in said(tuned(cnn=CNN, transfer={n: value + 0.05 for n, value in CNN.items()}))


def drawn(accuracies, spread, seed):
    """A curve whose points vary by so much."""
    generator = np.random.default_rng(seed)
    return [
        dataclasses.replace(point, draws=point.accuracy + spread * generator.standard_normal(4000))
        for point in curve(accuracies)
    ]


def test_the_interval_of_a_crossing_is_that_of_the_line_between_two_points() -> None:
    # At 100 images b is ahead by 0.4 for certain; at 10,000 a by about 0.4: at log10(n) = 3.
    a, b = drawn({100: 0.1, 10_000: 0.9}, 0.05, 1), curve({100: 0.5, 10_000: 0.5})
    b = [dataclasses.replace(point, draws=np.full(4000, point.accuracy)) for point in b]
    low, high = crossing_interval(a, b)
    crossings = 2 + 2 * 0.4 / (0.8 + 0.05 * np.sqrt(2) * np.array([1.96, -1.96]))
    assert np.log10([low, high]) == pytest.approx(crossings, abs=0.12)
    assert crossing_interval(b, a) == pytest.approx((low, high))


def test_a_crossing_that_may_lie_beyond_the_range_has_an_interval_that_says_so() -> None:
    a, b = drawn({100: 0.3, 1000: 0.51}, 0.05, 1), drawn({100: 0.31, 1000: 0.5}, 0.05, 2)
    assert crossing_interval(a, b) == (0, np.inf)
    line = _crossing_sentence("tuned", ("cnn", a), ("transfer", b))
    assert "(95% interval fewer than 100 to more than 1,000)" in line


def test_where_families_do_not_cross_it_is_said_how_often_they_might() -> None:
    a, b = drawn({100: 0.3, 1000: 0.6}, 0.0, 1), drawn({100: 0.4, 1000: 0.65}, 0.05, 2)
    # The one behind is ahead where the other is off by 2 or by 1 of its standard deviations.
    expected = 1 - stats.norm.cdf(2) * stats.norm.cdf(1)
    assert share_of_changed_leads(a, b) == pytest.approx(expected, abs=0.02)


def test_several_crossings_have_no_interval() -> None:
    models = tuned(cnn={100: 0.3, 1000: 0.6, 10_000: 0.5}, transfer=dict.fromkeys(CNN, 0.55))
    assert any("(no interval: more than one crossing)" in line for line in said(models))


def test_equal_families_are_said_to_be_equal_and_need_nothing() -> None:
    lines = said(tuned(cnn=CNN, transfer=CNN))
    assert any("cnn tuned and transfer tuned are equally accurate between" in x for x in lines)
    assert not [line for line in lines if "needs" in line]


def test_the_images_one_family_is_worth_to_another_are_said() -> None:
    lines = said(tuned(cnn=CNN, transfer=TRANSFER))
    assert (
        "cnn tuned needs about 1,000 training images to reach what transfer tuned reaches with 100."
    ) in lines
    assert ("transfer", "1,000", "cnn", "2,200", "2.2") in lines
    assert ("cnn", "10,000", "transfer", "more than 10,000", "more than 1.0") in lines


def test_what_is_reached_with_the_fewest_images_already_is_a_bound() -> None:
    high_then_low = {100: 0.5, 1000: 0.3}
    lines = said(tuned(cnn=high_then_low, transfer={100: 0.5, 1000: 0.4}))
    assert ("transfer", "1,000", "cnn", "at most 100", "at most 0.1") in lines


def test_both_roles_have_their_accuracies_and_a_missing_run_is_a_dash() -> None:
    models = tuned(cnn=CNN, transfer={100: 0.6, 1000: 0.7})
    models["cnn", "baseline"] = {100: [0.2], 10_000: [0.5]}
    lines = said(models)
    rows = [line for line in lines if isinstance(line, tuple) and line[0] in {"tuned", "baseline"}]
    assert [row[:2] for row in rows] == [
        ("tuned", "100"),
        ("tuned", "1,000"),
        ("tuned", "10,000"),
        ("baseline", "100"),
        ("baseline", "10,000"),
    ]
    assert rows[2][2].startswith("90.00% [")
    assert rows[2][3] == "—"
    assert any("test images only: there is one seed" in line for line in lines)


def test_families_measured_together_only_once_are_not_compared() -> None:
    lines = said(tuned(cnn={100: 0.3, 1000: 0.6}, transfer={1000: 0.7, 10_000: 0.8}))
    assert any("were measured together at fewer than two numbers" in line for line in lines)


def test_one_fraction_says_how_to_get_more() -> None:
    (line,) = said(tuned(cnn={10_000: 0.3}))
    assert line.startswith("Only train fraction 1 was run.")
    assert "--train-fractions" in line


def test_one_family_has_its_curve_and_no_comparison() -> None:
    lines = said(tuned(cnn=CNN))
    assert len([line for line in lines if isinstance(line, tuple)]) == 3
    assert not [line for line in lines if "cross" in line or "needs" in line]


def test_without_runs_nothing_is_said() -> None:
    assert said({}) == []
