"""A training that collapsed is named, and noise is not."""

import numpy as np
import pytest
from made_up_study import CLASSES, ComparedStudy

from benchmarks.false_alarms import SETUPS, any_collapse
from orchestrator.stats.collapse import collapsed, find_collapses
from orchestrator.stats.predictions import split_runs

TEN_CLASSES = {"chance": 0.1, "images": 1000}


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([0.70, 0.71, 0.10], [2]),
        ([0.70, 0.11, 0.71, 0.705, 0.10], [1, 4]),
        ([0.70, 0.71, 0.69], []),
        ([0.70, 0.71, 0.66], []),  # far from the others, and from chance
        ([0.70, 0.55, 0.10], []),  # the others lie apart as well
        ([0.70, 0.71, 0.10, 0.11], []),  # no majority
        ([0.70, 0.10], []),  # which of the two is odd?
        ([0.70], []),
        ([0.10, 0.10, 0.09], []),  # all of them
    ],
)
def test_collapsed_is_what_lost_half_and_lies_far_from_others_that_agree(accuracies, expected):
    found = collapsed(np.array(accuracies), **TEN_CLASSES)
    assert np.flatnonzero(found).tolist() == expected


def test_what_few_test_images_may_do_is_no_collapse():
    accuracies = np.array([0.6, 0.6, 0.3])
    assert collapsed(accuracies, chance=0.1, images=1000).any()
    assert not collapsed(accuracies, chance=0.1, images=20).any()


def test_a_collapse_is_named_with_its_model_seed_and_the_accuracy_of_the_others():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"), seeds=3, identical=("cnn",))
    study.run("cnn", "baseline", 1)[:] = np.eye(CLASSES, dtype=np.float32)[0]
    (found,) = find_collapses(split_runs(study.predictions()))
    run = found.run
    assert (run.family, run.role, run.fraction, run.seed) == ("cnn", "baseline", 1.0, 1)
    assert found.accuracy == pytest.approx(1 / CLASSES)
    others = [(study.run("cnn", "tuned", s).argmax(1) == study.labels).mean() for s in (0, 2)]
    assert found.others == pytest.approx(np.mean(others))


@pytest.mark.parametrize("seeds", [3, 5])
def test_normal_noise_of_the_seeds_is_rarely_called_a_collapse(seeds):
    setup = next(iter(SETUPS.values()))
    noise = {"spread": 0.05, "seeds": seeds, "studies": 200}
    assert any_collapse(setup, broken=False, **noise) < 0.05
    assert any_collapse(setup, broken=True, **{**noise, "spread": 0.01}) > 0.9
