"""What a pre-trained family starts from is said as its source says it, or as not stated."""

import json

import pytest
from made_up_inputs import add_family
from made_up_record import record
from made_up_rows import final_run, table

from orchestrator.analysis.model_size import CONVENTION, transfer_card_sections
from trainables import registry
from trainables.weights.sources import DOWNLOADS

FAMILY = "resnet50_transfer"
TUNED = {
    "input_size": 64,
    "normalization": "imagenet",
    "frozen_stages": 2,
    "dropout": 0.25,
}
WON = {"trial_id": f"{FAMILY}-001", "validation_accuracy": 0.5, "baseline_won": False}


def weights(**more):
    return {"name": "mine.safetensors", "sha256": "ab" * 32, "own_words": {}, **more}


def study(given, *, families=("cnn", FAMILY), name="mine.safetensors", **more):
    baseline = dict(registry.load_family(FAMILY).baseline)
    content = {
        "settings": {"families": list(families), "weights": name},
        "dataset": {"classes": list("abcde"), "image_shape": [32, 32, 3]},
        "weights": given,
        "baselines": {FAMILY: baseline},
        "choice": {FAMILY: {**WON, "params": {**baseline, **TUNED}}},
        **more,
    }
    return record(content)


def final(family, role, *, fraction=1.0, **more):
    size = {"parameters": 24_000_000, "trained_parameters": 23_000_000}
    more = {**size, "forward_flops_per_image": 378_000_000, **more}
    return final_run(role, 0, fraction, family, **more)


def sections(study, finals=()):
    return list(transfer_card_sections(study, table("final", finals)))


def card(study, finals=()):
    (found,) = (each for each in sections(study, finals) if each.title.startswith("Transfer card"))
    return {part: both for part, *both in found.cells()}, " ".join(found.notes)


def test_the_size_of_every_model_stands_in_one_table_with_its_convention() -> None:
    finals = [
        final("cnn", "baseline", trained_parameters=24_000_000),
        final("cnn", "baseline", fraction=0.1, parameters=1),
        final(FAMILY, "tuned"),
    ]
    sizes = sections(study(weights()), finals)[0]
    assert sizes.cells() == [
        ("cnn baseline", "24,000,000", "24,000,000", "378.0"),
        (f"{FAMILY} tuned", "24,000,000", "23,000,000", "378.0"),
    ]
    assert sizes.notes == (CONVENTION,)


def test_the_card_shows_the_network_of_the_baseline_and_of_the_winner() -> None:
    parts, _ = card(study(weights()), [final(FAMILY, "baseline"), final(FAMILY, "tuned")])
    assert parts["input size"] == [
        "48 px, resized from 32, bilinear",
        "64 px, resized from 32, bilinear",
    ]
    assert parts["normalisation"] == [
        "[0, 1], no mean or deviation",
        "imagenet: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225",
    ]
    assert parts["trained layers"][0] == "all"
    assert parts["trained layers"][1].startswith("all but the stem and stages 1 to 2 of 4")
    assert parts["head"][1] == "new: 256 units, ReLU, dropout 0.25, 5 classes"
    assert parts["forward MFLOPs per image"] == ["378.0", "378.0"]


@pytest.mark.parametrize("name", DOWNLOADS)
def test_torchvisions_weights_are_known_by_their_hash_under_any_name(name) -> None:
    url, sha256 = DOWNLOADS[name]
    _, said = card(study(weights(sha256=sha256)))
    assert url in said
    assert f"SHA-256 {sha256}" in said
    assert "trained on: ImageNet-1K." in said
    assert "licence: not stated for these weights: torchvision's README says" in said
    assert "The cost of pre-training is excluded" in said


def test_of_another_file_only_what_it_says_of_itself_is_said() -> None:
    _, silent = card(study(weights()))
    assert "trained on: not stated by its source." in silent
    assert "licence: not stated by its source." in silent
    assert "whether they have seen test images of this study" in silent
    own = {"source": "Tiny ImageNet at 32x32", "license": "CC0"}
    _, speaking = card(study(weights(own_words=own)))
    assert "trained on: Tiny ImageNet at 32x32. Their licence: CC0." in speaking
    assert "have seen test images" not in speaking


def test_the_demos_weights_are_said_to_be_generated() -> None:
    facts = {"images": 3200, "source_classes": 32, "source_task": "strokes"}
    demo = study(weights(own_words={"pretraining": json.dumps(facts)}), name="demo")
    _, said = card(demo)
    assert "made by this project on the spot" in said
    assert "3,200 generated images of 32 classes: strokes" in said
    assert "no real images" in said


def test_without_a_winner_or_a_final_there_are_dashes_and_no_number() -> None:
    parts, _ = card(study(weights(), choice={}))
    assert parts["head"] == ["new: 256 units, ReLU, dropout 0.5, 5 classes", "—"]
    assert parts["parameters"] == ["—", "—"]


def test_a_study_without_pretrained_families_has_no_card() -> None:
    only = sections(study(None, families=("cnn",)), [final("cnn", "baseline")])
    assert [each.title for each in only] == ["How large the networks are"]


@pytest.mark.parametrize("content", ["import nothing_of_this_name\n", None])
def test_a_family_whose_file_is_broken_or_gone_by_now_breaks_no_other_familys_card(
    content, tmp_path, monkeypatch
) -> None:
    if content:
        (tmp_path / "elsewhere.py").write_text(content)
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    parts, _ = card(study(weights(), families=("elsewhere", FAMILY)))
    assert parts


def test_a_family_whose_file_says_nothing_of_its_network_is_not_guessed_at(
    tmp_path, monkeypatch
) -> None:
    add_family(tmp_path / "families", monkeypatch, "mute", pretrained=True)
    baselines = {"mute": dict(registry.load_family("mute").baseline)}
    parts, _ = card(study(weights(), families=("mute", "gone"), baselines=baselines))
    assert parts["stem"] == ["not stated by the family's file", "—"]
    assert parts["input size"] == ["32 px", "—"]
