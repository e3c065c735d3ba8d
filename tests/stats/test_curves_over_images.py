"""Learning curves over training images: read off known curves, where algebra says."""

import dataclasses

import numpy as np
import pytest
from made_up_curves import curve, made_up
from scipy import stats

from orchestrator.stats import bootstrap as statistics
from orchestrator.stats.sample_efficiency import (
    crossing_interval,
    find_crossings,
    images_to_reach,
    measure_curves,
    share_of_changed_leads,
)

IMAGES = 200
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


def test_a_crossing_that_may_lie_beyond_the_range_has_no_ends() -> None:
    a, b = drawn({100: 0.3, 1000: 0.51}, 0.05, 1), drawn({100: 0.31, 1000: 0.5}, 0.05, 2)
    assert crossing_interval(a, b) == (0, np.inf)


def test_where_families_do_not_cross_it_is_said_how_often_they_might() -> None:
    a, b = drawn({100: 0.3, 1000: 0.6}, 0.0, 1), drawn({100: 0.4, 1000: 0.65}, 0.05, 2)
    # The one behind is ahead where the other is off by 2 or by 1 of its standard deviations.
    expected = 1 - stats.norm.cdf(2) * stats.norm.cdf(1)
    assert share_of_changed_leads(a, b) == pytest.approx(expected, abs=0.02)
