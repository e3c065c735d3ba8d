"""What the types of rows promise beside the schema, which is made from them."""

from typing import get_type_hints

from orchestrator.results import rows


def test_a_measured_pair_has_the_columns_of_a_comparison() -> None:
    known, measured = map(get_type_hints, (rows.ComparisonRow, rows.MeasuredRow))
    assert {name: measured[name] for name in known} == {
        **known,
        **dict.fromkeys(("difference", "ci_low", "ci_high"), float),
    }
    assert measured.keys() == known.keys()
