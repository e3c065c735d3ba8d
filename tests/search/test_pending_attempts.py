"""Attempts that are pending: after which failures, with what, and before which others."""

from ended_trials import complete, fail_one, one_family, run_out_of_memory
from family_search import EPOCHS, make_search
from made_up_trials import row_of
from optuna.trial import TrialState

from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import Failure


def test_f5_a_trial_whose_device_has_too_little_memory_gets_it_alone_then_with_batches_in_parts(
    recorder: Recorder,
) -> None:
    alone, parts = {"resources": {"GPU": 1.0}}, {"resources": {"GPU": 1.0}, "accumulation": 4}
    search = make_search(recorder, max_attempts=1)
    search._after_out_of_memory = [alone, parts]
    for given in ({}, alone, parts):
        config = search.suggest("tune")
        assert config["trial_id"] == "cnn-000"
        assert config["accumulation"] == given.get("accumulation", 1)
        assert config.get("resources") == given.get("resources")
        failure = Failure(kind="out_of_memory", message=f"CUDA, {given}")
        recorder.failed_attempt("cnn-000", failure)
        search.on_trial_complete("tune", error=True)
    record = recorder.trials["cnn-000"]
    assert (record.status, record.stop_reason, record.attempts) == ("failed", "out_of_memory", 3)
    assert not search.failed_families
    assert search.suggest("tune")["trial_id"] == "resnet50_scratch-000"


WHOLE = {"resources": {"CPU": 1, "GPU": 1.0}}


def test_f5_nothing_is_handed_out_until_a_retry_has_its_whole_device(recorder: Recorder) -> None:
    search = one_family(recorder)
    search._after_out_of_memory = [WHOLE]
    for name, trial in zip("abc", ("cnn-000", "cnn-001", "cnn-002"), strict=True):
        assert search.suggest(name)["trial_id"] == trial
        recorder.attempt_began(trial)
    run_out_of_memory(search, recorder, "b", "cnn-001")
    again = search.suggest("d")
    assert (again["trial_id"], again["resources"]) == ("cnn-001", WHOLE["resources"])
    for name, trial in (("a", "cnn-000"), ("c", "cnn-002")):  # the shares that are still in use
        assert search.suggest("e") is None
        complete(search, recorder, name, trial)
    assert search.suggest("e") is None
    recorder.attempt_began("cnn-001")
    assert search.suggest("e")["trial_id"] == "cnn-003"  # there may be another device


def test_f5_retries_that_need_a_whole_device_follow_each_other(recorder: Recorder) -> None:
    search = one_family(recorder)
    search._after_out_of_memory = [WHOLE]
    for name, trial in zip("abcd", range(4), strict=True):
        search.suggest(name)
        recorder.attempt_began(f"cnn-{trial:03d}")
    recorder.attempt_ended("cnn-000")
    recorder.failed_attempt("cnn-000", Failure(kind="process_died", message="gone"))
    search.on_trial_complete("a", error=True)
    for name, trial in (("b", "cnn-001"), ("c", "cnn-002"), ("d", "cnn-003")):
        run_out_of_memory(search, recorder, name, trial)
    order = []
    for name in "efgh":
        config = search.suggest(name)
        order.append((config["trial_id"], config.get("resources") is not None))
        assert search.suggest("z") is None or name == "h"
        recorder.attempt_began(config["trial_id"])
        complete(search, recorder, name, config["trial_id"])
    whole = [(f"cnn-{number:03d}", True) for number in (1, 2, 3)]
    assert order == [*whole, ("cnn-000", False)]


def test_f5_a_retry_of_a_whole_device_that_is_given_up_with_its_family_starves_nobody(
    recorder: Recorder,
) -> None:
    search = one_family(recorder)
    search._after_out_of_memory = [WHOLE]
    search.suggest("a")
    run_out_of_memory(search, recorder, "a", "cnn-000")
    assert search.has_work()
    search._give_up("cnn", "one bug")
    assert recorder.trials["cnn-000"].stop_reason == "family_halted"
    assert search.suggest("b") == "FINISHED"


def test_f6_a_trial_that_the_hosts_memory_did_not_do_for_is_tried_once_more(
    recorder: Recorder,
) -> None:
    search = make_search(recorder, max_attempts=5)
    first = fail_one(search, recorder, "host_out_of_memory", "killed at 95%")
    assert fail_one(search, recorder, "host_out_of_memory", "killed at 96%") == first
    record = recorder.trials[first]
    assert (record.status, record.stop_reason) == ("failed", "host_out_of_memory")


def test_a_trial_that_hangs_twice_has_failed(recorder: Recorder) -> None:
    search = make_search(recorder)
    first = fail_one(search, recorder, "timeout", "longer than 12 s")
    assert fail_one(search, recorder, "timeout", "longer than 12 s") == first
    record = recorder.trials[first]
    assert (record.status, record.stop_reason, record.attempts) == ("failed", "timeout", 2)
    assert not search.failed_families


def test_a_pending_attempt_comes_before_a_new_trial(recorder: Recorder) -> None:
    search = make_search(recorder)
    assert fail_one(search, recorder, "process_died") == "cnn-000"
    config = search.suggest("tune")
    assert (config["trial_id"], config["attempt"]) == ("cnn-000", 2)


def test_a_trial_fails_after_its_last_attempt_and_optuna_is_told(recorder: Recorder) -> None:
    search = make_search(recorder)
    for _ in range(3):
        assert fail_one(search, recorder, "process_died") == "cnn-000"
    assert recorder.trials["cnn-000"].status == "failed"
    assert search.studies["cnn"].trials[0].state == TrialState.FAIL


def test_preemptions_do_not_use_up_attempts(recorder: Recorder) -> None:
    search = make_search(recorder)
    for _ in range(5):
        assert fail_one(search, recorder, "preempted") == "cnn-000"
    assert recorder.trials["cnn-000"].status == "running"


def test_the_same_error_twice_fails_the_trial_at_once(recorder: Recorder) -> None:
    search = make_search(recorder)
    for _ in range(2):
        assert fail_one(search, recorder, "error") == "cnn-000"
    assert recorder.trials["cnn-000"].status == "failed"


def test_f6_a_trial_that_its_host_had_no_memory_for_waits_until_nothing_runs(
    recorder: Recorder,
) -> None:
    search = one_family(recorder, trials=3)
    first, second = search.suggest("a"), search.suggest("b")
    recorder.failed_attempt("cnn-000", Failure(kind="host_out_of_memory", message="killed"))
    search.on_trial_complete("a", error=True)
    assert (first["trial_id"], search.suggest("c")["trial_id"]) == ("cnn-000", "cnn-002")
    assert search.suggest("d") is None
    for name, config in (("b", second["trial_id"]), ("c", "cnn-002")):
        for epoch in range(1, EPOCHS + 1):
            recorder.epoch(config, row_of(epoch, 0.5))
        search.on_trial_complete(name, {"epoch": EPOCHS})
    again = search.suggest("e")
    assert (again["trial_id"], again["attempt"]) == ("cnn-000", 2)
    assert search.suggest("f") is None


def test_f3_a_lost_node_is_not_its_trials_fault_unless_the_trial_loses_one_after_another(
    recorder: Recorder,
) -> None:
    search = make_search(recorder)
    for _ in range(9):
        assert fail_one(search, recorder, "node_lost") == "cnn-000"
    assert recorder.trials["cnn-000"].status == "running"
    fail_one(search, recorder, "node_lost")
    assert recorder.trials["cnn-000"].stop_reason == "node_lost"


def test_trials_that_tune_has_left_get_another_attempt(recorder: Recorder) -> None:
    search = make_search(recorder)
    left = [search.suggest(name)["trial_id"] for name in "ab"]
    search.take_back()
    again = [search.suggest(name) for name in "ab"]
    assert [config["trial_id"] for config in again] == left
    assert [config["attempt"] for config in again] == [2, 2]


def test_a_trial_that_tune_merely_cleans_up_stays_running(recorder: Recorder) -> None:
    search = make_search(recorder)
    config = search.suggest("tune")
    recorder.epoch(config["trial_id"], row_of(1, 0.5))
    search.on_trial_complete("tune", {"epoch": 1})
    assert recorder.trials["cnn-000"].status == "running"


def test_an_idle_process_waits_for_the_next_phase_but_not_beside_an_attempt_alone_on_its_host(
    recorder: Recorder,
) -> None:
    search = one_family(recorder)
    search.suggest("a")
    assert search.may_use_idle(and_next=True)
    assert search.may_use_idle(and_next=False) == search.has_work()
    recorder.attempt_began("cnn-000")
    recorder.attempt_ended("cnn-000")
    recorder.failed_attempt("cnn-000", Failure(kind="host_out_of_memory", message="Ray"))
    search.on_trial_complete("a", error=True)
    assert not search.may_use_idle(and_next=True)
    assert search.suggest("b")["trial_id"] == "cnn-000"
    assert not search.may_use_idle(and_next=True)
    complete(search, recorder, "b", "cnn-000")
    assert search.may_use_idle(and_next=True)
