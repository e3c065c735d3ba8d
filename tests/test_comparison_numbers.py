"""Every number of a comparison's tables is what pandas, scikit-learn and SciPy find."""

from pathlib import Path

import pytest
from comparison_numbers import agrees, check
from made_up_study import MadeUpStudy
from rich.console import Console

from orchestrator.compare import write_comparison


@pytest.mark.parametrize("seeds", [1, 3])
def test_each_number_shown_is_what_the_tables_give(tmp_path: Path, seeds: int) -> None:
    made_up = MadeUpStudy(seeds=seeds, trials=6, epochs=9, grace=3)
    folder = made_up.write(tmp_path / "study")
    write_comparison(folder, Console(quiet=True))
    checked, problems = check(folder)
    assert problems == []
    assert checked > 500


def test_a_number_that_is_not_the_rounding_of_its_value_is_found() -> None:
    assert agrees("12.35", 12.3549)
    assert not agrees("12.35", 12.356)
    assert agrees("+1,234", 1234.4)
