"""Pairs of studies: which of them are one test, and which are none."""

from dataclasses import replace

import pytest
from made_up_study import ComparedStudy

from orchestrator.stats import across_studies, claims
from orchestrator.stats.predictions import split_runs

FAMILIES = ("cnn", "resnet50_transfer")


def of_study(name, study):
    return across_studies.TestedStudy(
        name=name, data={"all": "the same"}, runs=split_runs(study.predictions())
    )


def accuracies(studies, seed):
    rows = across_studies.pair_studies(studies, draws=200)
    return [row for row in rows if (row["metric"], row["seed"]) == ("accuracy", seed)]


def test_other_labels_in_a_table_of_the_same_images_are_called_that():
    sides = []
    for name in ("one", "other"):
        study = ComparedStudy(families=FAMILIES[:1], test_images=12, seeds=1)
        study.labels = study.labels[:: 1 if name == "one" else -1]
        files = [f"{number}.png" for number in range(12)]
        runs = [replace(run, files=files) for run in split_runs(study.predictions())]
        data = {"labels.csv": name, **dict.fromkeys(files, "the same")}
        sides.append(across_studies.TestedStudy(name=name, data=data, runs=runs))
    assert across_studies.why_not_comparable(*sides) == "different labels of the same test images"
    sides[1] = replace(sides[1], data={**sides[1].data, "3.png": "another"})
    assert across_studies.why_not_comparable(*sides) == "different data files"


def test_studies_with_other_training_images_are_paired_on_the_test_images_that_they_share():
    study = ComparedStudy(families=FAMILIES[:1], test_images=12, seeds=1)
    files = [f"{number}.png" for number in range(12)]
    runs = [replace(run, files=files) for run in split_runs(study.predictions())]
    data = dict.fromkeys(files, "the same")
    sides = [
        across_studies.TestedStudy(name=name, data={**data, "train.png": name}, runs=runs)
        for name in ("few", "many")
    ]
    assert across_studies.why_not_comparable(*sides) is None
    no_files = [replace(side, runs=split_runs(study.predictions())) for side in sides]
    assert across_studies.why_not_comparable(*no_files) == "different data files"


@pytest.mark.parametrize("seed", [0, None], ids=["a seed", "the means"])
def test_the_same_trainings_found_again_in_another_study_take_no_place(seed):
    one, other = ComparedStudy(families=FAMILIES), ComparedStudy(families=FAMILIES)
    for number in range(2):
        run = other.run("cnn", "tuned", number)
        run[:] = run[:, [1, 2, 3, 0]]
    rows = accuracies([of_study("one", one), of_study("other", other)], seed)
    changed = [row for row in rows if (row["a_family"], row["a_role"]) == ("cnn", "tuned")]
    assert [row["p_value_holm"] for row in changed] == [row["p_value"] for row in changed]
    rest = [row for row in rows if row not in changed]
    assert [(row["p_value"], row["p_value_holm"]) for row in rest] == [(1, 1)] * 3


@pytest.mark.parametrize("seed", [0, None], ids=["a seed", "the means"])
def test_winners_that_are_baselines_in_both_studies_are_one_test_a_family(seed):
    one = ComparedStudy(families=FAMILIES, identical=FAMILIES)
    other = ComparedStudy(families=FAMILIES, identical=FAMILIES, seed_effect=0.02)
    for family in FAMILIES:
        for number in range(2):
            run = other.run(family, "baseline", number)
            run[:50] = run[:50, [1, 2, 3, 0]]
    rows = accuracies([of_study("one", one), of_study("other", other)], seed)
    assert len(rows) == 4
    tests = {(row["a_family"], row["p_value"], row["p_value_holm"]) for row in rows}
    assert len(tests) == 2
    _, p_values, adjusted = zip(*tests, strict=True)
    assert adjusted == pytest.approx(claims.holm(p_values))
