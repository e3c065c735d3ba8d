"""Whose weights are kept: of each winner those of every seed, whatever was killed or extended."""

import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.results import files
from orchestrator.results.schema import parameter_columns
from orchestrator.run.winners import keep_winners
from trainables import checkpoints
from trainables.trial_files import BEST_WEIGHTS, checkpoint_folder
from trainables.weights.loading import file_sha256

CLASSES = ("a", "b")


def row_of(seed: int, accuracy: float, *, fraction: float = 1.0, **more: Any) -> dict[str, Any]:
    """A row of `final.parquet`."""
    return {
        "family": "cnn",
        "role": "tuned",
        "trial_id": f"cnn-tuned-s{seed}-f{fraction:g}",
        "seed": seed,
        "train_fraction": fraction,
        "train_images": 10,
        "epoch": 1,
        "validation_accuracy": accuracy,
        "validation_loss": 1.0,
        **dict.fromkeys(("test_loss", "test_accuracy", "test_precision", "test_recall"), 0.5),
        **parameter_columns({"width": 32}),
        **more,
    }


def train(folder: Path, rows: Sequence[Mapping[str, Any]], weights: str = "weights") -> None:
    """Leaves what the finals leave; the checkpoints of all others are gone."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    for row in rows:
        place = checkpoint_folder(folder, row["trial_id"])
        place.mkdir(parents=True)
        (place / BEST_WEIGHTS).write_text(f"{weights} of {row['trial_id']}")


def kept(folder: Path) -> dict[str, str]:
    """Place to the weights that are kept there, held against what is said of them."""
    found = {}
    for path in sorted((folder / "winners").rglob("config.json")):
        record, weights = json.loads(path.read_text()), path.parent / "model.safetensors"
        assert record["weights_sha256"] == file_sha256(weights)
        assert record["trial_id"] == weights.read_text().split()[-1]
        found[str(path.parent.relative_to(folder / "winners"))] = weights.read_text()
    models = list((folder / "winners").rglob("*.safetensors"))
    assert len(models) == len(found)
    return found


@pytest.mark.parametrize(("losses", "best"), [((1.0, 2.0), 0), ((2.0, 1.0), 1)])
def test_the_best_seed_on_validation_is_the_winner_and_the_others_are_beside_it(
    tmp_path: Path, losses: tuple[float, float], best: int
) -> None:
    rows = [
        row_of(seed, accuracy, fraction=fraction, validation_loss=losses[seed])
        for fraction, accuracy in ((0.5, 0.9), (1.0, 0.8))
        for seed in (0, 1)
    ]
    train(tmp_path, rows)
    keep_winners(tmp_path, rows, CLASSES)
    assert kept(tmp_path) == {
        "cnn": f"weights of cnn-tuned-s{best}-f1",
        f"cnn/seeds/{1 - best}": f"weights of cnn-tuned-s{1 - best}-f1",
    }
    card = json.loads((tmp_path / "winners/cnn/config.json").read_text())
    assert (card["seed"], card["params"], card["classes"]) == (best, {"width": 32}, ["a", "b"])


def test_a_single_seed_has_nothing_beside_it(tmp_path: Path) -> None:
    train(tmp_path, [row_of(0, 0.5)])
    keep_winners(tmp_path, [row_of(0, 0.5)], CLASSES)
    assert kept(tmp_path) == {"cnn": "weights of cnn-tuned-s0-f1"}
    assert not (tmp_path / "winners/cnn/seeds").exists()


class Killed(BaseException):
    """The driver is gone."""


BEFORE = [row_of(0, 0.9), row_of(1, 0.8)]
BETTER = [row_of(2, 0.95)]
# A winner that was re-trained after its predictions were lost may come out worse.
WORSE = [row_of(0, 0.7)]
OTHER = [row_of(seed, 0.5, **parameter_columns({"width": 64})) for seed in (0, 1)]


def mortal(patch: pytest.MonkeyPatch, at: int) -> None:
    """Has the driver die at one of the moments at which the disk changes."""
    moments = itertools.count(1)

    def changing(change: Callable[..., None]) -> Callable[..., None]:
        def changes(*given: Any) -> None:
            if next(moments) == at:
                raise Killed
            change(*given)

        return changes

    for module, name in ((checkpoints, "link"), (files, "write_text"), (shutil, "rmtree")):
        patch.setattr(module, name, changing(getattr(module, name)))


def killed(folder: Path, rows: Sequence[Mapping[str, Any]], at: int) -> bool:
    """Whether a driver that is to die at a moment comes that far."""
    with pytest.MonkeyPatch.context() as patch:
        mortal(patch, at)
        try:
            keep_winners(folder, rows, CLASSES)
        except Killed:
            return True
    return False


@pytest.mark.parametrize(
    ("trained", "after", "expected"),
    [
        (BETTER, [*BEFORE, *BETTER], {"cnn": 2, "cnn/seeds/0": 0, "cnn/seeds/1": 1}),
        (WORSE, [*WORSE, BEFORE[1]], {"cnn": 1, "cnn/seeds/0": 0}),
        (OTHER, OTHER, {"cnn": 0, "cnn/seeds/1": 1}),
    ],
    ids=["a better seed more", "the best seed is trained again, and worse", "another winner"],
)
def test_an_extended_study_killed_at_any_moment_has_the_weights_of_all_seeds(
    tmp_path: Path,
    trained: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    expected: Mapping[str, int],
) -> None:
    new = {row["seed"] for row in trained}
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        train(folder, BEFORE, "old")
        keep_winners(folder, BEFORE, CLASSES)
        train(folder, trained, "new")
        was_killed = killed(folder, after, at)
        keep_winners(folder, after, CLASSES)
        assert kept(folder) == {
            place: f"{'new' if seed in new else 'old'} of cnn-tuned-s{seed}-f1"
            for place, seed in expected.items()
        }
        if not was_killed:
            break
    assert at > 4


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("config.json", text) for text in (b"", b"[1]", b'{"trial_id": "cnn-tuned-s0-f1"}')),
        ("model.safetensors", b"others of cnn-tuned-s0-f1"),
    ],
)
def test_of_a_seed_whose_files_are_damaged_nothing_is_taken_on(
    tmp_path: Path, name: str, damage: bytes
) -> None:
    train(tmp_path, BEFORE)
    keep_winners(tmp_path, BEFORE, CLASSES)
    train(tmp_path, BETTER)
    (tmp_path / "winners/cnn" / name).write_bytes(damage)
    keep_winners(tmp_path, [*BEFORE, *BETTER], CLASSES)
    assert set(kept(tmp_path)) == {"cnn", "cnn/seeds/1"}
