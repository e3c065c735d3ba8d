"""Classes shown: precision and recall of each, the worst confusions, and those never predicted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from orchestrator.analysis.section import MISSING, Row, Section, count, percent
from orchestrator.results.schema import ROLES
from orchestrator.stats.bootstrap import Floats, Integers
from orchestrator.stats.predictions import PredictedRun

WORST_CONFUSIONS = 3
CLASSES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How one model does on each class, over the test images of all its seeds.

    Attributes:
        family: The family's name.
        role: `baseline` or `tuned`.
        seeds: How many runs are counted together.
        confusion: Images by true class and predicted class, [classes, classes].
        precision: Of each class, fractions, [classes]; 0 for a class never predicted.
        recall: Of each class, fractions, [classes]; 0 for a class without a test image.
    """

    family: str
    role: str
    seeds: int
    confusion: Integers
    precision: Floats
    recall: Floats

    @property
    def images(self) -> Integers:
        """Test images of each class, counted once per seed, [classes]."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def never_predicted(self) -> list[int]:
        """Classes that no run predicts for any image."""
        return [int(each) for each in np.flatnonzero(self.confusion.sum(axis=0) == 0)]

    def worst_confusions(self, most: int = WORST_CONFUSIONS) -> list[tuple[int, int]]:
        """Pairs of true and predicted class, largest share of the true class's images first.

        Args:
            most: How many pairs at most; there are fewer where fewer classes are confused.
        """
        wrong = self.confusion * (1 - np.eye(len(self.confusion), dtype=np.int64))
        shares = wrong / np.maximum(self.images, 1)[:, None]
        order = np.argsort(-shares, axis=None, kind="stable")[:most]
        pairs = [divmod(int(flat), len(wrong)) for flat in order]
        return [(true, guess) for true, guess in pairs if wrong[true, guess]]


def score_classes(runs: Sequence[PredictedRun]) -> ClassScores:
    """How the runs of one model do on each class, by scikit-learn.

    Args:
        runs: All of one family, role and fraction; at least one.
    """
    labels = np.concatenate([run.labels for run in runs])
    predicted = np.concatenate([run.predicted for run in runs])
    classes = np.arange(runs[0].probabilities.shape[1])
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, predicted, labels=classes, average=None, zero_division=0
    )
    return ClassScores(
        family=runs[0].family,
        role=runs[0].role,
        seeds=len(runs),
        confusion=confusion_matrix(labels, predicted, labels=classes),
        precision=precision,
        recall=recall,
    )


def per_class_sections(study: Row, runs: Sequence[PredictedRun]) -> tuple[Section, ...]:
    """The sections on classes, of the tuned models at the largest fraction.

    Args:
        study: `study.json`; `dataset` names the classes, else they are numbers.
        runs: The final runs, from `predictions.split_runs`.
    """
    if not runs:
        return ()
    largest = max(run.fraction for run in runs)
    own: dict[str, list[PredictedRun]] = {}
    for run in runs:
        if run.fraction == largest and run.role == ROLES[1]:
            own.setdefault(run.family, []).append(run)
    scores = [score_classes(group) for group in own.values()]
    if not scores:
        return ()
    numbers = range(len(scores[0].confusion))
    names = [str(name) for name in (study.get("dataset") or {}).get("classes") or numbers]
    return (
        _class_section(names, scores, largest),
        _confusion_section(names, scores),
        *(_matrix_section(names, each) for each in scores if len(names) <= CLASSES_SHOWN),
    )


def _class_section(names: Sequence[str], scores: Sequence[ClassScores], fraction: float) -> Section:
    mean_recall = np.mean([each.recall for each in scores], axis=0)
    hardest = np.argsort(mean_recall, kind="stable")[:CLASSES_SHOWN]
    sentences = ["Over the test images of all seeds together."]
    if len(hardest) < len(names):
        sentences.append(
            f"The {len(hardest)} of {len(names):,} classes with the lowest mean recall are shown."
        )
    for each in scores:
        never = ", ".join(names[index] for index in each.never_predicted)
        if never:
            sentences.append(
                f"{each.family} {each.role} never predicts {never}: that counts as precision 0."
            )
    return Section(
        title=f"Classes: precision / recall of the tuned models at train fraction {fraction:g}",
        columns=("class", "test images", *(each.family for each in scores)),
        rows=tuple(
            (
                names[index],
                count(int(scores[0].images[index]) // scores[0].seeds),
                *(_class_cell(each, index) for each in scores),
            )
            for index in sorted(hardest)
        ),
        sentences=tuple(sentences),
    )


def _class_cell(scores: ClassScores, index: int) -> str:
    recall = f"{scores.recall[index]:.3f}" if scores.images[index] else MISSING
    return f"{scores.precision[index]:.3f} / {recall}"


def _confusion_section(names: Sequence[str], scores: Iterable[ClassScores]) -> Section:
    rows, sentences = [], []
    for each in scores:
        worst = each.worst_confusions()
        rows += [_confusion_row(names, each, true, guess) for true, guess in worst]
        if not worst:
            sentences.append(f"{each.family} {each.role} is right on every test image.")
    return Section(
        title="Classes: the worst confusions",
        columns=("model", "true class", "taken for", "of its images", "images"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _matrix_section(names: Sequence[str], scores: ClassScores) -> Section:
    """The whole confusion matrix; predicted classes are numbers, so that it fits a terminal."""
    return Section(
        title=f"Classes: confusion matrix of {scores.family} {scores.role}",
        columns=("true class", *(str(number) for number in range(len(names)))),
        rows=tuple(
            (name if name == str(number) else f"{number} {name}", *(str(cell) for cell in row))
            for number, (name, row) in enumerate(zip(names, scores.confusion, strict=True))
        ),
        sentences=(
            f"Test images of {scores.seeds} seed{'s' if scores.seeds > 1 else ''} together; a "
            "column for each predicted class.",
        ),
    )


def _confusion_row(
    names: Sequence[str], scores: ClassScores, true: int, guess: int
) -> tuple[str, ...]:
    wrong, images = int(scores.confusion[true, guess]), int(scores.images[true])
    model = f"{scores.family} {scores.role}"
    return model, names[true], names[guess], percent(wrong / images), f"{wrong:,} of {images:,}"
