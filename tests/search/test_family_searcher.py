"""Proposals: baseline first, owed attempts before new trials, Optuna told the honest state."""

import pytest
from family_search import EPOCHS, make_search, plans_of
from made_up_trials import row_of, spec_of
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.trial_queue import ListedTrials
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


def test_each_familys_first_trial_is_its_baseline(recorder: Recorder) -> None:
    search = make_search(recorder)
    configs = [search.suggest(f"tune-{number}") for number in range(2)]
    assert [c["trial_id"] for c in configs] == ["cnn-000", "resnet50_scratch-000"]
    assert [c["role"] for c in configs] == ["baseline", "baseline"]
    for plan, config in zip(plans_of(), configs, strict=True):
        assert config["params"] == plan.baseline


def test_all_trials_are_proposed_and_then_none(recorder: Recorder) -> None:
    search = make_search(recorder, trials=2)
    ids = [run_one(search, recorder)["trial_id"] for _ in range(4)]
    assert sorted(ids) == ["cnn-000", "cnn-001", "resnet50_scratch-000", "resnet50_scratch-001"]
    assert search.suggest("tune") == "FINISHED"


def test_finished_is_not_said_while_something_runs(recorder: Recorder) -> None:
    search = make_search(recorder, trials=1)
    for number in range(2):
        search.suggest(f"tune-{number}")
    assert search.suggest("tune-2") is None
    assert search.suggest("tune-3") is None


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
    assert not search.halted
    assert search.suggest("tune")["trial_id"] == "resnet50_scratch-000"


WHOLE = {"resources": {"CPU": 1, "GPU": 1.0}}


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
    search._halt("cnn", "one bug")
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
    assert not search.halted


def test_the_family_with_the_least_device_time_proposes_next(recorder: Recorder) -> None:
    search = make_search(recorder, by_device_time=True)
    for seconds in (50.0, 5.0):
        run_one(search, recorder, seconds=seconds)
    assert search.suggest("a")["trial_id"] == "resnet50_scratch-001"
    assert search.suggest("b")["trial_id"] == "resnet50_scratch-002"  # 5 + 5 is still the least


def test_a_running_trial_counts_at_what_such_a_trial_takes(recorder: Recorder) -> None:
    search = make_search(recorder, by_device_time=True)
    for seconds in (40.0, 30.0):
        run_one(search, recorder, seconds=seconds)
    assert search.suggest("a")["trial_id"] == "resnet50_scratch-001"  # from now on 30 + 30
    assert search.suggest("b")["trial_id"] == "cnn-001"


@pytest.mark.parametrize("cut", [None, 1])
def test_what_optuna_learns_of_an_ended_trial_is_what_it_was_told(
    recorder: Recorder, cut: int | None
) -> None:
    search = make_search(recorder, trials=6, first_cut=lambda _: cut)
    for epochs in (EPOCHS, EPOCHS, 2, 1):
        run_one(search, recorder, epochs=epochs)
    for kind in ("error", "error"):  # twice the same trial: it has failed
        fail_one(search, recorder, kind)
    diverged = search.suggest("tune")["trial_id"]
    recorder.epoch(diverged, row_of(1, 0.9))
    search.on_trial_complete("tune", {"diverged": "the loss is nan"})
    again = make_search(recorder, trials=6, first_cut=lambda _: cut)
    for record in recorder.trials.values():
        again.go_on_with(record)
    states = set()
    for name, study in search.studies.items():
        told = [vars(trial) for trial in study.get_trials()]
        learned = [vars(trial) for trial in again.studies[name].get_trials()]
        left_out = {"_trial_id", "datetime_start", "_datetime_start", "datetime_complete"}
        for one, other in zip(told, learned, strict=True):
            assert {k: v for k, v in one.items() if k not in left_out and "attrs" not in k} == {
                k: v for k, v in other.items() if k not in left_out and "attrs" not in k
            }
            states.add(one["state"].name)
    assert states == {"PRUNED", "FAIL", *(() if cut else ("COMPLETE",))}


def test_the_same_seed_proposes_the_same_trials(recorder: Recorder) -> None:
    first = [run_one(make_search(recorder), recorder)["params"]]
    recorder.trials.clear()
    recorder._tallies.clear()
    again = [run_one(make_search(recorder), recorder)["params"]]
    assert first == again


def test_a_family_does_not_repeat_its_points(recorder: Recorder) -> None:
    search = make_search(recorder, trials=8)
    rates = {run_one(search, recorder)["params"]["learning_rate"] for _ in range(16)}
    assert len(rates) == 15  # two baselines share theirs


@pytest.mark.parametrize(
    ("epochs", "state", "values"),
    [(3, TrialState.COMPLETE, 3), (1, TrialState.PRUNED, 1)],
)
def test_optuna_is_told_complete_or_pruned_with_values(
    recorder: Recorder, epochs: int, state: TrialState, values: int
) -> None:
    search = make_search(recorder)
    run_one(search, recorder, epochs=epochs)
    told = search.studies["cnn"].trials[0]
    assert told.state == state
    assert len(told.intermediate_values) == values


def test_a_diverged_trial_is_pruned_without_values_so_that_tpe_ranks_it_last(
    recorder: Recorder,
) -> None:
    search = make_search(recorder)
    search.suggest("tune")
    search.on_trial_complete("tune", {"done": True, "diverged": "the loss is nan"})
    told = search.studies["cnn"].trials[0]
    assert (told.state, told.intermediate_values, told.value) == (TrialState.PRUNED, {}, None)
    assert recorder.trials["cnn-000"].status == "diverged"


def test_tpe_ranks_a_diverged_trial_below_every_other(recorder: Recorder) -> None:
    search = make_search(recorder, trials=6)
    ended = {"cnn": 0}
    while ended["cnn"] < 6:
        config = search.suggest("tune")
        if config["family"] == "cnn":
            ended["cnn"] += 1
        if config["trial_id"] == "cnn-002":
            search.on_trial_complete("tune", {"done": True, "diverged": "the loss is nan"})
            continue
        recorder.epoch(config["trial_id"], row_of(1, 0.1))
        recorder.trials[config["trial_id"]].stopping = True
        search.on_trial_complete("tune", {"epoch": 1})
    study = search.studies["cnn"]
    others, worst = _split_trials(study, study.trials, n_below=5)
    assert [trial.number for trial in worst] == [2]
    assert len(others) == 5


def test_a_baseline_under_a_cutoff_is_told_as_pruned_there(recorder: Recorder) -> None:
    search = make_search(recorder, first_cut=lambda _: 2)
    run_one(search, recorder)
    told = search.studies["cnn"].trials[0]
    assert told.state == TrialState.PRUNED
    assert sorted(told.intermediate_values) == [1, 2]
    assert recorder.trials["cnn-000"].status == "completed"


def test_a_baseline_outside_a_narrowed_space_runs_but_optuna_is_not_told(
    recorder: Recorder,
) -> None:
    search = make_search(recorder, plans=plans_of("space.cnn.learning_rate=1e-3..1e-2"))
    assert run_one(search, recorder)["params"]["learning_rate"] == 1e-4
    assert search.studies["cnn"].trials == []


def test_an_attempt_owed_comes_before_a_new_trial(recorder: Recorder) -> None:
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


def one_family(recorder: Recorder, trials: int = 40) -> FamilySearch:
    return make_search(recorder, trials=trials, plans=plans_of()[:1])


def test_f8_three_trials_in_a_row_with_one_bug_stop_their_family_and_the_others_go_on(
    recorder: Recorder,
) -> None:
    search = make_search(recorder)
    for _ in range(2):
        assert fail_for_good(search, recorder) == "cnn"
        run_one(search, recorder)
    assert not search.halted
    fail_for_good(search, recorder)
    assert search.halted == {"cnn": "ValueError: 1 (model.py:7)"}
    rest = [run_one(search, recorder)["family"] for _ in range(2)]
    assert set(rest) == {"resnet50_scratch"}
    assert search.suggest("tune") == "FINISHED"


def test_f8_healed_errors_and_other_bugs_do_not_stop_a_family(recorder: Recorder) -> None:
    search = one_family(recorder)
    for _ in range(6):
        fail_one(search, recorder, "error", "the network is gone")
        run_one(search, recorder)
    for bug in ("model.py:7", "model.py:7", "data.py:3", "model.py:7"):
        fail_for_good(search, recorder, bug)
    run_one(search, recorder)  # gets further than any of them
    for _ in range(2):
        fail_for_good(search, recorder)
    assert not search.halted


def test_f8_trials_that_are_stopped_before_they_meet_the_bug_do_not_hide_it(
    recorder: Recorder,
) -> None:
    search = one_family(recorder)
    fail_for_good(search, recorder)
    fail_for_good(search, recorder)
    for number in range(3):
        assert not search.halted, number
        run_one(search, recorder, epochs=0)
    assert list(search.halted) == ["cnn"]


def test_f8_five_failures_in_a_row_stop_a_family_whatever_they_are(recorder: Recorder) -> None:
    search = one_family(recorder)
    for number in range(5):
        assert not search.halted
        fail_for_good(search, recorder, f"model.py:{number}")
    assert search.halted["cnn"].startswith("5 trials in a row failed, the last by ValueError")


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


def test_trials_that_tune_has_left_are_owed_another_attempt(recorder: Recorder) -> None:
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


def test_listed_trials_come_in_order_and_keep_their_last_result(recorder: Recorder) -> None:
    specs = [spec_of("cnn-001"), spec_of("cnn-002")]
    queue = ListedTrials(recorder, specs, epochs=1, max_attempts=1)
    for spec in specs:
        assert queue.suggest("tune")["trial_id"] == spec.trial_id
        recorder.epoch(spec.trial_id, row_of(1, 0.5))
        queue.on_trial_complete("tune", {"epoch": 1, "test_loss": 0.3})
        assert recorder.trials[spec.trial_id].final["test_loss"] == 0.3
    assert queue.suggest("tune") == "FINISHED"
