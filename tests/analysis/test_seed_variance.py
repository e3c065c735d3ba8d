"""Training noise is counted over all pairs of trainings, and not where there is none to see."""

from itertools import product

import numpy as np
import pytest
from made_up_rows import final_run, table

from orchestrator.analysis.seed_variance import probability_of_improvement, training_noise_sections


def said(models, same=()):
    """Models as {(family, role, fraction): [test accuracy of each seed]}."""
    rows = [
        final_run(
            role,
            seed,
            fraction,
            family,
            trial_id=f"{family}-{'baseline' if family in same else role}-s{seed}-f{fraction}",
            test_accuracy=accuracy,
        )
        for (family, role, fraction), accuracies in models.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    sections = training_noise_sections(table("final", rows))
    return [cell for section in sections for cell in (*section.sentences, *section.rows)]


@pytest.mark.parametrize("seed", range(5))
def test_the_probability_of_improvement_is_the_share_of_all_pairs(seed) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.integers(5, size=4) / 10, generator.integers(5, size=3) / 10
    pairs = [(x > y) + (x == y) / 2 for x, y in product(a, b)]
    assert probability_of_improvement(a, b) == pytest.approx(np.mean(pairs))


def test_equal_trainings_are_a_coin_toss() -> None:
    assert probability_of_improvement([0.5, 0.5], [0.5, 0.5]) == 0.5


def test_the_better_of_two_stands_first_with_its_seeds() -> None:
    models = {("cnn", "tuned", 1.0): [0.5, 0.6, 0.7], ("vit", "tuned", 1.0): [0.65, 0.75]}
    lines = said(models)
    assert ("1", "vit tuned", "cnn tuned", "2 and 3", "83%") in lines
    assert any("From 2 seeds there are 4 pairs" in line for line in lines)


def test_tuned_meets_its_own_baseline_and_not_that_of_another_family() -> None:
    models = {
        (family, role, 1.0): [0.5 + step, 0.6 + step]
        for step, family in enumerate(("cnn", "vit"))
        for role in ("baseline", "tuned")
    }
    pairs = [line[1:3] for line in said(models) if isinstance(line, tuple)]
    assert pairs == [
        ("cnn baseline", "cnn tuned"),
        ("vit tuned", "cnn tuned"),
        ("vit baseline", "vit tuned"),
    ]


def test_a_winner_that_is_its_baseline_is_not_held_against_itself() -> None:
    models = {("cnn", role, 1.0): [0.5, 0.6] for role in ("baseline", "tuned")}
    assert not [line for line in said(models, same=("cnn",)) if isinstance(line, tuple)]


def test_one_seed_shows_no_training_noise_and_says_how_to_get_it() -> None:
    assert said({("cnn", "tuned", 1.0): [0.5], ("vit", "tuned", 1.0): [0.6]}) == [
        "A model with one seed shows no training noise and is left out; see --seeds."
    ]


def test_fractions_stand_each_for_itself_and_a_missing_accuracy_is_left_out() -> None:
    models = {
        ("cnn", "tuned", 1.0): [0.5, 0.6],
        ("vit", "tuned", 1.0): [0.7, None],
        ("cnn", "tuned", 0.1): [0.5, 0.6],
        ("vit", "tuned", 0.1): [0.7, 0.8],
    }
    rows = [line for line in said(models) if isinstance(line, tuple)]
    assert rows == [("0.1", "vit tuned", "cnn tuned", "2 and 2", "100%")]


def test_without_final_runs_nothing_is_said() -> None:
    assert said({}) == []
