"""The plan says where so many trials run at a time that a search cannot learn."""

import io

import optuna
import pytest
from optuna.samplers import TPESampler
from rich.console import Console

from orchestrator.config.samplers import RANDOM, STARTUP, TPE
from orchestrator.config.settings import Settings
from orchestrator.plan.families import plan_families
from orchestrator.plan.summary import few_rounds, learned, print_plan


def test_ten_trials_is_what_the_sampler_begins_with() -> None:
    assert TPESampler()._n_startup_trials == STARTUP


@pytest.mark.parametrize("at_a_time", [1, 4, 16, 40])
def test_trials_that_are_proposed_after_ten_have_ended_are_counted(at_a_time: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    running = [study.ask() for _ in range(min(at_a_time, 32))]
    ended = asked_later = 0
    while running:
        study.tell(running.pop(0), 0.0)
        ended += 1
        if ended + len(running) < 32:
            asked_later += ended >= STARTUP
            running.append(study.ask())
    assert learned(32, at_a_time) == asked_later


@pytest.mark.parametrize(
    ("trials", "families", "slots"), [(32, 1, 12), (32, 3, 36), (8, 1, 64), (2, 3, 2), (136, 1, 64)]
)
def test_nothing_is_said_of_a_search_that_can_learn_or_never_could(
    trials: int, families: int, slots: int
) -> None:
    assert list(few_rounds(trials, families, slots)) == []


def test_of_random_points_nothing_is_said_since_they_learn_nothing() -> None:
    printed = {}
    for sampler in (TPE, RANDOM):
        console = Console(file=io.StringIO(), width=200)
        settings = Settings(families="cnn", trials=32, max_concurrent=64, sampler=sampler)
        print_plan(console, plan_families(settings), settings, train_images=None)
        printed[sampler] = "Few rounds" in console.file.getvalue()
    assert printed == {TPE: True, RANDOM: False}


@pytest.mark.parametrize(
    ("families", "slots", "fewer", "more", "random"),
    [(1, 13, 12, 34, 22), (3, 64, 36, 52, 31), (1, 64, 12, 136, 32)],
)
def test_too_many_at_a_time_are_said_with_what_helps(
    families: int, slots: int, fewer: int, more: int, random: int
) -> None:
    assert list(few_rounds(32, families, slots)) == [
        f"Few rounds: of a family's 32 trials {random} are random points, since the search learns "
        f"from trials that have ended, 10 or more, and {slots} run at a time; one at a time would "
        f"leave 10. --max-concurrent {fewer} or --trials {more} would let it learn."
    ]
    assert list(few_rounds(32, families, fewer)) == list(few_rounds(more, families, slots)) == []
    assert list(few_rounds(32, families, fewer + families)) != []
