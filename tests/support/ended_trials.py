"""Ends the trials that a searcher proposes, well or badly."""

from family_search import EPOCHS, make_search, plans_of
from made_up_trials import row_of

from orchestrator.config.samplers import TPE
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import Failure


def run_one(
    search: FamilySearch, recorder: Recorder, *, epochs: int = EPOCHS, seconds: float = 0.0
) -> dict:
    """Proposes a trial, gives it rows, and ends it as stopped or completed."""
    config = search.suggest("tune")
    assert isinstance(config, dict)
    recorder.trials[config["trial_id"]].spent_seconds = seconds
    for epoch in range(1, epochs + 1):
        recorder.epoch(config["trial_id"], row_of(epoch, 0.1 * epoch))
    recorder.trials[config["trial_id"]].stopping = epochs < EPOCHS
    search.on_trial_complete("tune", {"epoch": epochs})
    return config


def fail_one(search: FamilySearch, recorder: Recorder, kind: str, message: str = "no") -> str:
    config = search.suggest("tune")
    assert isinstance(config, dict)
    recorder.failed_attempt(config["trial_id"], Failure(kind=kind, message=message))
    search.on_trial_complete("tune", error=True)
    return config["trial_id"]


def run_out_of_memory(search: FamilySearch, recorder: Recorder, tune_id: str, trial: str) -> None:
    recorder.attempt_ended(trial)
    failure = Failure(kind="out_of_memory", message=f"CUDA out of memory in {trial}")
    recorder.failed_attempt(trial, failure)
    search.on_trial_complete(tune_id, error=True)


def complete(search: FamilySearch, recorder: Recorder, tune_id: str, trial: str) -> None:
    for epoch in range(1, EPOCHS + 1):
        recorder.epoch(trial, row_of(epoch, 0.5))
    recorder.attempt_ended(trial)
    search.on_trial_complete(tune_id, {"epoch": EPOCHS})


def fail_for_good(search: FamilySearch, recorder: Recorder, bug: str = "model.py:7") -> str:
    """Twice the same bug, each time with another number in its message."""
    for number in range(2):
        config = search.suggest("tune")
        assert isinstance(config, dict)
        failure = Failure(kind="error", message=f"ValueError: {number}", place=bug)
        recorder.failed_attempt(config["trial_id"], failure)
        search.on_trial_complete("tune", error=True)
    assert recorder.trials[config["trial_id"]].status == "failed"
    return config["family"]


def one_family(recorder: Recorder, trials: int = 40, sampler: str = TPE) -> FamilySearch:
    return make_search(recorder, trials=trials, plans=plans_of()[:1], sampler=sampler)
