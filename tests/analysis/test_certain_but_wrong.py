"""Images whose labels are to be looked at: which, in what order, and under what names."""

import numpy as np
import pytest
from made_up_study import ComparedStudy

from orchestrator.analysis.confusion_examples import (
    MOST_ROWS,
    certain_but_wrong,
    certain_but_wrong_sections,
)
from orchestrator.stats.predictions import PredictedRun, split_runs


def run(family: str, seed: int, said: np.ndarray, labels: np.ndarray, role: str = "tuned"):
    return PredictedRun(
        family=family,
        role=role,
        seed=seed,
        fraction=1.0,
        labels=labels,
        predicted=said.argmax(axis=1),
        probabilities=said,
        images=np.arange(len(labels)),
        files=[f"{index}.png" for index in range(len(labels))],
    )


def test_the_least_probable_labels_come_first_and_each_family_counts_as_much() -> None:
    labels = np.array([0, 0, 0, 0])
    one = np.array([[0.1, 0.9], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    other = np.array([[0.2, 0.8], [0.1, 0.9], [0.9, 0.1], [0.8, 0.2]])
    baseline = run("cnn", 0, 1 - one, labels, role="baseline")
    found = certain_but_wrong(
        [
            *(run("cnn", seed, one, labels) for seed in (0, 1)),
            *(run("net", 0, other, labels), baseline),
        ]
    )
    assert found.file.tolist() == ["0.png", "1.png"]
    assert found.probability.tolist() == pytest.approx([0.85, 0.65])
    assert found.probability_of_label.tolist() == pytest.approx([0.15, 0.35])
    assert found.wrong.tolist() == [3, 1]
    assert found.trainings.tolist() == [3, 3]


def test_labels_that_were_changed_are_among_the_first() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 5, 4000)
    labels = truth.copy()
    planted = random.choice(4000, 200, replace=False)
    labels[planted] = (labels[planted] + random.integers(1, 5, 200)) % 5
    image_noise = random.normal(size=(4000, 5))  # so that all trainings err on the same images
    runs = []
    for seed in range(3):
        scores = image_noise + random.normal(size=(4000, 5)) + 1.5 * np.eye(5)[truth]
        said = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        runs.append(run("cnn", seed, said, labels))
    found = certain_but_wrong(runs)
    first = found.image_index[: len(found) // 10]
    assert len(found) > 1000
    assert np.isin(first, planted).mean() > 2 * np.isin(found.image_index, planted).mean()


def test_a_table_has_a_thousand_and_says_of_how_many() -> None:
    study = ComparedStudy(fractions=(1.0,))
    (section,) = certain_but_wrong_sections(study.record(), split_runs(study.predictions()))
    assert len(section.table) <= MOST_ROWS
    assert section.notes[0].startswith(f"The first {len(section.table):,} of ")
    assert "test image" in section.formats
    assert certain_but_wrong([]).empty
