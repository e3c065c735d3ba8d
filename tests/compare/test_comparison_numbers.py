"""Every cell of a comparison is what pandas, scikit-learn and SciPy find in the stored tables."""

from pathlib import Path

import pytest
from made_up_study import MadeUpStudy
from recomputing.walk import check, check_comparison, markdown_tables, one_line, tables_of_json
from rich.console import Console

from orchestrator.compare.render import json_of
from orchestrator.compare.within_study import write_comparison


@pytest.mark.parametrize(
    "given",
    [
        {"seeds": 1},
        {"seeds": 3},
        {"seeds": 2, "identical": ("cnn", "resnet50_scratch")},
    ],
    ids=["one seed", "three seeds", "winners that are baselines"],
)
def test_each_cell_is_what_the_tables_give(tmp_path: Path, given: dict[str, object]) -> None:
    made_up = MadeUpStudy(trials=6, epochs=9, grace=3, test_images=200, draws=2000, **given)
    folder = made_up.write(tmp_path / "study")
    report = write_comparison(folder, Console(quiet=True))
    tables = {section.key: section.table for section in report.sections}
    checked, problems = check_comparison(folder, tables)
    assert problems == []
    assert checked > 1500
    assert check(tables, tables_of_json(json_of(report)))[1] == []
    shown = markdown_tables((folder / "comparison.md").read_text(encoding="utf-8"))
    assert shown == [
        [[*map(one_line, row)] for row in (section.formats, *section.cells())]
        for section in report.sections
        if section.place != "page" and len(section.table)
    ]
