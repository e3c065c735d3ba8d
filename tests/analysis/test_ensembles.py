"""What the ensemble of a family's seeds is said to be worth, and of which families it is said."""

import numpy as np
import pytest
from made_up_study import ComparedStudy
from shown_cells import cells

from orchestrator.analysis.ensembles import ensemble_sections
from orchestrator.stats.predictions import PredictedRun, split_runs

LABELS = np.arange(400) % 2


def run(right: np.ndarray, seed: int, *, family: str = "cnn", fraction: float = 1.0, sure=0.9):
    """A training that is right on some images, and as sure of itself on all."""
    predicted = np.where(right, LABELS, 1 - LABELS)
    return PredictedRun(
        family=family,
        role="tuned",
        seed=seed,
        fraction=fraction,
        labels=LABELS,
        predicted=predicted,
        probabilities=np.where(np.eye(2)[predicted] == 1, sure, 1 - sure),
    )


def test_an_ensemble_follows_the_seeds_that_are_surer_and_is_held_against_their_mean() -> None:
    first, second = np.arange(400) < 300, np.arange(400) >= 40  # 75% and 90%, the second surer
    (section,) = ensemble_sections([run(first, 0, sure=0.6), run(second, 1)])
    ((family, seeds, accuracy, between, single, difference),) = cells([section])[section.key]
    assert (family, seeds, accuracy, single) == ("cnn", "2", "90.00%", "82.50%")
    low, high = (float(end.rstrip("%")) for end in between.split(" to "))
    assert low == pytest.approx(90 - 1.96 * 1.5, abs=0.4)  # a share's deviation is 1.5 points
    assert high == pytest.approx(90 + 1.96 * 1.5, abs=0.4)
    assert difference.startswith("+7.50 [+")


@pytest.mark.parametrize("right", [300, 400])
def test_seeds_that_agree_on_all_images_may_not_on_others(right: int) -> None:
    (section,) = ensemble_sections([run(np.arange(400) < right, seed) for seed in range(3)])
    *_, between, _, difference = cells([section])[section.key][0]
    assert difference == "+0.00 [-0.49, +0.49]"
    assert between == {300: "70.53% to 78.99%", 400: "99.05% to 100.00%"}[right]


def test_only_winners_of_two_seeds_at_the_largest_share_have_one() -> None:
    right = np.arange(400) < 300
    alone = [run(right, 0), *(run(right, seed, fraction=0.1) for seed in range(2))]
    assert list(ensemble_sections(alone)) == []
    two = [*alone, *(run(right, seed, family="net") for seed in range(2))]
    (section,) = ensemble_sections(two)
    assert section.table.family.tolist() == ["net"]


def test_a_whole_study_has_one_a_family() -> None:
    study = ComparedStudy(seeds=3, fractions=(0.5, 1.0))
    (section,) = ensemble_sections(split_runs(study.predictions()))
    assert section.table.family.tolist() == list(study.families)
    assert section.table.seeds.tolist() == [3] * len(study.families)
    assert (section.table.low <= section.table.accuracy).all()
    assert (section.table.accuracy <= section.table.high).all()
