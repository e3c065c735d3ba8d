"""A verdict on the predictions of a finished study has the numbers of `compare`, bit for bit."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Run
from made_up_study import MadeUpStudy

from orchestrator.compare.within_study import write_comparison

NUMBERS = (
    *("seed", "metric", "difference", "ci_low", "ci_high", "p_value", "p_value_holm"),
    *("n_images", "n_seeds"),
)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which one winner is its baseline, with two train fractions."""
    study = MadeUpStudy(identical=("resnet50_scratch",), test_images=120)
    folder = study.write(tmp_path_factory.mktemp("study") / "made-up")
    write_comparison(folder, None)
    return folder


@pytest.mark.parametrize("name", ["", "predictions.parquet"])
@pytest.mark.parametrize("fraction", [1.0, 0.1])
def test_every_number_of_every_pair_is_the_same(
    compared: Path, name: str, fraction: float, verdict: Run
) -> None:
    rows = pq.read_table(compared / "comparison.parquet").to_pylist()
    wanted = [
        {
            "a": f"{row['a_family']} {row['a_role']}",
            "b": f"{row['b_family']} {row['b_role']}",
            **{number: row[number] for number in NUMBERS},
        }
        for row in rows
        if row["train_fraction"] == fraction
    ]
    found = verdict(compared / name, "--train-fraction", fraction)
    assert found["pairs"] == wanted
    assert len(wanted) == 15 * 4 * 4


def test_the_intervals_of_what_was_asked_are_those_of_the_pairs(
    compared: Path, verdict: Run
) -> None:
    found = verdict(compared)
    means = [row for row in found["pairs"] if row["metric"] == "accuracy" and row["seed"] is None]
    assert [
        (claim["candidate"], claim["baseline"], claim["difference"]) for claim in found["claims"]
    ] == [(row["a"], row["b"], row["difference"]) for row in means]
    for claim, row in zip(found["claims"], means, strict=True):
        assert (claim["difference_low"], claim["difference_high"]) == (
            row["ci_low"],
            row["ci_high"],
        )
        assert claim["p_value"] >= row["p_value"] * (1 - 1e-6)  # a decision is no bolder


def test_the_largest_fraction_is_taken_and_others_are_named(compared: Path, verdict: Run) -> None:
    found = verdict(compared)
    assert found["pairs"] == verdict(compared, "--train-fraction", 1)["pairs"]
    assert "of train fraction 1; --train-fraction takes another (0.1)" in found["warnings"][0]


def test_a_winner_that_is_its_baseline_is_no_test(compared: Path, verdict: Run) -> None:
    found = verdict(compared, "--baseline", "resnet50_scratch baseline")
    (same,) = [c for c in found["claims"] if c["candidate"] == "resnet50_scratch tuned"]
    assert (same["difference"], same["p_value"], same["p_value_holm"]) == (0, 1, 1)
    assert all(c["p_value_holm"] <= 4 * c["p_value"] for c in found["claims"])
