"""Classes shown: precision and recall of each, the worst confusions, and those never predicted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import number, share, words
from orchestrator.analysis.section import Format, Section
from orchestrator.cli import counted
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.bootstrap import Floats, Integers
from orchestrator.stats.predictions import PredictedRun, tuned_runs

WORST_CONFUSIONS = 3
CLASSES_SHOWN = 20
CONFUSIONS = ("family", "role", "true_class", "taken_for", "share", "wrong", "images")


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How one model does on each class, over the test images of all its seeds.

    Attributes:
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

    def worst_confusions(self, most: int = WORST_CONFUSIONS) -> list[tuple[int, int]]:
        """At most so many pairs of true and predicted class, largest share of its images first."""
        wrong = self.confusion * (1 - np.eye(len(self.confusion), dtype=np.int64))
        shares = wrong / np.maximum(self.images, 1)[:, None]
        order = np.argsort(-shares, axis=None, kind="stable")[:most]
        pairs = [divmod(int(flat), len(wrong)) for flat in order]
        return [(true, guess) for true, guess in pairs if wrong[true, guess]]


def score_classes(runs: Sequence[PredictedRun]) -> ClassScores:
    """How the runs of one model, family, role and fraction, do on each class."""
    classes = runs[0].probabilities.shape[1]
    confusion = np.zeros((classes, classes), dtype=np.int64)
    for run in runs:
        np.add.at(confusion, (run.labels, run.predicted), 1)
    right = np.diagonal(confusion)
    return ClassScores(
        family=runs[0].family,
        role=runs[0].role,
        seeds=len(runs),
        confusion=confusion,
        precision=right / np.maximum(confusion.sum(axis=0), 1),
        recall=right / np.maximum(confusion.sum(axis=1), 1),
    )


def per_class_sections(study: StudyRecord, runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """The classes, of the tuned models at the largest fraction; nothing without such a run."""
    scores = [score_classes(group) for group in tuned_runs(runs).values()]
    if not scores:
        return
    names = class_names(study, runs)
    yield _class_section(names, scores)
    yield _confusion_section(names, scores)
    if len(names) <= CLASSES_SHOWN:
        yield from (_matrix_section(names, each) for each in scores)


def class_names(study: StudyRecord, runs: Sequence[PredictedRun]) -> list[str]:
    """The names of the classes, numbers where a study does not name them."""
    classes, known = runs[0].probabilities.shape[1], study.dataset.classes
    return known if len(known) == classes else [str(i) for i in range(classes)]


def _class_section(names: Sequence[str], scores: Sequence[ClassScores]) -> Section:
    table = pd.DataFrame({"class": names, "images": scores[0].images // scores[0].seeds})
    formats = {"class": words("class"), "test images": number("images")}
    for each in scores:
        precision, recall = (f"{each.family} {name}" for name in ("precision", "recall"))
        table[precision] = each.precision
        table[recall] = np.where(each.images > 0, each.recall, np.nan)
        formats |= {precision: number(precision, ".3f"), recall: number(recall, ".3f")}
    never = [
        f"{each.family} {each.role} never predicts {listed}: that counts as precision 0."
        for each in scores
        if (listed := ", ".join(compress(names, each.confusion.sum(axis=0) == 0)))
    ]
    return Section(
        key="classes/scores",
        title="Classes: precision and recall of the tuned models",
        table=table,
        formats=formats,
        notes=("Over the test images of all seeds together, with all training images.", *never),
    )


def _confusion_section(names: Sequence[str], scores: Sequence[ClassScores]) -> Section:
    rows, right = [], [each for each in scores if not each.worst_confusions()]
    for each in scores:
        for true, guess in each.worst_confusions():
            wrong, images = int(each.confusion[true, guess]), int(each.images[true])
            pair = (each.family, each.role, names[true], names[guess])
            rows.append((*pair, wrong / images, wrong, images))
    return Section(
        key="classes/confusions",
        title="Classes: the worst confusions",
        table=pd.DataFrame(rows, columns=list(CONFUSIONS) if rows else None),
        formats={
            "model": words("family", "role"),
            "true class": words("true_class"),
            "taken for": words("taken_for"),
            "of its images": share("share"),
            "images": Format(("wrong", "images"), lambda wrong, of: f"{wrong:,} of {of:,}"),
        },
        notes=tuple(f"{each.family} {each.role} is right on every test image." for each in right),
    )


def _matrix_section(names: Sequence[str], scores: ClassScores) -> Section:
    """The whole confusion matrix; predicted classes are numbers, so that they fit."""
    columns = [str(number_) for number_ in range(len(names))]
    labels = [
        name if name == number_ else f"{number_} {name}"
        for number_, name in zip(columns, names, strict=True)
    ]
    table = pd.DataFrame(scores.confusion, columns=columns)
    table.insert(0, "true class", labels)
    return Section(
        key=f"classes/{scores.family}",
        title=f"Classes: confusion matrix of {scores.family} {scores.role}",
        table=table,
        formats={"true class": words("true class"), **{each: number(each) for each in columns}},
        notes=(
            f"Test images of {counted(scores.seeds, 'seed')} together; a column for each predicted "
            "class.",
        ),
    )
