"""What each final run said about the test images: rows of `predictions.parquet` as arrays."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from orchestrator.results.schema import ROLES
from orchestrator.stats.bootstrap import Bools, Floats, Integers

SMALLEST = float(np.nextafter(np.float32(0), np.float32(1)))
"""The smallest positive float32: a probability of 0 is read as this, so no loss is infinite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedRun:
    """One final run on the test images, in the order of `image_index`.

    Attributes:
        seed: The number of the re-training.
        fraction: The train fraction.
        labels: The true classes, [images].
        predicted: The predicted classes, [images].
        probabilities: Of each class, fractions, [images, classes].
        images: Their `image_index`, [images]; empty where it does not matter.
        files: Their files; empty where they are none, and in older studies.
    """

    family: str
    role: str
    seed: int
    fraction: float
    labels: Integers
    predicted: Integers
    probabilities: Floats
    images: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False)
    files: Sequence[str] = ()

    @property
    def model(self) -> tuple[str, str]:
        """Family and role."""
        return self.family, self.role

    def same_images(self, other: "PredictedRun") -> bool:
        """Whether another was tested on the same images with the same labels."""
        mine, theirs = (self.images, self.labels), (other.images, other.labels)
        return all(map(np.array_equal, mine, theirs))

    @property
    def correct(self) -> Bools:
        """Whether each test image is classified correctly, [images]."""
        return np.equal(self.labels, self.predicted)

    @property
    def losses(self) -> Floats:
        """Cross-entropy of each image, [images], in nats."""
        of_label = self.probabilities[np.arange(len(self.labels)), self.labels]
        return np.asarray(-np.log(np.maximum(of_label, SMALLEST)))

    @property
    def digest(self) -> bytes:
        """Equal for two runs that said the same of the same images, and so are one training."""
        digest = hashlib.sha256()
        for array in (self.labels, self.predicted, self.losses):
            digest.update(np.asarray(array, dtype=np.float64).tobytes())
        return digest.digest()


def split_runs(predictions: pa.Table, families: Iterable[str] = ()) -> list[PredictedRun]:
    """The runs: families in this order, others as they appear, baseline first, then seeds."""
    columns = ["family", "role", "seed", "train_fraction"]
    keys = predictions.select(columns).to_pandas()
    families = list(dict.fromkeys([*families, *keys["family"]]))
    groups = keys.groupby(columns, observed=True, sort=False).indices
    order = sorted(groups, key=lambda key: (key[3], families.index(key[0]), key[1], key[2]))
    return [_run(key, predictions.take(groups[key]).sort_by("image_index")) for key in order]


def tuned_runs(runs: Sequence[PredictedRun]) -> dict[str, list[PredictedRun]]:
    """The tuned trainings at the largest share, by family."""
    largest = max((run.fraction for run in runs), default=None)
    own: dict[str, list[PredictedRun]] = {}
    for run in runs:
        if (run.role, run.fraction) == (ROLES[1], largest):
            own.setdefault(run.family, []).append(run)
    return own


def tuned_hits(runs: Sequence[PredictedRun]) -> dict[str, Bools]:
    """Whether each tuned training at the largest share is right, family to [seeds, images]."""
    tuned = tuned_runs(runs)
    return {family: np.stack([run.correct for run in own]) for family, own in tuned.items()}


def largest_share(labels: Integers) -> float:
    """What always naming the most frequent class is right on, a fraction, of labels, [images]."""
    return float(np.bincount(labels).max() / len(labels))


def repeated(runs: Sequence[PredictedRun]) -> list[PredictedRun]:
    """The tuned runs that are their family's baseline under another name: the winner is that."""
    baselines = {(r.fraction, r.family, r.seed): r for r in runs if r.role == ROLES[0]}
    return [
        run
        for run in runs
        if run.role == ROLES[1]
        and (same := baselines.get((run.fraction, run.family, run.seed))) is not None
        and np.array_equal(run.probabilities, same.probabilities)
    ]


def _run(key: tuple[str, str, int, float], table: pa.Table) -> PredictedRun:
    family, role, seed, fraction = key
    flat = table["probabilities"].combine_chunks().flatten().to_numpy()
    files: list[Any] = table["file"].to_pylist() if "file" in table.column_names else [None]
    return PredictedRun(
        family=family,
        role=role,
        seed=int(seed),
        fraction=float(fraction),
        images=table["image_index"].to_numpy(),
        labels=table["label"].to_numpy(),
        predicted=table["predicted"].to_numpy(),
        probabilities=flat.reshape(table.num_rows, -1).astype(np.float64),
        files=() if None in files else tuple(files),
    )
