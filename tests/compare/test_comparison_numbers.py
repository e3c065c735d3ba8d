"""Every number of a comparison is what pandas, scikit-learn and SciPy find in the tables."""

from pathlib import Path

import pytest
from made_up_study import MadeUpStudy
from recomputing.walk import check_comparison
from rich.console import Console

from orchestrator.compare.within_study import write_comparison


@pytest.mark.parametrize("seeds", [1, 3])
def test_each_number_shown_is_what_the_tables_give(tmp_path: Path, seeds: int) -> None:
    made_up = MadeUpStudy(seeds=seeds, trials=6, epochs=9, grace=3, test_images=200, draws=2000)
    folder = made_up.write(tmp_path / "study")
    write_comparison(folder, Console(quiet=True))
    checked, problems = check_comparison(folder)
    assert problems == []
    assert checked > 1000
