"""A table with a bit flipped anywhere is read without surprise, or refused in one line."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_rows import table, trial
from made_up_study import ComparedStudy
from optuna.distributions import FloatDistribution

from orchestrator.config.searches import list_searches, search_for
from orchestrator.results import files, schema
from search_spaces.dimension import outside


def test_what_is_read_of_a_table_with_any_bit_flipped_can_be_looked_at(tmp_path: Path) -> None:
    families = pa.array(["cnn", "curve", "cnn"]).dictionary_encode()
    pq.write_table(pa.table({"family": families}), tmp_path / "rungs.parquet")
    content = (tmp_path / "rungs.parquet").read_bytes()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "rungs.parquet").write_bytes(damaged)
        try:
            files.read_any_table(tmp_path, "rungs").to_pylist()
        except ValueError:
            refused += 1
    assert 0 < refused < len(content)


@pytest.mark.parametrize("params", ["[]", "1", '{"rate": []}', "{"])
def test_hyperparameters_that_are_no_names_with_values_are_refused(
    tmp_path: Path, params: str
) -> None:
    schema.check_table(tmp_path, "trials", table("trials", [trial("cnn-000", params_json="{}")]))
    wrong = table("trials", [trial("cnn-000", params_json=params)])
    with pytest.raises(ValueError, match="has a wrong params_json"):
        schema.check_table(tmp_path, "trials", wrong)


def test_a_final_run_of_a_family_that_the_study_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be those of study\.json, but one is 'running'"):
        search_for(list_searches(["cnn"], [1.0], per_fraction=False), "running", 1.0)


def test_a_hyperparameter_that_is_missing_is_outside_the_space() -> None:
    assert outside({"rate": FloatDistribution(0, 1)}, {}) == ["rate"]


def test_a_role_that_no_trial_has_is_refused(tmp_path: Path) -> None:
    wrong = table("trials", [{**trial("cnn-000", params_json="{}"), "role": "x"}])
    with pytest.raises(ValueError, match="has a wrong role: it must be one of baseline, tuned"):
        schema.check_table(tmp_path, "trials", wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_probability_that_is_no_number_is_refused_by_whoever_reads_it(
    value: float | None, tmp_path: Path
) -> None:
    rows = ComparedStudy(families=("cnn",), seeds=1, test_images=4).predictions().to_pylist()
    rows[2]["probabilities"][1] = value
    with pytest.raises(ValueError, match="has a number that is not finite as probabilities"):
        schema.check_table(tmp_path, "predictions", table("predictions", rows))
