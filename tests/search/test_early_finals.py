"""Finals that idle slots of the search begin: which, when, and what becomes of their attempts."""

import dataclasses
from pathlib import Path

import pytest
from ended_trials import complete, one_family, run_out_of_memory
from family_search import EPOCHS
from made_up_trials import make_recorder, row_of, spec_of

from orchestrator.search.early_finals import EarlyFinals, SearchAndFinals, SearchAndFinalsScheduler
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import Failure

FINALS = ("cnn-baseline-s0-f1", "cnn-baseline-s1-f1")


@pytest.fixture
def search(recorder: Recorder) -> FamilySearch:
    """A search of two trials."""
    return one_family(recorder, trials=2)


@pytest.fixture
def finals(tmp_path: Path) -> EarlyFinals:
    specs = [dataclasses.replace(spec_of(name, "baseline"), family="cnn") for name in FINALS]
    recorder = make_recorder(tmp_path, epochs_table="final_epochs")
    return EarlyFinals(recorder, specs, certain=lambda _: True, epochs=EPOCHS, max_attempts=3)


@pytest.fixture
def both(search: FamilySearch, finals: EarlyFinals) -> SearchAndFinals:
    return SearchAndFinals(search, finals)


def handed_out(queue: SearchAndFinals, *tune_ids: str) -> list[str | None]:
    """The trials of which attempts are handed out, in order."""
    configs = [queue.suggest(name) for name in tune_ids]
    return [each["trial_id"] if isinstance(each, dict) else each for each in configs]


def report(finals: EarlyFinals, both: SearchAndFinals, trial_id: str, epoch: int) -> str:
    """Has a final report an epoch; what is decided."""
    search = RecordingScheduler(finals.recorder)  # gets no report here
    scheduler = SearchAndFinalsScheduler(search, finals.recorder, both.finals_must_end)
    return scheduler._take(trial_id, row_of(epoch, 0.5))


def test_a_final_begins_only_where_the_search_has_nothing_left_but_trials_that_run(
    both: SearchAndFinals, recorder: Recorder
) -> None:
    assert handed_out(both, *"abc") == ["cnn-000", "cnn-001", FINALS[0]]
    recorder.attempt_ended("cnn-001")
    recorder.failed_attempt("cnn-001", Failure(kind="process_died", message="gone"))
    both.on_trial_complete("b", error=True)
    assert handed_out(both, *"de") == ["cnn-001", FINALS[1]]


def test_an_attempt_says_that_it_is_at_a_final_and_reports_soon(both: SearchAndFinals) -> None:
    trial, _, final = (both.suggest(name) for name in "abc")
    assert (trial["is_final"], final["is_final"]) == (False, True)
    assert "checkpoint_seconds" not in trial
    assert final["checkpoint_seconds"] == 2.0


def test_no_final_begins_that_may_not_be_wanted(search: FamilySearch, finals: EarlyFinals) -> None:
    finals._certain = lambda spec: spec.trial_id == FINALS[1]
    assert handed_out(SearchAndFinals(search, finals), *"abcd")[2:] == [FINALS[1], None]


def test_a_final_ends_after_an_epoch_with_the_search_and_is_as_it_was(
    both: SearchAndFinals, finals: EarlyFinals, recorder: Recorder
) -> None:
    assert handed_out(both, *"abc")[2] == FINALS[0]
    assert report(finals, both, FINALS[0], 1) == "CONTINUE"
    complete(both, recorder, "a", "cnn-000")
    assert report(finals, both, FINALS[0], 2) == "CONTINUE"
    complete(both, recorder, "b", "cnn-001")
    assert handed_out(both, "d") == [None]  # the final runs
    assert report(finals, both, FINALS[0], 3) == "STOP"
    both.on_trial_complete("c", row_of(3, 0.5))
    assert handed_out(both, "d") == ["FINISHED"]
    record = finals.recorder.trials[FINALS[0]]
    assert (record.status, record.stopping, len(record.rows)) == ("running", False, 3)


def test_a_final_that_gave_its_slot_back_goes_on_before_another_begins(
    both: SearchAndFinals, finals: EarlyFinals, recorder: Recorder
) -> None:
    handed_out(both, *"abc")
    recorder.attempt_ended("cnn-001")
    recorder.failed_attempt("cnn-001", Failure(kind="process_died", message="gone"))
    both.on_trial_complete("b", error=True)  # now the search wants a slot
    assert report(finals, both, FINALS[0], 1) == "STOP"
    both.on_trial_complete("c", row_of(1, 0.5))
    assert handed_out(both, *"de") == ["cnn-001", FINALS[0]]
    assert finals.recorder.trials[FINALS[0]].attempts == 2


def test_f5_no_final_runs_beside_a_trial_that_needs_a_whole_device_or_its_host(
    both: SearchAndFinals, search: FamilySearch, finals: EarlyFinals, recorder: Recorder
) -> None:
    search._after_out_of_memory = [{"resources": {"CPU": 1, "GPU": 1.0}}]
    handed_out(both, *"abc")
    recorder.attempt_began("cnn-000")
    run_out_of_memory(both, recorder, "b", "cnn-001")
    assert handed_out(both, *"de") == ["cnn-001", None]
    assert report(finals, both, FINALS[0], 1) == "STOP"  # the device is not free before
    both.on_trial_complete("c", row_of(1, 0.5))
    assert handed_out(both, "e") == [None]
    recorder.attempt_began("cnn-001")
    assert handed_out(both, "e") == [FINALS[0]]
    recorder.failed_attempt("cnn-001", Failure(kind="host_out_of_memory", message="137"))
    both.on_trial_complete("d", error=True)
    complete(both, recorder, "a", "cnn-000")
    assert handed_out(both, "f") == [None]  # the final still runs
    assert report(finals, both, FINALS[0], 2) == "STOP"
    both.on_trial_complete("e", row_of(2, 0.5))
    assert handed_out(both, *"fg") == ["cnn-001", None]


@pytest.mark.parametrize("fate", ["failed", "diverged", "done"])
def test_a_final_that_failed_diverged_or_has_all_epochs_is_left_to_the_finals(
    fate: str, both: SearchAndFinals, finals: EarlyFinals
) -> None:
    handed_out(both, *"abc")
    record = finals.recorder.trials[FINALS[0]]
    if fate == "failed":
        finals.recorder.failed_attempt(FINALS[0], Failure(kind="error", message="no"))
        both.on_trial_complete("c", error=True)
    elif fate == "diverged":
        both.on_trial_complete("c", {"diverged": "its loss is nan"})
    else:
        for epoch in range(1, EPOCHS + 1):
            report(finals, both, FINALS[0], epoch)
        both.on_trial_complete("c", row_of(EPOCHS, 0.5))
    assert (record.status, len(record.failures)) == ("running", int(fate == "failed"))
    assert handed_out(both, *"de") == [FINALS[1], None]


def test_where_tune_ended_too_early_finals_are_handed_out_again(
    both: SearchAndFinals, finals: EarlyFinals
) -> None:
    handed_out(both, *"abc")
    both.attempt_began(FINALS[0], 1.0)
    assert finals.recorder.trials[FINALS[0]].attempt_began is not None
    both.take_back()
    assert finals.recorder.trials[FINALS[0]].attempt_began is None
    assert handed_out(both, *"def") == ["cnn-000", "cnn-001", FINALS[0]]
