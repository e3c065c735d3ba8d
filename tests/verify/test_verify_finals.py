"""Verify finds what is inconsistent in the finals, predictions and comparison, and names it."""

from pathlib import Path

import pytest
from tampering import Inconsistency, again, alter, drop, entry, file, gone

TUNED = {"role": "tuned", "seed": 0}
BASELINE = {"role": "baseline", "seed": 1}
ONE_IMAGE = {**TUNED, "image_index": 7}
PAIR = "accuracy of curve baseline - curve tuned, fraction 1, all seeds"


FINALS = [
    Inconsistency(
        "a final's row is missing",
        drop("final", **TUNED),
        "curve tuned seed 0 fraction 1 must be in final.parquet, but is missing",
    ),
    Inconsistency(
        "a final's row is there twice",
        again("final", TUNED),
        "curve tuned seed 0 fraction 1 must be one row of final.parquet, but is 2",
    ),
    Inconsistency(
        "a final that nobody asked for",
        again("final", TUNED, seed=2),
        "curve tuned seed 2 fraction 1 must not be in final.parquet",
    ),
    Inconsistency(
        "a final's epoch is not the best",
        alter("final", TUNED, epoch=2),
        "epoch of curve tuned seed 0 fraction 1 must be 4 as in its epochs, but is 2",
    ),
    Inconsistency(
        "a final was trained with other hyperparameters",
        alter("final", BASELINE, params_json='{"fault": "none", "skill": 0.51}'),
        "curve baseline seed 1 fraction 1 must be trained with",
    ),
    Inconsistency(
        "a final was trained on other images",
        alter("final", TUNED, train_images=lambda count: count + 1),
        "train_images of curve tuned seed 0 fraction 1 must be",
    ),
    Inconsistency(
        "a final's epoch is missing",
        drop("final_epochs", trial_id="curve-tuned-s0-f1", epoch=1),
        "the epochs of curve-tuned-s0-f1 in final_epochs.parquet must run from 1, but are [2, 3",
    ),
    Inconsistency(
        "a final's last epoch is missing",
        drop("final_epochs", trial_id="curve-tuned-s0-f1", epoch=4),
        "curve tuned seed 0 fraction 1 must have 4 epochs, but has 3",
    ),
    Inconsistency(
        "epochs of a final that nobody asked for",
        alter("final_epochs", {"trial_id": "curve-tuned-s0-f1"}, trial_id="curve-tuned-s7-f1"),
        "curve-tuned-s7-f1 has final epochs, but the choice does not ask for it",
    ),
    Inconsistency(
        "an epoch is said to be of another seed",
        alter("final_epochs", {"trial_id": "curve-tuned-s0-f1", "epoch": 2}, seed=1),
        "trial_id of epoch 2 of curve-tuned-s0-f1 in final_epochs.parquet must be curve-tuned-s1",
    ),
    Inconsistency(
        "a sequence number of the finals is there twice",
        again("final_epochs", {"sequence": "{last_final}"}, epoch=5),
        "sequence {last_final} must be in final_epochs.parquet once, but is 2 times",
    ),
    Inconsistency(
        "a final's hyperparameters are others in their columns",
        alter("final", TUNED, param_skill=0.11),
        "param_skill of curve tuned seed 0 fraction 1 must be",
    ),
    Inconsistency(
        "a final's training time is another",
        alter("final", TUNED, train_seconds=99.0),
        "train_seconds of curve tuned seed 0 fraction 1 must be 0.0, but is 99.0",
    ),
    Inconsistency(
        "a test accuracy is another",
        alter("final", BASELINE, test_accuracy=0.99),
        "test_accuracy of curve baseline seed 1 fraction 1 must be {test_accuracy} as predicted",
    ),
    Inconsistency(
        "a test loss is another",
        alter("final", BASELINE, test_loss=lambda loss: loss + 1e-5),
        "test_loss of curve baseline seed 1 fraction 1 must be",
    ),
    Inconsistency(
        "the metrics of the last epoch are others",
        alter("final", BASELINE, test_recall_last_epoch=0.99),
        "test_recall_last_epoch of curve baseline seed 1 fraction 1 must be",
    ),
    Inconsistency(
        "a prediction is another",
        alter("predictions", ONE_IMAGE, predicted=lambda label: (label + 1) % 10),
        "curve tuned seed 0 fraction 1 must have predicted the most probable class, but has not "
        "at image 7",
    ),
    Inconsistency(
        "a probability is another",
        alter("predictions", ONE_IMAGE, probabilities=lambda p: [*p[:-1], p[-1] + 0.001]),
        "curve tuned seed 0 fraction 1 must have probabilities that sum to 1, but has not at "
        "image 7",
    ),
    Inconsistency(
        "a label is another",
        alter("predictions", ONE_IMAGE, label=lambda label: (label + 1) % 10),
        "curve tuned seed 0 fraction 1 must be tested on the same labels as the others",
    ),
    Inconsistency(
        "a prediction is missing",
        drop("predictions", **ONE_IMAGE),
        "curve tuned seed 0 fraction 1 must have one prediction for each of 360 images",
    ),
    Inconsistency(
        "a final without predictions",
        drop("predictions", **TUNED),
        "curve tuned seed 0 fraction 1 must have predictions, but has none",
    ),
    Inconsistency(
        "predictions of a final that is not there",
        alter("predictions", TUNED, seed=7),
        "curve tuned seed 7 fraction 1 has predictions, but is not in final.parquet",
    ),
    Inconsistency(
        "a label that no class has",
        alter("predictions", ONE_IMAGE, label=10),
        "curve tuned seed 0 fraction 1 must have labels from 0 to 9, but has others",
    ),
    Inconsistency(
        "a probability is missing",
        alter("predictions", ONE_IMAGE, probabilities=lambda p: p[:-1]),
        "curve tuned seed 0 fraction 1 must have a probability for each of 10 classes everywhere",
    ),
    Inconsistency(
        "a winner's weights are others",
        file("winners/curve/model.safetensors", b"x"),
        "the kept weights of the winner of curve must have SHA-256",
    ),
    Inconsistency(
        "a winner's card speaks of another run",
        entry("trial_id", value="curve-tuned-s7-f1", file="winners/curve/config.json"),
        "trial_id of the kept winner of curve must be curve-tuned-s",
    ),
    Inconsistency(
        "a winner's weights are missing",
        gone("winners/curve/model.safetensors"),
        "the winner of curve must be kept with its model.safetensors, but that is missing; restore "
        "them from a copy, or go on, which trains that final again: python -m",
    ),
    Inconsistency(
        "a winner's card is none",
        file("winners/curve/config.json", b"[1]"),
        "winners/curve/config.json must be as a study writes it, but is not",
    ),
    Inconsistency(
        "weights of a seed beside the best are others",
        file("winners/curve/seeds/1/model.safetensors", b"x"),
        "the kept weights of the winner of curve with seed 1 must have SHA-256",
    ),
    Inconsistency(
        "weights of a seed beside the best are missing",
        gone("winners/curve/seeds/1/model.safetensors"),
        "the winner of curve with seed 1 must be kept with its model.safetensors",
    ),
    Inconsistency(
        "weights of a seed that was not trained",
        file("winners/curve/seeds/7/model.safetensors", b"x"),
        "winners/curve/seeds/7 must be of a seed beside the best",
    ),
    Inconsistency(
        "a difference of the comparison is another",
        alter("comparison", {"seed": None, "metric": "accuracy"}, difference=0.5),
        f"difference of {PAIR} must be",
    ),
    Inconsistency(
        "a p-value of the comparison is another",
        alter("comparison", {"seed": 1, "metric": "accuracy"}, p_value=0.04),
        f"p_value of {PAIR.replace('all seeds', 'seed 1')} must be",
    ),
    Inconsistency(
        "a p-value of means does not fit its interval",
        alter(
            "comparison",
            {"seed": None, "metric": "accuracy"},
            difference=0.1,
            ci_low=0.05,
            ci_high=0.2,
            p_value=0.4,
            p_value_holm=1,
        ),
        f"p_value of {PAIR} must be below 0.05 exactly where its interval excludes 0, but is 0.4",
    ),
    Inconsistency(
        "a p-value of means is not adjusted",
        alter("comparison", {"seed": None, "metric": "accuracy"}, p_value_holm=None),
        f"0 < p_value <= p_value_holm <= 1 must hold of {PAIR}, but they are",
    ),
    Inconsistency(
        "a pair of the comparison is there twice",
        again("comparison", {"seed": None, "metric": "accuracy"}),
        f"{PAIR} must be compared once, but is 2 times",
    ),
    Inconsistency(
        "a pair that nobody compared",
        again("comparison", {"seed": None, "metric": "accuracy"}, a_role="tuned"),
        f"{PAIR.replace('baseline', 'tuned')} must not be in comparison.parquet",
    ),
    Inconsistency(
        "an interval ends before it begins",
        alter("comparison", {"seed": None, "metric": "accuracy"}, ci_low=1.0),
        f"the interval of {PAIR} must not end before it begins, but does",
    ),
    Inconsistency(
        "an interval has one end",
        alter("comparison", {"seed": None, "metric": "accuracy"}, ci_low=None),
        f"the interval of {PAIR} must have two ends, but has one",
    ),
    Inconsistency(
        "a pair of the comparison is missing",
        drop("comparison", seed=None, metric="accuracy"),
        f"{PAIR} must be in comparison.parquet, but is missing",
    ),
]


@pytest.mark.parametrize("case", FINALS, ids=lambda case: case.what)
def test_verify_finds_and_names(case: Inconsistency, finished_study: Path, tmp_path: Path) -> None:
    case.must_be_found(finished_study, tmp_path)
