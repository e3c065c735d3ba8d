"""The example of an analysis answers its five questions as the tables say."""

import sys

import numpy as np
import pandas as pd
import pytest
from made_up_rows import table, trial
from made_up_study import CLASSES, ComparedStudy
from optuna.distributions import FloatDistribution, IntDistribution

from examples import analysis
from orchestrator.results import schema as results

HARD = [7, 30]
"""Images that every model gets wrong."""
RATES = (1e-5, 1e-4, 1e-3, 1e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of two families whose accuracy rises with the learning rate."""
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    for run in study.runs.values():
        run[HARD] = np.eye(CLASSES)[(study.labels[HARD] + 1) % CLASSES]
    spaces = [{"learning_rate": FloatDistribution(1e-6, 1), "width": IntDistribution(1, 99)}]
    rows = [
        trial(
            f"{family}-{number:03}",
            accuracy=0.1 * number,
            device_seconds=seconds,
            **results.parameter_columns({"learning_rate": rate, **more}),
        )
        for family, seconds, more in (("cnn", 10.0, {"width": 8}), ("resnet50_transfer", 30.0, {}))
        for number, rate in enumerate(RATES)
    ]
    study.given = {"trials": table("trials", rows, spaces), "comparison": study.comparison()}
    return study.write(tmp_path_factory.mktemp("study"))


def test_the_best_family_and_what_others_are_behind_are_those_of_the_comparison(folder) -> None:
    found = analysis.best_family(folder).set_index("family")
    assert list(found.index) == ["resnet50_transfer", "cnn"]
    pairs = pd.read_parquet(folder / "comparison.parquet")
    (row,) = pairs[
        pairs.seed.isna()
        & (pairs.metric == "accuracy")
        & (pairs.a_role == "tuned")
        & (pairs.b_role == "tuned")
    ].to_dict("records")
    assert row["a_family"] == "cnn"
    behind = found.loc["cnn", ["difference", "ci_low", "ci_high"]].astype(float)
    expected = [-100 * row[name] for name in ("difference", "ci_high", "ci_low")]
    assert list(behind) == pytest.approx(expected)
    assert 0 < behind["ci_low"] < behind["difference"] < behind["ci_high"]


def test_pandas_duckdb_and_polars_give_the_same_gains(folder) -> None:
    final = pd.read_parquet(folder / "final.parquet")
    expected = {
        family: own[own.role == "tuned"].test_accuracy.mean()
        - own[own.role == "baseline"].test_accuracy.mean()
        for family, own in final.groupby("family", observed=True)
    }
    assert analysis.gain_with_pandas(folder) == pytest.approx(expected)
    assert analysis.gain_with_duckdb(folder) == pytest.approx(expected)
    assert analysis.gain_with_polars(folder) == pytest.approx(expected)


def test_costs_hyperparameters_and_hard_images_are_those_of_the_tables(folder) -> None:
    assert analysis.cost(folder).fetchall() == [
        ("resnet50_transfer", 4, 20, 120.0, 75.0),
        ("cnn", 4, 20, 40.0, 25.0),
    ]
    telling = analysis.telling_hyperparameters(folder).rows()
    assert [row[:2] for row in telling] == [
        ("cnn", "learning_rate"),
        ("resnet50_transfer", "learning_rate"),
    ]
    assert [row[2] for row in telling] == pytest.approx([1, 1])
    predictions = pd.read_parquet(folder / "predictions.parquet")
    tuned = predictions[predictions.role == "tuned"]
    wrong = (tuned.predicted != tuned.label).groupby(tuned.image_index).all()
    found = analysis.always_wrong(folder).fetchall()
    assert [row[0] for row in found] == list(np.flatnonzero(wrong))
    assert set(HARD) <= {row[0] for row in found}


def test_the_script_prints_five_answers(folder, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["analysis.py", str(folder)])
    analysis.main()
    printed = capsys.readouterr().out
    assert [line[0] for line in printed.splitlines() if line[1:3] == ". "] == list("12345")
    assert "nan" not in printed.lower()
