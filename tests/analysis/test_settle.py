"""What would settle it: the seeds and images that tell the two best apart, and their cost."""

import math
import shlex

import numpy as np
import pytest
from made_up_study import ComparedStudy

from orchestrator.analysis.settle import settle_table
from orchestrator.config import flags
from orchestrator.stats import power
from orchestrator.stats.predictions import split_runs

FAMILIES = ("cnn", "resnet50_scratch")
PRICES = [
    {"name": "g5", "devices": 2, "per_hour": 3.0, "currency": "USD", "source": "made up"},
    {"name": "p5", "devices": 8, "per_hour": None, "currency": "USD", "source": ""},
]


def close(*, difference, seeds=3, seed_effect=0.004, images=600, **more):
    """A study whose two tuned families differ by this in the share they are right on."""
    study = ComparedStudy(
        families=FAMILIES, seeds=seeds, test_images=images, seed_effect=seed_effect, **more
    )
    random, labels = np.random.default_rng(0), study.labels
    ease = {family: random.random(images) for family in FAMILIES}
    for (family, _, seed, _), scores in study.runs.items():
        skill = 0.7 + difference * (family == FAMILIES[0]) + seed_effect * (seed - 1)
        score = 0.9 * ease[family] + 0.1 * random.random(images)
        hit = score < np.quantile(score, skill)
        guess = np.where(hit, labels, (labels + 1) % len(study.classes))
        scores[:] = 0.1
        scores[np.arange(images), guess] = 0.7
    return study


def settled(study, p_value_holm=None):
    """What is said; where none is given, of a study compared before there was a correction."""
    rows = study.compared()
    for row in rows:
        if row["seed"] is None and row["metric"] == "accuracy":
            row.update(p_value_holm=p_value_holm)
    return settle_table(study.record(), study.final(), split_runs(study.predictions()), rows)


def test_a_study_that_has_told_the_two_best_apart_needs_nothing() -> None:
    table, sentences = settled(close(difference=0.15))
    assert (len(table), sentences) == (0, [])


def test_of_one_family_or_none_there_is_nothing_to_tell_apart() -> None:
    for families in ((), ("cnn",)):
        table, sentences = settled(ComparedStudy(families=families))
        assert (len(table), sentences) == (0, [])


def test_with_one_seed_more_of_them_come_first() -> None:
    table, sentences = settled(close(difference=0.02, seeds=1))
    assert len(table) == 0
    # Four models, two trainings more of each, of 100 device-seconds.
    assert "0.22 device-hours" in sentences[0]
    assert "--resume 'made up' --seeds 3`" in sentences[0]


def measured(study):
    """The noise and the difference of a study's two tuned families."""
    runs = split_runs(study.predictions())
    a, b = (
        np.stack([run.correct for run in runs if run.model == (name, "tuned")]) for name in FAMILIES
    )
    return power.measure(a, b), abs(a.mean() - b.mean())


def test_where_the_images_are_what_is_missing_more_of_them_would_do_and_seeds_would_not() -> None:
    study = close(difference=0.03)
    table, sentences = settled(study)
    seeds, images = table.to_dict("records")
    assert (seeds["way"], seeds["now"], images["now"]) == ("more seeds", 3, 600)
    assert all(math.isnan(seeds[name]) for name in ("needed", "half_width", "device_hours"))
    assert "More seeds alone will hardly do: with 50" in sentences[0]
    noise, difference = measured(study)
    asked = {"seeds": 3, "difference": difference}
    found = power.outlook(noise, images=int(images["needed"]), **asked)
    assert found.power == images["chance"] >= 0.8
    assert found.half_width == images["half_width"] < difference
    fewer = power.outlook(noise, images=int(0.95 * images["needed"]), **asked)
    assert fewer.power < 0.8
    # Two families of two models with three trainings of 100 device-seconds.
    assert images["device_hours"] == pytest.approx(12 * 100 / 3600)
    assert "the 600 of cifar10 are all in use" in sentences[-1]


def test_where_the_seeds_are_what_is_missing_the_command_that_adds_them_is_said() -> None:
    prices = {"forecast": {"prices": PRICES}}
    study = close(difference=0.105, images=1200, seed_effect=0.05, entries=prices)
    table, sentences = settled(study)
    seeds, images = table.to_dict("records")
    assert math.isnan(images["needed"])
    assert "No number of test images would do with 3 seeds" in sentences[-1]
    noise, difference = measured(study)
    needed = int(seeds["needed"])
    found = [power.extended(noise, seeds=n, difference=difference) for n in (needed - 1, needed)]
    assert found[0].power < 0.8 <= found[1].power
    assert seeds["chance"] == pytest.approx(found[1].power)
    hours = 4 * (needed - 3) * 100 / 3600
    assert seeds["device_hours"] == pytest.approx(hours)
    assert sentences[1].startswith(f"On g5: {hours / 2:.2g} node-hours, {hours / 2 * 3:.2g} USD")
    assert not any("p5" in sentence for sentence in sentences)
    assert "opens the test set again" in sentences[2]
    (command,) = [part for part in sentences[0].split("`") if part.startswith("python")]
    options = flags.parse(shlex.split(command)[3:])
    assert (options.resume, options.seeds) == ("made up", str(needed))


def test_what_does_not_survive_the_correction_for_all_pairs_needs_more() -> None:
    study = close(difference=0.115, images=1200, seed_effect=0.05)
    plain, corrected = (settled(study, p_value_holm=p)[0]["needed"][0] for p in (None, 0.3))
    assert corrected > plain
    clear = close(difference=0.15)
    assert len(settled(clear, p_value_holm=0.01)[0]) == 0
    table, sentences = settled(clear, p_value_holm=0.06)
    assert len(table) == 2
    assert any("corrected for 6 pairs" in sentence for sentence in sentences)


def test_a_winner_that_is_its_baseline_is_corrected_for_once() -> None:
    table, sentences = settled(close(difference=0.03, identical=FAMILIES), p_value_holm=0.3)
    assert len(table) == 2
    assert not any("corrected" in sentence for sentence in sentences)


def test_a_registered_question_is_corrected_for_what_was_registered_alone() -> None:
    study = close(difference=0.03)
    rows = [row for row in study.compared() if row["seed"] is None]
    for row in rows:
        asked = row["a_role"] == row["b_role"] == "tuned"
        row.update(p_value_holm=0.3, registered=asked)
    given = study.record(), study.final(), split_runs(study.predictions())
    assert not any("corrected" in sentence for sentence in settle_table(*given, rows)[1])
    for row in rows:
        row["registered"] = not row["registered"]
    assert not any("corrected" in sentence for sentence in settle_table(*given, rows)[1])


def test_where_one_training_is_left_all_that_were_asked_for_are_trained() -> None:
    study = close(difference=0.03, seeds=5)
    for seed in range(1, 5):
        study.drop("cnn", "tuned", seed)
    _, sentences = settled(study)
    assert sentences[0].startswith("5 seeds in place of 1 would show training noise")
    assert "--seeds 5`" in sentences[0]


def test_a_study_kept_elsewhere_is_resumed_there(tmp_path) -> None:
    study = close(difference=0.02, seeds=1, settings={"results_dir": str(tmp_path)})
    _, sentences = settled(study)
    assert f"--results-dir {tmp_path} --seeds 3" in sentences[0]


def test_what_was_not_measured_is_not_made_up() -> None:
    study = close(difference=0.08, images=1200, seed_effect=0.05, missing=("device_seconds",))
    table, sentences = settled(study)
    assert table["device_hours"].isna().all()
    assert "device-hours" not in " ".join(sentences)


def test_two_that_are_exactly_alike_are_settled_by_nothing() -> None:
    table, _ = settled(close(difference=0.0, seed_effect=0.02))
    assert table["needed"].isna().all()


def test_two_that_are_right_on_the_same_images_in_every_training_are_said_to_be() -> None:
    study = close(difference=0.0)
    (one, *_), *_ = [study.runs.values()]
    for scores in study.runs.values():
        scores[:] = one
    table, sentences = settled(study)
    assert len(table) == 0
    assert sentences == [
        "cnn and resnet50_scratch are right on the same test images in every training: no more "
        "seeds tell them apart."
    ]
