"""Verify finds what is inconsistent in the tables of a search, and names it."""

from pathlib import Path

import pyarrow as pa
import pytest
from made_up_record import record
from tampering import Inconsistency, again, alter, drop, entry

from orchestrator.verify.search import check_rungs
from orchestrator.verify.tables import Tables


def half(value: float) -> float:
    return value / 2


def one_more(value: int) -> int:
    return value + 1


SEARCH = [
    Inconsistency(
        "a trial's row is missing",
        drop("trials", trial_id="{diverged}"),
        "{diverged} must be in trials.parquet, but is missing",
    ),
    Inconsistency(
        "a trial's row is there twice",
        again("trials", {"trial_id": "{winner}"}),
        "{winner} must be one row of trials.parquet, but is 2",
    ),
    Inconsistency(
        "a trial that nobody asked for",
        again("trials", {"trial_id": "{diverged}"}, trial_id="curve-009"),
        "curve-009 must not be in trials.parquet, since it is none of 9 trials a search",
    ),
    Inconsistency(
        "a trial still runs",
        alter("trials", {"trial_id": "{stopped}"}, status="running"),
        "{stopped} must have ended, but is running",
    ),
    Inconsistency(
        "a trial's hyperparameters are others",
        alter("trials", {"trial_id": "{stopped}"}, param_skill=half),
        "param_skill of {stopped} must be",
    ),
    Inconsistency(
        "a trial's hyperparameters lie outside its space",
        alter(
            "trials",
            {"trial_id": "{stopped}"},
            params_json='{"fault": "none", "skill": 2.0}',
            param_skill=2.0,
            param_fault="none",
        ),
        "skill of {stopped} must lie in 0.1..1, but is 2.0",
    ),
    Inconsistency(
        "a trial has a hyperparameter that its space has not",
        alter("trials", {"trial_id": "{winner}"}, params_json='{"depth": 3, "skill": 0.5}'),
        "{winner} must have hyperparameters of its space, but has depth too",
    ),
    Inconsistency(
        "the baseline is another",
        entry("baselines", "curve", "skill", value=0.6),
        "curve-000 must have the baseline {{'skill': 0.6, 'fault': 'none'}}",
    ),
    Inconsistency(
        "a trial's seed is another",
        alter("trials", {"trial_id": "{stopped}"}, seed=one_more),
        "seed of {stopped} must be",
    ),
    Inconsistency(
        "an epoch in the middle is missing",
        drop("epochs", trial_id="{winner}", epoch=2),
        "the epochs of {winner} in epochs.parquet must run from 1, but are [1, 3, 4]",
    ),
    Inconsistency(
        "an epoch is there twice",
        again("epochs", {"trial_id": "{winner}", "epoch": 2}, sequence=1000),
        "epoch 2 of {winner} must be in epochs.parquet once, but is 2 times",
    ),
    Inconsistency(
        "a sequence number is there twice",
        again("epochs", {"trial_id": "{winner}", "epoch": 4}, epoch=5),
        "sequence in epochs.parquet must name each row once, but has [",
    ),
    Inconsistency(
        "the sequence has a gap",
        alter("epochs", {"sequence": 2}, sequence=1000),
        "sequence in epochs.parquet must run from 1 without a gap, but lacks [2, ",
    ),
    Inconsistency(
        "epochs of a trial that is not there",
        alter("epochs", {"trial_id": "{stopped_at}"}, trial_id="curve-777"),
        "curve-777 has epochs, but is not in trials.parquet",
    ),
    Inconsistency(
        "an epoch is said to be of another family",
        alter("epochs", {"trial_id": "{winner}", "epoch": 2}, family="cnn"),
        "family of epoch 2 of {winner} must be curve, but is cnn",
    ),
    Inconsistency(
        "a trial that was stopped is said to have been completed",
        alter("trials", {"trial_id": "{stopped}"}, status="completed"),
        "{stopped} is completed, but has 1 epochs",
    ),
    Inconsistency(
        "a trial counts too few attempts",
        alter("trials", {"trial_id": "{winner}"}, attempts=0),
        "{winner} must count 1 attempts at least, but counts 0",
    ),
    Inconsistency(
        "a trial counts an epoch too many",
        alter("trials", {"trial_id": "{winner}"}, epochs_run=one_more),
        "{winner} must have 5 epochs, but has 4",
    ),
    Inconsistency(
        "a trial's best epoch is another",
        alter("trials", {"trial_id": "{winner}"}, best_epoch=1),
        "best_epoch of {winner} must be 4 as in its epochs, but is 1",
    ),
    Inconsistency(
        "a trial's validation accuracy is another",
        alter("trials", {"trial_id": "{winner}"}, validation_accuracy=0.99),
        "validation_accuracy of {winner} must be {best} as in its epochs, but is 0.99",
    ),
    Inconsistency(
        "an epoch's accuracy is a percentage",
        alter("epochs", {"trial_id": "{winner}", "epoch": 2}, train_accuracy=70.0),
        "train_accuracy in epochs.parquet must be between 0 and 1, but 1 are not: of {winner} it "
        "is 70.0",
    ),
    Inconsistency(
        "a trial that went on is said to have been stopped",
        alter("trials", {"trial_id": "{diverged}"}, status="stopped"),
        "{diverged} is stopped, but no rung of its stopped it",
    ),
    Inconsistency(
        "a trial that was stopped is said to have failed",
        alter("trials", {"trial_id": "{stopped}"}, status="failed"),
        "{stopped} is failed, but was stopped at epoch 1",
    ),
    Inconsistency(
        "a trial went on after it was stopped",
        alter("rungs", {"trial_id": "{stopped_at}", "decision": "stop"}, epoch=one_more),
        "{stopped_at} must end at epoch 2, where it was stopped",
    ),
    Inconsistency(
        "a rung's cut-off is another",
        alter("rungs", {"trial_id": "{stopped_at}", "rung": 1}, cutoff=0.01),
        "cutoff of rung 1 of {stopped_at} must be {cutoff} as in a replay, but is 0.01",
    ),
    Inconsistency(
        "a rung's decision is another",
        alter("rungs", {"trial_id": "{stopped_at}", "rung": 1}, decision="continue"),
        "decision of rung 1 of {stopped_at} must be stop as in a replay, but is continue",
    ),
    Inconsistency(
        "an arrival at a rung is missing",
        drop("rungs", trial_id="{winner}", rung=3),
        "rung 3 of {winner} must be in rungs.parquet, but is missing",
    ),
    Inconsistency(
        "an arrival at a rung is there twice",
        again("rungs", {"trial_id": "{winner}", "rung": 3}),
        "rung 3 of {winner} must be in rungs.parquet once, but is 2 times",
    ),
    Inconsistency(
        "an arrival at a rung that there is not",
        again("rungs", {"trial_id": "{stopped}"}, rung=3),
        "rung 3 of {stopped} must not be in rungs.parquet",
    ),
    Inconsistency(
        "the study has other rungs than its settings ask for",
        entry("rungs", value=[1]),
        "the rungs of study.json must be [1, 3] by its settings, but are [1]",
    ),
    Inconsistency(
        "the winner is another",
        entry("choice", "curve", "trial_id", value="curve-000"),
        "the winner of curve must be {winner} by validation, but study.json has curve-000",
    ),
    Inconsistency(
        "the winner's accuracy is another",
        entry("choice", "curve", "validation_accuracy", value=0.99),
        "validation_accuracy of the winner of curve must be {best} as that of {winner}",
    ),
    Inconsistency(
        "the choice was changed after it was frozen",
        entry("choice", "curve", "params", "skill", value=0.9),
        "the choice must have SHA-256 {frozen} as it was frozen, but has",
    ),
    Inconsistency(
        "the test part was opened twice for one choice",
        again("events", {"kind": "test_opened"}),
        "the test part must be opened once for a choice, but was 2 for {frozen}",
    ),
    Inconsistency(
        "an opening is not counted",
        again("events", {"kind": "test_opened"}, detail="of another choice"),
        "study.json must count 2 openings of the test part, not 1",
    ),
    Inconsistency(
        "the test part was never opened",
        drop("events", kind="test_opened"),
        "the test part must be opened for the choice {frozen}, but was not",
    ),
    Inconsistency(
        "a family was given up and nobody noticed",
        entry("halted", "curve", value="a made-up error"),
        "curve must have an event where it was given up, but has none",
    ),
]


@pytest.mark.parametrize(
    ("value", "decision", "sound"),
    [
        (0.3, "stop", True),
        (0.3, "continue", True),
        (0.3, "protected", False),
        (0.3, "finished", False),
        (0.29, "stop", True),
        (0.29, "continue", False),
        (0.31, "stop", False),
    ],
)
def test_only_a_tie_with_the_cutoff_may_have_been_decided_by_rounding(
    value: float, decision: str, sound: bool, tmp_path: Path
) -> None:
    cutoff = 0.1 + 0.2  # a little above 0.3
    met = [(cutoff, None, "continue"), (value, cutoff, decision)]
    keys = [{"family": "cnn", "trial_id": f"cnn-{n:03d}", "sequence": n} for n in (1, 2)]
    rungs = [
        {**key, "epoch": 1, "rung": 1, "value": value, "cutoff": cutoff, "decision": decision}
        for key, (value, cutoff, decision) in zip(keys, met, strict=True)
    ]
    rows = {
        "trials": [{**key, "role": "search"} for key in keys],
        "epochs": [{**row, "validation_accuracy": row["value"]} for row in rungs],
        "rungs": rungs,
    }
    asked = {"epochs": 9, "grace_period": 1, "reduction_factor": 3}
    study = record(**asked)
    usable = {name: pa.Table.from_pylist(some) for name, some in rows.items()}
    tables = Tables(folder=tmp_path, study=study, usable=usable, violations=[])
    assert (list(check_rungs(tables)) == []) == sound


@pytest.mark.parametrize("case", SEARCH, ids=lambda case: case.what)
def test_verify_finds_and_names(case: Inconsistency, finished_study: Path, tmp_path: Path) -> None:
    case.must_be_found(finished_study, tmp_path)
