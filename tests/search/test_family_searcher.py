"""Proposals: baseline first, each family in its turn, Optuna told the honest state."""

import pytest
from ended_trials import fail_one, run_one
from family_search import EPOCHS, make_search, plans_of
from made_up_trials import row_of, spec_of
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from orchestrator.search.trial_queue import ListedTrials
from orchestrator.trials.recorder import Recorder


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
        again.resume(record)
    states = set()
    for name, study in search.studies.items():
        in_optuna = [vars(trial) for trial in study.get_trials()]
        learned = [vars(trial) for trial in again.studies[name].get_trials()]
        left_out = {"_trial_id", "datetime_start", "_datetime_start", "datetime_complete"}
        for one, other in zip(in_optuna, learned, strict=True):
            assert {k: v for k, v in one.items() if k not in left_out and "attrs" not in k} == {
                k: v for k, v in other.items() if k not in left_out and "attrs" not in k
            }
            states.add(one["state"].name)
    assert states == {"PRUNED", "FAIL", *(() if cut else ("COMPLETE",))}


def test_the_same_seed_proposes_the_same_trials(recorder: Recorder) -> None:
    first = [run_one(make_search(recorder), recorder)["params"]]
    recorder.trials.clear()
    recorder._totals.clear()
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
    in_optuna = search.studies["cnn"].trials[0]
    assert in_optuna.state == state
    assert len(in_optuna.intermediate_values) == values


def test_a_diverged_trial_is_pruned_without_values_so_that_tpe_ranks_it_last(
    recorder: Recorder,
) -> None:
    search = make_search(recorder)
    search.suggest("tune")
    search.on_trial_complete("tune", {"done": True, "diverged": "the loss is nan"})
    in_optuna = search.studies["cnn"].trials[0]
    assert (in_optuna.state, in_optuna.intermediate_values, in_optuna.value) == (
        TrialState.PRUNED,
        {},
        None,
    )
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
    in_optuna = search.studies["cnn"].trials[0]
    assert in_optuna.state == TrialState.PRUNED
    assert sorted(in_optuna.intermediate_values) == [1, 2]
    assert recorder.trials["cnn-000"].status == "completed"


def test_a_baseline_outside_a_narrowed_space_runs_but_optuna_is_not_told(
    recorder: Recorder,
) -> None:
    search = make_search(recorder, plans=plans_of("space.cnn.learning_rate=1e-3..1e-2"))
    assert run_one(search, recorder)["params"]["learning_rate"] == 1e-4
    assert search.studies["cnn"].trials == []


def test_listed_trials_come_in_order_and_keep_their_last_result(recorder: Recorder) -> None:
    specs = [spec_of("cnn-001"), spec_of("cnn-002")]
    queue = ListedTrials(recorder, specs, epochs=1, max_attempts=1)
    for spec in specs:
        assert queue.suggest("tune")["trial_id"] == spec.trial_id
        recorder.epoch(spec.trial_id, row_of(1, 0.5))
        queue.on_trial_complete("tune", {"epoch": 1, "test_loss": 0.3})
        assert recorder.trials[spec.trial_id].final["test_loss"] == 0.3
    assert queue.suggest("tune") == "FINISHED"
