"""What a study is forecast to write: of more seeds more weights, kept twice where they must be."""

from pathlib import Path

from rich.console import Console

from orchestrator.config.sources import resolve
from orchestrator.plan.disk_space import forecast_bytes, parameters_of
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
    model = FLOAT_BYTES * parameters_of(one.plans[0], one)
    predictions = 2 * 2 * TEST_IMAGES * CLASSES * FLOAT_BYTES
    assert more == 2 * (3 * model + predictions + ROWS)
