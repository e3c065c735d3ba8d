"""Of a long search TPE is shown the best trials and the latest; nothing else of it changes."""

import optuna
import pytest
from ended_trials import complete, one_family, run_one
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import FrozenTrial, TrialState, create_trial

from orchestrator.config.samplers import RANDOM
from orchestrator.search.shown_trials import BEST, LATEST, MOST, shortened
from orchestrator.trials.recorder import Recorder

SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}


def ended(number: int) -> FrozenTrial:
    """Every third completed, others pruned at an epoch and of a value that numbers scatter."""
    value = number * 37 % 101 / 101
    told = {"params": {"x": number / 1000}, "distributions": SPACE}
    if number % 3 == 0:
        return create_trial(state=TrialState.COMPLETE, values=[value], **told)
    seen = {1 + number % 2: value} if number % 5 else {}  # without values it diverged
    return create_trial(state=TrialState.PRUNED, intermediate_values=seen, **told)


def study_of(trials: list[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return study


def test_a_search_of_fewer_trials_is_shown_whole() -> None:
    assert shortened(study_of([ended(number) for number in range(MOST - 1)])) is None


@pytest.mark.parametrize("completed", [True, False], ids=["many completed", "none completed"])
def test_those_that_tpe_takes_for_good_are_the_same_as_of_all(completed: bool) -> None:
    numbers = [number for number in range(2 * MOST) if completed or number % 3]
    study = study_of([ended(number) for number in numbers])
    short = shortened(study)
    assert short is not None
    good, _ = _split_trials(study, study.trials, BEST)
    still_good, others = _split_trials(short, short.trials, BEST)
    values = [(t.state, t.params, t.intermediate_values) for t in good]
    assert [(t.state, t.params, t.intermediate_values) for t in still_good] == values
    assert len(others) == LATEST


def test_the_others_are_the_latest_in_their_order() -> None:
    study = study_of([ended(number) for number in range(3 * MOST)])
    short = shortened(study)
    assert short is not None
    good, _ = _split_trials(study, study.trials, BEST)
    best = [trial.params for trial in good]
    others = [trial.params for trial in study.trials if trial.params not in best]
    shown = [trial.params for trial in short.trials if trial.params not in best]
    assert shown == others[-LATEST:]


def test_a_long_search_goes_on_and_a_trial_that_runs_meanwhile_is_told_of(
    recorder: Recorder,
) -> None:
    search = one_family(recorder, trials=2 * MOST, sampler=RANDOM)
    slow = search.suggest("slow")
    assert isinstance(slow, dict)
    most = 0
    for _ in range(MOST + LATEST):
        run_one(search, recorder, epochs=1)
        most = max(most, len(search.studies["cnn"].get_trials(deepcopy=False)))
    assert most == MOST  # of which one runs
    running = [t for t in search.studies["cnn"].trials if t.state == TrialState.RUNNING]
    assert [trial.params for trial in running] == [slow["params"]]
    complete(search, recorder, "slow", slow["trial_id"])
    told = [t for t in search.studies["cnn"].trials if t.state == TrialState.COMPLETE]
    assert [(trial.params, trial.value) for trial in told] == [(slow["params"], 0.5)]


def test_a_resumed_long_search_is_shown_as_many(recorder: Recorder) -> None:
    search = one_family(recorder, trials=2 * MOST, sampler=RANDOM)
    for _ in range(MOST + LATEST):
        run_one(search, recorder, epochs=1)
    again = one_family(recorder, trials=2 * MOST, sampler=RANDOM)
    for record in recorder.trials.values():
        again.resume(record)
    shown, resumed = (each.studies["cnn"].trials for each in (search, again))
    assert [trial.params for trial in resumed] == [trial.params for trial in shown]
