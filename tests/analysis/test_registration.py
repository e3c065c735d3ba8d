"""What is answered to registered questions."""

from made_up_study import ComparedStudy

from orchestrator.analysis.registration import registration_sections
from orchestrator.results.study_record import Question

GAINS = [Question.of((f, "tuned"), (f, "baseline"), 1.0) for f in ("cnn", "resnet50_scratch")]


def test_a_winner_that_is_its_own_baseline_is_said_to_be_one_training_with_it() -> None:
    asked = {"questions": [each.model_dump() for each in GAINS], "sha256": "ab" * 32}
    study = ComparedStudy(
        families=("cnn", "resnet50_scratch"),
        identical=("cnn",),
        entries={"registration": {**asked, "alpha": 0.05, "registered_at": "2026-05-04T11:00:00Z"}},
    )
    (section,) = registration_sections(study.record(), study.compared())
    same, other = section.table["answer"]
    assert same == "both are one training: the baseline won"
    assert "one training" not in other
