"""Weights that a study keeps of each family's winner: those of the best seed and the others.

The best seed's are in `winners/<family>/`, the others' in `winners/<family>/seeds/<seed>/`, so that
a model is there once. Weights come before the record that names them, and what is kept of a seed is
found by that record and its hash: a driver killed in between does the same again.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.results import files
from orchestrator.results.kept_weights import CONFIG, MODEL, SEEDS, seed_folder, winner_folder
from orchestrator.results.rows import FinalRow, tested
from trainables import checkpoints
from trainables.epoch_rows import objective
from trainables.trial_files import BEST_WEIGHTS, checkpoint_folder
from trainables.weights.loading import file_sha256

# What tells weights from those of another training.
TRAINING: Final = ("trial_id", "seed", "epoch", "train_images", "params")


def keep_winners(folder: Path, rows: Sequence[FinalRow], classes: Sequence[str]) -> None:
    """Keeps the weights of each tuned family's winner at its largest fraction, of every seed.

    Of a seed that was trained before a finished study was extended, whose checkpoints are gone, the
    weights kept then are taken; where there are none, none are kept.
    """
    for best, *others in _by_family(rows):
        family = best["family"]
        for row in others:  # first: the best one may take the place of one of them
            _keep(folder, row, classes, seed_folder(folder, family, row["seed"]))
        _keep(folder, best, classes, winner_folder(folder, family))
        _remove_all_but(winner_folder(folder, family) / SEEDS, (str(row["seed"]) for row in others))


def without_weights(folder: Path, rows: Sequence[FinalRow]) -> list[str]:
    """The trainings that are the best of their family and whose weights are nowhere any more."""
    best = [first for first, *_ in _by_family(rows)]
    return [row["trial_id"] for row in best if _source(folder, row) is None]


def _by_family(rows: Sequence[FinalRow]) -> Iterator[list[FinalRow]]:
    """Each tuned family's rows at its largest fraction, the best on validation first."""
    tuned = [row for row in rows if row["role"] == "tuned"]
    for family in sorted({row["family"] for row in tuned}):
        own = [row for row in tuned if row["family"] == family]
        largest = max(row["train_fraction"] for row in own)
        yield sorted(
            (row for row in own if row["train_fraction"] == largest),
            key=lambda row: (-objective(row), row["validation_loss"], row["seed"]),
        )


def _source(folder: Path, row: FinalRow, *first: Path) -> Path | None:
    """The file of a training's weights: that of its checkpoints, or what was kept of them."""
    source = checkpoint_folder(folder, row["trial_id"]) / BEST_WEIGHTS
    if source.exists():
        return source
    family, record = row["family"], _record(row)
    places = (*first, winner_folder(folder, family), seed_folder(folder, family, row["seed"]))
    return next((each / MODEL for each in places if _has(each, record)), None)


def _record(row: FinalRow) -> dict[str, Any]:
    known: Mapping[str, Any] = row
    return {
        **{name: known[name] for name in ("family", "trial_id", "seed", "epoch", "train_images")},
        "params": json.loads(row["params_json"]),
    }


def _keep(folder: Path, row: FinalRow, classes: Sequence[str], target: Path) -> None:
    """Keeps a training's weights, and what they are, in a folder; nothing where they are gone."""
    record, source = _record(row), _source(folder, row, target)
    if source is None or source.parent == target:
        return
    target.mkdir(parents=True, exist_ok=True)
    checkpoints.link(source, target / MODEL)
    card = {
        **record,
        "weights_sha256": file_sha256(target / MODEL),
        "classes": list(classes),
        **tested(row),
    }
    files.write_text(target / CONFIG, json.dumps(card, indent=2) + "\n")


def _has(place: Path, record: Mapping[str, object]) -> bool:
    """Whether a folder has the weights of a training, whole."""
    try:
        kept = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        same = all(kept[name] == record[name] for name in TRAINING)
        return same and file_sha256(place / MODEL) == kept["weights_sha256"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False  # missing, or damaged, which counts as that


def _remove_all_but(folder: Path, names: Iterable[str]) -> None:
    """Removes what a folder has of seeds that are kept elsewhere by now, or asked for no more."""
    kept = set(names)
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not kept:
        folder.rmdir()
