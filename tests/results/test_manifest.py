"""`study.json` as its driver writes it, and the record of it that the driver's threads read."""

from pathlib import Path

from made_up_record import SETTINGS, record

from orchestrator.results import files
from orchestrator.results.manifest import Manifest

CHOICE = {
    "cnn": {"trial_id": "cnn-000", "params": {}, "validation_accuracy": 0.5, "baseline_won": True}
}


def test_after_each_addition_the_record_is_that_of_the_file(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, {"name": "mine", "settings": SETTINGS}, lambda: None)
    assert manifest.study == files.read_study(tmp_path)
    before = manifest.study
    manifest.add(choice=CHOICE, choice_sha256="ab")
    assert manifest.study == files.read_study(tmp_path)
    assert (before.choice, manifest.study.choice_sha256) == (None, "ab")


def test_reading_makes_no_record_anew_which_could_be_of_what_stood_there_before(
    tmp_path: Path,
) -> None:
    manifest = Manifest(tmp_path, {"name": "mine", "settings": SETTINGS}, lambda: None)
    assert "study" in vars(manifest)
    assert manifest.study is manifest.study


def test_a_study_of_more_than_a_million_images_can_be_kept() -> None:
    images = {"train_images": 1_281_167, "train_images_by_fraction": {"1": 1_281_167}}
    assert record({"dataset": images}).dataset.train_images_at == {1.0: 1_281_167}
