"""Before the first epoch the plan says what it will be able to tell apart, and what it assumes."""

import re
from pathlib import Path

import numpy as np
import pytest
from made_up_study import MadeUpStudy

from orchestrator.config.settings import Settings
from orchestrator.plan import resolution as plan
from orchestrator.plan.resolution import resolution
from orchestrator.stats import power
from orchestrator.stats.predictions import split_runs, tuned_hits
from trainables.data.dataset import LabeledImages, OpenedDataSet

FILES = {"data.bin": "ab" * 32}  # of the made-up studies


def closed() -> LabeledImages:
    pytest.fail("a part of the data was decoded")


def data(test_images: int | None = 1000, files: dict[str, str] = FILES) -> OpenedDataSet:
    counts = None if test_images is None else (4000, test_images)
    return OpenedDataSet(
        classes=("a", "b"),
        files=files,
        read_training=closed,
        read_test=closed,
        image_counts=counts,
    )


def settings(results_dir: Path, **more: object) -> Settings:
    return Settings(dataset="cifar10", results_dir=str(results_dir), **more)


def points(sentence: str | None) -> float:
    found = re.search(r"differ by ([\d.]+) points", sentence or "")
    assert found is not None, sentence
    return float(found[1])


def test_without_an_earlier_study_the_noise_is_assumed_and_the_assumption_said(tmp_path) -> None:
    sentence = resolution(settings(tmp_path), data())
    noise = power.assumed(disagreement=plan.DISAGREEMENT, seed_noise=plan.SEED_NOISE)
    expected = 100 * power.outlook(noise, seeds=3, images=1000).smallest
    assert points(sentence) == pytest.approx(expected, abs=0.05)
    assert sentence.startswith("3 seeds and 1,000 test images separate two models")
    assert "(80% power; seed noise of 0.6 points assumed, as are 20% of the images" in sentence


def test_more_seeds_and_more_images_tell_smaller_differences_apart(tmp_path) -> None:
    least = points(resolution(settings(tmp_path), data()))
    assert points(resolution(settings(tmp_path, seeds=5), data())) < least
    assert points(resolution(settings(tmp_path), data(test_images=10_000))) < least


def test_one_seed_speaks_of_trained_networks(tmp_path) -> None:
    sentence = resolution(settings(tmp_path, seeds=1), data())
    assert sentence.startswith("1 seed and 1,000 test images separate two trained networks that")
    assert "takes 2 seeds to see" in sentence


def test_where_no_difference_could_be_told_apart_the_plan_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(plan, "SEED_NOISE", 0.3)
    assert "separate no two models (80%" in resolution(settings(tmp_path, seeds=2), data())


def test_a_study_whose_models_say_one_class_each_time_measures_no_noise(tmp_path) -> None:
    study = MadeUpStudy()
    for scores in study.runs.values():
        scores[:] = np.eye(4)[0]
    study.write(tmp_path / "earlier")
    assert "assumed" in resolution(settings(tmp_path), data())


def test_where_only_decoding_tells_how_many_images_there_are_nothing_is_said(tmp_path) -> None:
    assert resolution(settings(tmp_path), data(test_images=None)) is None


def test_the_noise_is_that_of_the_latest_study_on_the_same_data_that_shows_some(tmp_path) -> None:
    study = MadeUpStudy(seed_effect=0.01)
    study.write(tmp_path / "earlier")
    begun = {"started_at": "2030-01-01T00:00:00+00:00"}
    MadeUpStudy(seeds=1, entries=begun).write(tmp_path / "of one seed")
    MadeUpStudy(finished=False, entries=begun).write(tmp_path / "running")
    MadeUpStudy(families=("cnn",), entries=begun).write(tmp_path / "of one family")
    other = MadeUpStudy(entries=begun)
    other.dataset = "digits"
    other.write(tmp_path / "on digits")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{")
    sentence = resolution(settings(tmp_path), data())
    hits = tuned_hits(split_runs(study.predictions()))
    best = sorted(hits.values(), key=lambda each: -each.mean())[:2]
    noise = power.measure(*best)
    expected = 100 * power.outlook(noise, seeds=3, images=1000).smallest
    assert points(sentence) == pytest.approx(expected, abs=0.05)
    assert f"seed noise of {100 * noise.seed_noise:.1f} points as in earlier)" in sentence
    assert "assumed" in resolution(settings(tmp_path), data(files={"other.bin": "cd" * 32}))
