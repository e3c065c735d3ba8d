"""Made-up predictions of two models on the same images, in the files that frameworks write."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = ("bee", "cat", "dog")


@dataclass(kw_only=True)
class MadeUpPredictions:
    """A model's predictions; `skill` is how often it is right.

    Attributes:
        skill: A fraction.
        seed: Of what is random.
        images: How many.
    """

    skill: float = 0.8
    seed: int = 0
    images: int = 120

    @property
    def names(self) -> list[str]:
        """Of the images."""
        return [f"image-{number:03}.png" for number in range(self.images)]

    @property
    def labels(self) -> np.ndarray:
        """Numbers of the true classes, the same of every model."""
        return np.arange(self.images) % len(CLASSES)

    @property
    def logits(self) -> np.ndarray:
        """One number a class, [images, classes]."""
        random = np.random.default_rng(self.seed)
        logits = random.normal(size=(self.images, len(CLASSES)))
        right = random.random(self.images) < self.skill
        best = np.where(right, self.labels, (self.labels + 1) % len(CLASSES))
        logits[np.arange(self.images), best] += 5
        return logits

    @property
    def probabilities(self) -> np.ndarray:
        """Fractions, [images, classes]."""
        powers = np.exp(self.logits)
        return powers / powers.sum(axis=1, keepdims=True)

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the predicted classes."""
        return self.logits.argmax(axis=1)

    def named(self, numbers: np.ndarray) -> list[str]:
        """The classes with these numbers."""
        return [CLASSES[number] for number in numbers]

    def frame(self) -> pd.DataFrame:
        """As a table with one probability a column."""
        columns = {f"prob_{name}": self.probabilities[:, i] for i, name in enumerate(CLASSES)}
        named = {"image": self.names, "label": self.named(self.labels)}
        return pd.DataFrame({**named, "predicted": self.named(self.predicted), **columns})

    def write(self, path: Path) -> str:
        """Writes the table as CSV."""
        self.frame().to_csv(path, index=False)
        return str(path)


def write_examples(folder: Path) -> None:
    """What the pages name: two models, labels, attributes, and the images."""
    from PIL import Image

    made = MadeUpPredictions(images=300, skill=0.7)
    made.write(folder / "baseline.csv")
    better = MadeUpPredictions(images=300, skill=0.9, seed=1)
    better.write(folder / "candidate.csv")
    for seed in range(3):
        MadeUpPredictions(images=300, skill=0.9, seed=seed + 1).write(
            folder / f"new-seed{seed}.csv"
        )
    pd.DataFrame({"image": made.names, "label": made.named(made.labels)}).to_csv(
        folder / "labels.csv", index=False
    )
    np.save(folder / "a.npy", made.probabilities)
    np.savez(folder / "hf.npz", predictions=better.logits, label_ids=better.labels)
    np.savez(folder / "hf-old.npz", predictions=made.logits, label_ids=made.labels)
    patients = [f"patient-{number // 3}" for number in range(300)]
    pd.DataFrame({"image": made.names, "patient": patients, "age": np.arange(300) % 90}).to_csv(
        folder / "attributes.csv", index=False
    )
    columns = {"row": np.arange(300), "digit": made.labels, "prediction": made.predicted}
    for run in ("run-1", "run-2"):
        (folder / run).mkdir()
        table = pd.DataFrame(columns)
        table.to_json(folder / run / "eval_results_table.json", orient="split", index=False)
    (folder / "images").mkdir()
    for number, name in enumerate(made.names):
        Image.new("L", (8, 8), number % 256).save(folder / "images" / name)
