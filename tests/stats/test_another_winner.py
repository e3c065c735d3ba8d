"""Whether a search is settled: surer the wider the gap, and the fewer trials are to come."""

import numpy as np
import pytest

from orchestrator.config.settings import FEWEST_TO_SETTLE as FEWEST
from orchestrator.stats.settled import SearchProgress, chance_of_another

IMAGES = 5000


def progress(best, *, to_come=10, trials=20, spread=0.02):
    """A family whose trials lie below its best one, evenly."""
    return SearchProgress(accuracies=best - spread * np.linspace(0, 1, trials), to_come=to_come)


def chance(a, b):
    found = chance_of_another({"a": a, "b": b}, images=IMAGES)
    assert found is not None
    return found


def test_where_nothing_is_to_come_or_to_be_compared_nothing_changes() -> None:
    assert chance(progress(0.8, to_come=0), progress(0.8, to_come=0)) == 0
    assert chance_of_another({"a": progress(0.8)}, images=IMAGES) is None


def test_before_a_few_trials_of_each_family_have_ended_nothing_is_said() -> None:
    few = progress(0.5, trials=FEWEST - 1)
    assert chance_of_another({"a": progress(0.9), "b": few}, images=IMAGES) is None


def test_a_wide_gap_is_settled_and_a_narrow_one_is_not() -> None:
    chances = [chance(progress(0.8), progress(0.8 - gap)) for gap in (0.0, 0.02, 0.05, 0.1)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.2
    assert chances[-1] < 0.001


def test_the_fewer_are_to_come_the_less_can_change() -> None:
    chances = [chance(progress(0.8, to_come=n), progress(0.78, to_come=n)) for n in (40, 10, 2, 1)]
    assert chances == sorted(chances, reverse=True)


def test_a_family_whose_trials_lie_far_apart_may_still_surprise() -> None:
    leader = progress(0.8, to_come=0)
    narrow, wide = (chance(leader, progress(0.76, spread=s)) for s in (0.01, 0.1))
    assert wide > 10 * max(narrow, 0.001)


def test_a_third_family_counts_too() -> None:
    two = {"a": progress(0.8), "b": progress(0.7)}
    three = {**two, "c": progress(0.795)}
    chances = [chance_of_another(each, images=IMAGES) for each in (two, three)]
    assert chances[0] < 0.001 < chances[1]


def test_the_chance_is_that_of_a_study_drawn_anew() -> None:
    # Two families of normal accuracies, whose best of 20 and of 25 more are known.
    generator = np.random.default_rng(0)
    said, changed = [], []
    for _ in range(200):
        drawn = generator.normal([[0.70], [0.69]], 0.01, (2, 45))
        so_far = [SearchProgress(accuracies=own[:20], to_come=25) for own in drawn]
        said.append(chance(*so_far))
        luck = 0.009 * generator.standard_normal((2, 45))
        answers = [
            np.argmax(
                [
                    (own + own_luck)[own[:n].argmax()]
                    for own, own_luck in zip(drawn, luck, strict=True)
                ]
            )
            for n in (20, 45)
        ]
        changed.append(answers[0] != answers[1])
    # It takes a search to learn, and this one does not: it may say more, not less.
    assert np.mean(said) == pytest.approx(np.mean(changed), abs=0.15)
    assert np.mean(said) > np.mean(changed) - 0.03
