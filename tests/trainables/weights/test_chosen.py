"""Weights of several families: what names them, and what is recorded of them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_record import record
from safetensors.numpy import save_file

from trainables.weights.chosen import ChosenWeights
from trainables.weights.loading import locate
from trainables.weights.names import by_family
from trainables.weights.sources import source_of


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("imagenet", None),
        ("/a/b.pth", None),
        ("/a=b/c.pth", None),
        ("cnn=a.pth", {"cnn": "a.pth"}),
        (
            "resnet50_transfer=/x/a=1.pth,timm/vit_tiny.augreg@frozen=b.safetensors",
            {"resnet50_transfer": "/x/a=1.pth", "timm.vit_tiny.augreg@frozen": "b.safetensors"},
        ),
    ],
)
def test_weights_are_one_file_or_one_of_each_family(
    text: str, named: dict[str, str] | None
) -> None:
    assert by_family(text) == named


@pytest.mark.parametrize("text", ["a=x.pth,y.pth", "a=x.pth,a=y.pth", "timm/r=x,timm.r=y"])
def test_a_text_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="weights must"):
        by_family(text)


def test_a_file_whose_name_looks_like_families_is_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cnn=1.pth").touch()
    assert by_family("cnn=1.pth") is None


def test_one_file_is_recorded_as_before_and_several_each_with_its_hash(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({name: np.zeros(1, np.float32)}, tmp_path / f"{name}.safetensors")
    a, b = (locate(str(tmp_path / f"{name}.safetensors")) for name in ("a", "b"))
    one = ChosenWeights(files={"x": a, "y": a})
    assert one.to_json() == {"name": "a.safetensors", "sha256": a.sha256, "own_words": {}}
    assert one.sha256 == a.sha256
    read = one.read()
    assert read["x"] is read["y"]
    several = ChosenWeights(files={"x": a, "y": b})
    swapped = ChosenWeights(files={"x": b, "y": a})
    assert len({several.sha256, swapped.sha256, a.sha256, b.sha256}) == 4
    own = record({"weights": several.to_json()}, weights="x=a,y=b").weights_of("y")
    assert own.sha256 == b.sha256
    assert source_of(own, demo=False).origin.startswith("the file b.safetensors")
    assert record({"weights": one.to_json()}).weights_of("y").sha256 == a.sha256
    both = several.read()
    assert [sorted(each) for each in both.values()] == [["a"], ["b"]]


@pytest.mark.parametrize("text", ["ImageNet-21k", '{"images": 3}', "[]"])
def test_a_file_that_says_pretraining_in_its_own_words_is_not_taken_for_the_demos(
    text: str,
) -> None:
    own = SimpleNamespace(name="w.safetensors", sha256="0", own_words={"pretraining": text})
    assert source_of(own, demo=False).origin.startswith("the file w.safetensors")


def test_a_file_that_changes_after_it_was_hashed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": np.ones(2)}, path)
    chosen = ChosenWeights(files={"mine": locate(str(path))})
    save_file({"a": np.zeros(2)}, path)
    with pytest.raises(ValueError, match="must stay while it is read, but its SHA-256 was"):
        chosen.read()
