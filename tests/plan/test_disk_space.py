"""What a study is forecast to write: the largest networks, and of more seeds more weights."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from orchestrator.config.sources import resolve
from orchestrator.plan.disk_space import STATE_FLOATS, STATES, forecast_bytes, parameters_of
from orchestrator.plan.memory import FLOAT_BYTES
from orchestrator.plan.preflight import CheckedStudy, check_new

CLASSES, TEST_IMAGES, ROWS = 10, 360, 50 * 2 * 2 * 200


def checked(place: Path, seeds: int) -> CheckedStudy:
    given = {"families": "cnn", "dataset": "digits", "seeds": seeds, "results_dir": str(place)}
    return check_new(resolve(given, config=None, assignments=[]), Console(quiet=True))


def test_each_further_seed_is_forecast_with_its_two_finals_and_the_weights_kept_of_it(
    tmp_path: Path,
) -> None:
    one, three = (checked(tmp_path, seeds) for seeds in (1, 3))
    more = forecast_bytes(three, at_a_time=1) - forecast_bytes(one, at_a_time=1)
    baseline, largest = parameters_of(one.plans[0], one)
    models = FLOAT_BYTES * (baseline + 2 * largest)
    predictions = 2 * 2 * TEST_IMAGES * CLASSES * FLOAT_BYTES
    assert more == 2 * (models + predictions + ROWS)


def test_checkpoints_are_forecast_of_the_largest_network_of_the_space(tmp_path: Path) -> None:
    study = checked(tmp_path, 1)
    (plan,) = study.plans
    baseline, largest = parameters_of(plan, study)
    biggest = {**plan.baseline, "width": 64, "dense_units": 512}
    assert (largest, largest) == parameters_of(replace(plan, baseline=biggest), study)
    assert largest > 3 * baseline
    two, one = (forecast_bytes(study, at_a_time=number) for number in (2, 1))
    assert two - one == STATES * STATE_FLOATS * FLOAT_BYTES * largest
