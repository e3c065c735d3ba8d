"""Pairs of models compared on made-up predictions."""

import numpy as np
import pyarrow as pa
import pytest
from made_up_study import CLASSES, IMAGES, ComparedStudy
from scipy.stats import binomtest
from scipy.stats import t as student
from sklearn import metrics

from orchestrator.results import schema as results
from orchestrator.stats import claims
from orchestrator.stats.pairwise import compare as compare_models


def test_all_pairs_stand_in_a_fixed_order_with_all_metrics():
    rows = ComparedStudy().compared()
    means = [row for row in rows if row["seed"] is None and row["metric"] == "accuracy"]
    names = [
        f"{row['a_family']} {row['a_role']} - {row['b_family']} {row['b_role']}" for row in means
    ]
    assert len(names) == 15
    assert names[:2] == ["cnn baseline - cnn tuned", "cnn baseline - resnet50_scratch baseline"]
    assert names[-1] == "resnet50_transfer baseline - resnet50_transfer tuned"
    assert len(rows) == 15 * 4 * (1 + 2)
    assert {row["n_seeds"] for row in means} == {2}
    assert {row["n_images"] for row in rows} == {IMAGES}


def test_differences_are_a_minus_b_of_scikit_learns_metrics():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    macro = {"labels": range(CLASSES), "average": "macro", "zero_division": 0}
    functions = {
        "accuracy": metrics.accuracy_score,
        "precision": lambda true, guess: metrics.precision_score(true, guess, **macro),
        "recall": lambda true, guess: metrics.recall_score(true, guess, **macro),
    }
    for row in study.compared():
        if row["seed"] is None:
            continue
        a = study.run(row["a_family"], row["a_role"], row["seed"])
        b = study.run(row["b_family"], row["b_role"], row["seed"])
        if row["metric"] == "loss":
            a_loss, b_loss = (
                metrics.log_loss(study.labels, run, labels=range(CLASSES)) for run in (a, b)
            )
            assert row["difference"] == pytest.approx(a_loss - b_loss, abs=1e-6)
        else:
            function = functions[row["metric"]]
            expected = function(study.labels, a.argmax(1)) - function(study.labels, b.argmax(1))
            assert row["difference"] == pytest.approx(expected)


def test_p_values_of_a_seed_are_mcnemars_and_holms_and_only_on_accuracy():
    study = ComparedStudy()
    rows = study.compared()
    tested = [row for row in rows if row["p_value"] is not None]
    assert {row["metric"] for row in tested} == {"accuracy"}
    assert len(tested) == 15 * 3
    tested = [row for row in tested if row["seed"] is not None]
    row = tested[1]
    a = study.run(row["a_family"], row["a_role"], row["seed"]).argmax(1) == study.labels
    b = study.run(row["b_family"], row["b_role"], row["seed"]).argmax(1) == study.labels
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert row["p_value"] == binomtest(only_a, only_a + only_b).pvalue
    of_seed = [row for row in tested if row["seed"] == 0]
    adjusted = claims.holm([row["p_value"] for row in of_seed])
    assert [row["p_value_holm"] for row in of_seed] == pytest.approx(adjusted)


def test_p_values_of_means_are_below_a_twentieth_where_their_interval_excludes_zero():
    rows = ComparedStudy(seeds=3).accuracies(None)
    excluded = [row["ci_low"] > 0 or row["ci_high"] < 0 for row in rows]
    assert 0 < sum(excluded) < len(excluded)
    assert [row["p_value"] < 0.05 for row in rows] == excluded
    adjusted = claims.holm([row["p_value"] for row in rows])
    assert [row["p_value_holm"] for row in rows] == pytest.approx(adjusted)


@pytest.mark.parametrize("seed", [0, None], ids=["a seed", "the means"])
def test_where_all_winners_are_baselines_three_families_are_three_tests(seed):
    families = ComparedStudy().families
    rows = ComparedStudy(identical=families).accuracies(seed)
    assert len(rows) == 15
    own = [row for row in rows if row["a_family"] == row["b_family"]]
    assert [(row["p_value"], row["p_value_holm"]) for row in own] == [(1, 1)] * 3
    tests = {}
    for row in rows:
        if row["a_family"] != row["b_family"]:
            names = row["a_family"], row["b_family"]
            tests.setdefault(names, set()).add((row["p_value"], row["p_value_holm"]))
    pairs = [pair for (pair,) in tests.values()]  # one p, whatever the roles
    p_values, adjusted = zip(*pairs, strict=True)
    assert adjusted == pytest.approx(claims.holm(p_values))


def test_a_winner_that_is_its_baseline_with_some_seeds_only_is_another_model():
    study = ComparedStudy(families=("cnn",), identical=("cnn",), seeds=3)
    study.runs["cnn", "tuned", 2, 1.0] = np.roll(study.run("cnn", "baseline", 2), 1, axis=0)
    (first,), (mean,) = study.accuracies(0), study.accuracies(None)
    assert first["p_value"] == 1
    assert mean["p_value"] < 1


def test_the_interval_of_the_means_has_the_spread_of_the_seeds_in_it():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"), seed_effect=0.1, seeds=3)
    widths = {
        row["seed"]: row["ci_high"] - row["ci_low"]
        for row in study.compared()
        if row["metric"] == "accuracy"
        and (row["a_family"], row["b_family"]) == study.families
        and row["a_role"] == row["b_role"] == "tuned"
    }
    assert widths.pop(None) > max(widths.values())


def test_with_one_seed_the_row_of_the_means_is_the_row_of_the_seed():
    rows = ComparedStudy(seeds=1).compared()
    shown = (
        "a_family",
        "a_role",
        "b_family",
        "b_role",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
    )
    of_seed = [[row[name] for name in shown] for row in rows if row["seed"] == 0]
    of_means = [[row[name] for name in shown] for row in rows if row["seed"] is None]
    assert of_seed == of_means


def test_a_winner_that_is_its_baseline_differs_by_exactly_zero():
    rows = ComparedStudy(identical=("cnn",), seeds=3).compared()
    own = [row for row in rows if row["a_family"] == row["b_family"] == "cnn"]
    assert len(own) == 4 * 4
    assert {(row["difference"], row["ci_low"], row["ci_high"]) for row in own} == {(0, 0, 0)}
    assert {row["p_value"] for row in own} == {1.0, None}


def test_models_that_agree_on_all_images_may_differ_by_as_much_as_so_many_images_cannot_show():
    study = ComparedStudy(families=("cnn",))
    for seed in range(2):  # other probabilities, so another training, and the same classes
        study.runs["cnn", "tuned", seed, 1.0] = study.run("cnn", "baseline", seed) ** 0.9
    for seed in (0, 1, None):
        (row,) = study.accuracies(seed)
        assert row["difference"] == 0
        assert row["p_value"] == 1 if seed is not None else row["p_value"] > 0.99
        # Student's t's 1.97 squared images of which half are won and half lost, over all.
        margin = student.ppf(0.975, IMAGES - 1) ** 2 / IMAGES
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((-margin, margin))


def test_a_missing_family_has_no_rows_and_a_missing_seed_no_row_of_its_own():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    study.drop("cnn", "tuned", seed=1)
    rows = [row for row in study.compared() if row["metric"] == "accuracy"]
    assert {row["a_family"] for row in rows} | {row["b_family"] for row in rows} == set(
        study.families
    )
    pair = [row for row in rows if row["b_role"] == "tuned" and row["b_family"] == "cnn"]
    assert [(row["seed"], row["n_seeds"]) for row in pair] == [(0, 1), (None, 1)]


def test_fractions_are_compared_each_for_itself():
    rows = ComparedStudy(fractions=(1.0, 0.1)).compared()
    assert [row["train_fraction"] for row in rows] == sorted(row["train_fraction"] for row in rows)
    assert len(rows) == 2 * 15 * 4 * 3


def test_a_probability_of_zero_gives_a_finite_loss():
    study = ComparedStudy(families=("cnn",))
    run = study.run("cnn", "tuned", 0)
    run[:] = np.eye(CLASSES, dtype=np.float32)[(study.labels + 1) % CLASSES]
    losses = [row["difference"] for row in study.compared() if row["metric"] == "loss"]
    assert max(map(abs, losses)) > 90


def test_probabilities_that_are_no_numbers_leave_null_and_no_nan():
    study = ComparedStudy(families=("cnn",))
    study.run("cnn", "tuned", 0)[:] = np.nan
    rows = [row for row in study.compared() if row["metric"] == "loss" and row["seed"] != 1]
    assert {(row["difference"], row["ci_low"]) for row in rows} == {(None, None)}


def test_runs_on_other_images_are_refused():
    study = ComparedStudy(families=("cnn",))
    other = study.predictions().to_pandas()
    other.loc[other.index[:IMAGES], "image_index"] += 1
    table = pa.Table.from_pandas(other, schema=results.FIXED_SCHEMAS["predictions"])
    with pytest.raises(ValueError, match="same images"):
        compare_models(study.final(), table, draws=10)
