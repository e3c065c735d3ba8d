"""The calibration error is the sum over the bins as the paper has it."""

import numpy as np
import pytest
from made_up_rows import predicted_run
from shown_cells import cells

from orchestrator.analysis.calibration import calibration_sections, expected_calibration_error


def shown(*runs):
    return cells(calibration_sections(runs)).get("classes/calibration", [])


def by_the_book(confidences, correct, bins):
    """Equation 3 of Guo et al., bin by bin."""
    total = 0.0
    for number in range(bins):
        inside = [
            (sure, right)
            for sure, right in zip(confidences, correct, strict=True)
            if number / bins < sure <= (number + 1) / bins
        ]
        if inside:
            sure, right = np.mean(inside, axis=0)
            total += len(inside) / len(confidences) * abs(right - sure)
    return total


@pytest.mark.parametrize("bins", [1, 2, 15])
@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_that_of_the_paper(seed, bins) -> None:
    generator = np.random.default_rng(seed)
    confidences = generator.random(500)
    correct = generator.random(500) < confidences**2
    error = expected_calibration_error(confidences, correct, bins=bins)
    assert error == pytest.approx(by_the_book(confidences, correct, bins))


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower() -> None:
    confidences, correct = np.array([0.5, 0.51]), np.array([True, False])
    assert expected_calibration_error(confidences, correct, bins=2) == pytest.approx(1.01 / 2)


def test_a_model_that_is_always_sure_and_always_right_has_no_error() -> None:
    assert expected_calibration_error(np.ones(9), np.ones(9, dtype=bool)) == 0


def test_without_an_image_or_a_number_there_is_no_error() -> None:
    assert expected_calibration_error(np.empty(0), np.empty(0, dtype=bool)) is None
    assert expected_calibration_error(np.array([np.nan]), np.array([True])) is None


def test_each_model_has_its_error_over_seeds() -> None:
    sure = [[0.9, 0.1]] * 4
    runs = predicted_run([0, 0, 1, 1], sure), predicted_run([0, 0, 0, 1], sure, seed=1)
    assert shown(*runs) == [("cnn tuned", "1", "27.50 ± 17.68%", "90.00 ± 0.00%", "62.50 ± 17.68%")]


def test_one_seed_has_no_spread() -> None:
    lines = shown(predicted_run([0, 0], [[0.6, 0.4]] * 2))
    assert lines == [("cnn tuned", "1", "40.00%", "60.00%", "100.00%")]


def test_the_largest_fraction_comes_first() -> None:
    lines = shown(predicted_run([0], [[0.6, 0.4]], fraction=0.1), predicted_run([0], [[0.6, 0.4]]))
    assert [line[1] for line in lines] == ["1", "0.1"]


def test_probabilities_that_are_no_numbers_are_dashes() -> None:
    lines = shown(predicted_run([0], [[np.nan, np.nan]]))
    assert lines == [("cnn tuned", "1", "—", "—", "100.00%")]


def test_without_runs_nothing_is_said() -> None:
    assert shown() == []
