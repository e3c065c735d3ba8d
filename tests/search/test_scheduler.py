"""One ASHA per family: the weak stop, baselines go on, and every decision is a row."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from family_search import make_search
from made_up_trials import row_of, spec_of
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
)

from orchestrator.search.failures import LostActorError, classify
from orchestrator.search.ray_asha import RayRungs
from orchestrator.search.scheduler import FamilyASHA, RecordingScheduler
from orchestrator.trials.recorder import Recorder


def make_asha(recorder: Recorder, epochs: int = 9, rungs: Sequence[int] = (1, 3)) -> FamilyASHA:
    of_all = RayRungs(["cnn", "other"], rungs=rungs, epochs=epochs, reduction_factor=3)
    return FamilyASHA(recorder, of_all)


def report(asha: RecordingScheduler, trial_id: str, accuracy: float, epoch: int = 1) -> str:
    """One epoch of a trial, as Tune reports it."""
    trial = SimpleNamespace(
        config={"trial_id": trial_id, "family": trial_id.rpartition("-")[0]}, trial_id="tunes-own"
    )
    return asha.on_trial_result(None, trial, row_of(epoch, accuracy))


def start(recorder: Recorder, trial_id: str, role: str = "search") -> None:
    recorder.propose(spec_of(trial_id, role))


def test_the_weakest_of_a_rung_stops_and_the_first_arrival_survives(recorder: Recorder) -> None:
    asha = make_asha(recorder)
    answers = []
    for number, accuracy in enumerate((0.5, 0.6, 0.1)):
        start(recorder, f"cnn-{number + 1:03d}")
        answers.append(report(asha, f"cnn-{number + 1:03d}", accuracy))
    assert answers == ["CONTINUE", "CONTINUE", "STOP"]
    assert recorder.trials["cnn-003"].stopping


def test_families_do_not_share_a_bracket(recorder: Recorder) -> None:
    asha = make_asha(recorder)
    for trial_id, accuracy in (("other-001", 0.9), ("other-002", 0.95), ("cnn-001", 0.1)):
        start(recorder, trial_id)
        assert report(asha, trial_id, accuracy) == "CONTINUE"


def test_a_baseline_under_the_cutoff_goes_on_and_its_first_cut_is_known(
    recorder: Recorder,
) -> None:
    asha = make_asha(recorder)
    start(recorder, "cnn-001")
    report(asha, "cnn-001", 0.9)
    start(recorder, "cnn-000", "baseline")
    assert asha.first_cut("cnn-000") is None
    assert report(asha, "cnn-000", 0.2) == "CONTINUE"
    assert asha.first_cut("cnn-000") == 1
    assert recorder.rungs_of("cnn-000")[0]["decision"] == "protected"


def test_each_arrival_is_a_row_with_the_cutoff_it_met(recorder: Recorder) -> None:
    asha = make_asha(recorder)
    for number, accuracy in enumerate((0.5, 0.2)):
        start(recorder, f"cnn-{number:03d}")
        for epoch in (1, 2):
            report(asha, f"cnn-{number:03d}", accuracy, epoch)
    rungs = [recorder.rungs_of(name)[0] for name in ("cnn-000", "cnn-001")]
    assert [(r["rung"], r["value"], r["cutoff"], r["decision"]) for r in rungs] == [
        (1, 0.5, None, "continue"),
        (1, 0.2, 0.5, "stop"),
    ]
    assert [r["sequence"] for r in rungs] == [1, 3]


def test_an_attempt_that_goes_on_is_not_judged_again_at_rungs_it_passed(
    recorder: Recorder,
) -> None:
    asha = make_asha(recorder)
    start(recorder, "cnn-001")
    report(asha, "cnn-001", 0.5, 1)
    start(recorder, "cnn-001")  # the second attempt, under another id of Tune's
    assert report(asha, "cnn-001", 0.1, 2) == "CONTINUE"
    assert [row["rung"] for row in recorder.rungs_of("cnn-001")] == [1]


def test_rows_that_only_the_checkpoint_knew_are_recorded_before_the_new_one(
    recorder: Recorder,
) -> None:
    asha = make_asha(recorder)
    start(recorder, "cnn-001")
    trial = SimpleNamespace(config={"trial_id": "cnn-001", "family": "cnn"})
    earlier = [row_of(1, 0.5), row_of(2, 0.6)]
    asha.on_trial_result(None, trial, {**row_of(3, 0.7), "earlier_rows": earlier, "node": "here"})
    assert [row["epoch"] for row in recorder.trials["cnn-001"].rows] == [1, 2, 3]
    assert [row["rung"] for row in recorder.rungs_of("cnn-001")] == [1, 3]


@pytest.mark.parametrize("kind", ["graph_fell_back", "images_fed"])
def test_what_a_trial_tells_beside_its_columns_is_an_event_once(
    recorder: Recorder, kind: str
) -> None:
    asha = make_asha(recorder)
    start(recorder, "cnn-001")
    trial = SimpleNamespace(config={"trial_id": "cnn-001", "family": "cnn"})
    first = {**row_of(1, 0.5), kind: "whole batch: RuntimeError: it reads a value"}
    asha.on_trial_result(None, trial, first)
    asha.on_trial_result(None, trial, {**row_of(2, 0.7), "earlier_rows": [first]})
    rows = [row for row in recorder._events if row["kind"] == kind]
    assert [(row["trial_id"], row["detail"]) for row in rows] == [
        ("cnn-001", "whole batch: RuntimeError: it reads a value")
    ]


def test_a_rung_at_the_last_epoch_that_an_older_study_has_is_recorded_as_finished(
    recorder: Recorder,
) -> None:
    asha = make_asha(recorder, epochs=3)
    start(recorder, "cnn-001")
    for epoch in (1, 2):
        report(asha, "cnn-001", 0.5, epoch)
    trial = SimpleNamespace(config={"trial_id": "cnn-001", "family": "cnn"})
    asha.on_trial_complete(None, trial, {**row_of(3, 0.6), "done": True})
    assert [(r["rung"], r["decision"]) for r in recorder.rungs_of("cnn-001")] == [
        (1, "continue"),
        (3, "finished"),
    ]


def test_nothing_is_decided_at_a_rung_that_is_not_offered(recorder: Recorder) -> None:
    asha = make_asha(recorder, rungs=[1])
    for number, accuracy in enumerate((0.5, 0.6, 0.7)):
        start(recorder, f"cnn-{number + 1:03d}")
        for epoch in range(1, 9):
            # The later, the better at the first rung and the worse at all others of Ray's.
            value = accuracy if epoch == 1 else 1 - accuracy
            answer = report(asha, f"cnn-{number + 1:03d}", value, epoch)
            assert answer == "CONTINUE"
    assert [row["rung"] for row in recorder._rungs] == [1, 1, 1]


def test_a_diverged_epoch_gives_no_row_and_enters_no_rung(recorder: Recorder) -> None:
    asha = make_asha(recorder)
    start(recorder, "cnn-001")
    trial = SimpleNamespace(config={"trial_id": "cnn-001", "family": "cnn"})
    asha.on_trial_complete(None, trial, {"done": True, "diverged": "nan", "earlier_rows": []})
    assert recorder.trials["cnn-001"].rows == []
    assert recorder.rungs_of("cnn-001") == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("validation_accuracy", float("nan")),
        ("validation_accuracy", 7.5),
        ("validation_recall", -0.5),
        ("validation_loss", -1.0),
        ("train_loss", float("inf")),
    ],
)
def test_f4_what_cannot_be_measured_is_no_epoch_whatever_the_trainer_says(
    column: str, value: float, recorder: Recorder
) -> None:
    search = make_search(recorder, trials=1)
    asha = make_asha(recorder)
    config = search.suggest("tune")
    trial = SimpleNamespace(config=config, trial_id="tune")
    row = {**row_of(1, 0.5), column: value}
    assert asha.on_trial_result(None, trial, row) == "STOP"
    asha.on_trial_complete(None, trial, row)
    search.on_trial_complete("tune", row)
    record = recorder.trials["cnn-000"]
    assert (record.status, record.rows) == ("diverged", [])
    assert f"{column} must be finite" in str(record.stop_reason)


def test_the_finals_scheduler_stops_nothing(recorder: Recorder) -> None:
    scheduler = RecordingScheduler(recorder)
    for number, accuracy in enumerate((0.9, 0.5, 0.1)):
        recorder.propose(spec_of(f"cnn-{number:03d}"))
        assert report(scheduler, f"cnn-{number:03d}", accuracy) == "CONTINUE"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RayTaskError("f", "trace", ValueError("no")), "error"),
        (OSError("disk full"), "error"),
        (RayTaskError("f", "trace", torch.OutOfMemoryError("CUDA\nno")), "out_of_memory"),
        (OutOfMemoryError("the node"), "host_out_of_memory"),
        (RayTaskError("f", "trace", OutOfMemoryError("the node")), "host_out_of_memory"),
        (LostActorError(OutOfMemoryError("the node")), "host_out_of_memory"),
        (RayTaskError("f", "trace", MemoryError("no")), "host_out_of_memory"),
        (RayTaskError("f", "trace", ActorDiedError()), "process_died"),
        (ActorUnavailableError("socket closed", None), "node_lost"),
        (NodeDiedError("gone"), "node_lost"),
    ],
)
def test_failures_have_a_kind_and_one_line(error: Exception, kind: str) -> None:
    failure = classify(error)
    assert failure.kind == kind
    assert "\n" not in failure.message
