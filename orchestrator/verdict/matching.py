"""What several models said of the same images, checked and put in one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import softmax

from orchestrator.results.rows import Model
from orchestrator.stats.bootstrap import Floats, Integers
from orchestrator.stats.predictions import PredictedRun
from orchestrator.verdict.counting import counted_otherwise
from orchestrator.verdict.faults import FaultsError, short, some
from orchestrator.verdict.said import Said, Texts, name_of

SUM_TOLERANCE = 0.01
"""By which probabilities of one image may miss 1: they are rounded, or of half precision."""
LEAST_CLASSES = 2


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Predictions of all models on the same images, in the same order.

    Attributes:
        runs: One a training; their role is empty where they are of no study of ours.
        images: What each image is called, [images].
        classes: Their names.
        probable: Whether all models gave probabilities, so that there is a loss.
        attributes: Further columns that belong to the images, [images] each.
        files: Of the images, [images]; empty where they are not known.
        notes: What a reader must know.
    """

    runs: Sequence[PredictedRun]
    images: Sequence[str]
    classes: Sequence[str]
    probable: bool
    attributes: Mapping[str, Texts] = field(default_factory=dict)
    files: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def models(self) -> list[Model]:
        """In the order in which they were named."""
        return list(dict.fromkeys(run.model for run in self.runs))

    def of_model(self, model: Model) -> list[PredictedRun]:
        """A model's trainings."""
        return [run for run in self.runs if run.model == model]


def match(
    found: Sequence[Said],
    *,
    labels: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    logits: bool = False,
) -> Matched:
    """Puts the images of all models in one order.

    Args:
        found: What each training said.
        labels: Image to its true class, for files that have none; of files that name no images the
            rows are in its order.
        classes: Their names, in the order of the outputs where these have none.
        logits: Outputs that are not said to be probabilities are logits.

    Raises:
        FaultsError: They cannot be compared; all that is wrong.
    """
    faults = [*_check_runs(found)]
    _take_names_of_files(found)
    FaultsError.check([*faults, *_take_labels(found, labels)])
    FaultsError.check([*counted_otherwise(found)])
    notes: list[str] = []
    order = _order(found, notes)
    known = _classes(found, classes)
    faults, runs = [], []
    for said, rows in zip(found, order, strict=True):
        try:
            runs.append((said, _run(said, rows, classes=known, logits=logits, notes=notes)))
        except FaultsError as error:
            faults += error.lines
    first, rows = found[0], order[0]
    if runs and runs[0][0] is first:
        faults += _check_labels(runs, known)
    FaultsError.check(faults)
    return Matched(
        runs=[run for _, run in runs],
        images=first.image_names[rows].tolist(),
        classes=known,
        probable=all(said.outputs is not None for said in found),
        attributes={name: values[rows] for name, values in first.other.items()},
        files=tuple(np.array(first.files, dtype=object)[rows]) if first.files else (),
        notes=tuple(notes),
    )


def _check_runs(found: Sequence[Said]) -> Iterator[str]:
    """Each training once, each of its images once, each with a class or outputs."""
    origins: dict[tuple[object, ...], str] = {}
    for said in found:
        key = (said.model, said.seed)
        if key in origins:
            yield (
                f"each training must stand once, but {name_of(said.model)} seed {said.seed} is in "
                f"{origins[key]} and {said.origin}; name models with NAME=FILE"
            )
        origins[key] = said.origin
        if said.predicted is None and said.outputs is None:
            if said.single:
                yield (
                    f"{said.origin}: probabilities must be a number for each class (columns "
                    "prob_A, prob_B ..., or a list), but there is one value an image, as "
                    f"{said.single}; of two classes write both, or the predicted class"
                )
            elif said.labels is None:
                yield (
                    f"{said.origin}: a column must say the predicted class (predicted, prediction, "
                    "class ...) or probabilities (prob_CLASS, probabilities ...), but its columns "
                    f"are {some([*said.other])}; name one with --columns predicted=NAME"
                )
            else:
                yield (
                    f"{said.origin}: there are labels and no predictions; if its labels are what "
                    "was predicted, say --columns predicted=NAME"
                )
        if said.images is not None:
            values, counts = np.unique(said.images.astype(str), return_counts=True)
            twice = values[counts > 1].tolist()
            if twice:
                yield (
                    f"{said}: each image must stand once, but {len(twice):,} stand more often: "
                    f"{some(twice)}; name the columns of models and seeds with --columns model=NAME"
                )


def _take_names_of_files(found: Sequence[Said]) -> None:
    """Calls the images of a study by their files, where the others do."""
    others = {image for said in found if not said.files for image in said.image_names.tolist()}
    for said in found:
        if said.files and others & set(said.files):
            said.images = np.array(said.files, dtype=object)


def _take_labels(found: Sequence[Said], labels: Mapping[str, str] | None) -> Iterator[str]:
    """Gives files without labels those of the file of labels; says what is wrong with them."""
    for said in found:
        if labels is None:
            if said.labels is None:
                yield (
                    f"{said.origin}: a column must say the true class (label, target, y_true ...), "
                    f"but its columns are {some([*said.other]) or 'predictions alone'}; name one "
                    "with --columns label=NAME, or give a file with --labels FILE"
                )
            continue
        if said.images is None:
            if len(labels) != said.rows:
                yield (
                    f"--labels must have a label for each of the {said.rows:,} rows of {said}, "
                    f"which names no images, but has {len(labels):,}"
                )
                continue
            said.images = np.array([*labels], dtype=object)
        lacking = [image for image in said.images.tolist() if image not in labels]
        if lacking:
            yield (
                f"--labels must have each image of {said}, but lacks {len(lacking):,}: "
                f"{some(lacking)}"
            )
            continue
        own = np.array([labels[image] for image in said.images.tolist()], dtype=object)
        differing = 0 if said.labels is None else int(np.sum(said.labels != own))
        if differing:
            yield f"{said}: its labels must be those of --labels, but {differing:,} differ"
        said.labels = own


def _order(found: Sequence[Said], notes: list[str]) -> list[Integers]:
    """The rows of each training in the order of the images.

    Images that are numbered stand in the order of their numbers, others in that of their names.
    """
    without = [said.origin for said in found if said.images is None]
    if without and len(without) < len(found):
        listed = some(sorted(set(without)))
        message = f"either all files must name their images or none, but these name none: {listed}"
        raise FaultsError([f"{message}; name the column with --columns image=NAME"])
    if without:
        notes.append("No file names its images, so rows are matched by their order.")
    names = [said.image_names for said in found]
    first = set(names[0].tolist())
    faults = []
    for said, own in zip(found[1:], names[1:], strict=True):
        here = set(own.tolist())
        lacks, more = sorted(first - here), sorted(here - first)
        parts = [f"lacks {len(lacks):,} ({some(lacks)})"] if lacks else []
        parts += [f"has {len(more):,} more ({some(more)})"] if more else []
        if parts:
            faults.append(
                f"all models must be tested on the same images, but beside {found[0]} {said} "
                f"{' and '.join(parts)}"
            )
    FaultsError.check(faults)
    numbered = all(name.isdecimal() and name == str(int(name)) for name in first)
    return [
        np.argsort([int(name) for name in own] if numbered else own.astype(str), kind="stable")
        for own in names
    ]


def _classes(found: Sequence[Said], names: Sequence[str]) -> list[str]:
    """The names of all classes, in the order that the outputs have, if they have one."""
    if names:
        return list(names)
    named = next((list(said.names) for said in found if said.names), None)
    if named:
        FaultsError.check(
            [
                f"all models must have the same classes, but {said} has {len(said.names)} "
                f"({some(sorted(set(said.names) ^ set(named)))} not in both)"
                for said in found
                if said.names and sorted(said.names) != sorted(named)
            ]
        )
        return named
    labels = {label for said in found for label in _given(said.labels)}
    widths = {said.outputs.shape[1] for said in found if said.outputs is not None} - {1}
    if widths:
        faults = []
        if len(widths) > 1:
            faults.append(
                f"all models must have the same classes, but have {sorted(widths)} outputs"
            )
        names = [str(number) for number in range(max(widths))]
        strange = sorted(labels - set(names))
        if strange:
            faults.append(
                f"outputs without names are those of classes 0 to {max(widths) - 1}, but there are "
                f"the labels {some(strange)}; name the outputs with --classes A,B,..."
            )
        FaultsError.check(faults)
        return names
    if labels and all(label.isdecimal() for label in labels):
        numbers = sorted(map(int, labels))
        return [str(number) for number in (numbers if numbers[0] > 1 else range(numbers[-1] + 1))]
    return sorted(labels)


def _given(values: Texts | None) -> list[str]:
    return [] if values is None else values.tolist()


def _run(
    said: Said, rows: Integers, *, classes: Sequence[str], logits: bool, notes: list[str]
) -> PredictedRun:
    place = {name: number for number, name in enumerate(classes)}
    listed = some(list(classes))
    assert said.labels is not None
    faults = []
    for what, values in (("labels", said.labels), ("predictions", said.predicted)):
        unknown = sorted({*_given(values)} - set(place))
        if unknown:
            numbers = all(map(str.isdecimal, unknown)) and not any(map(str.isdecimal, classes))
            advice = (
                "write names, not numbers" if numbers else "name all classes with --classes A,B,..."
            )
            faults.append(
                f"{said}: {what} must be of the classes {listed}, but {len(unknown)} are not: "
                f"{some(unknown)}; {advice}"
            )
    if len(classes) < LEAST_CLASSES:
        faults.append(f"there must be two classes or more, but there is {listed} alone")
    FaultsError.check(faults)
    labels = np.array([place[label] for label in said.labels], dtype=np.int64)
    outputs = _probabilities(said, classes, logits, notes)
    if said.predicted is not None:
        predicted = np.array([place[name] for name in said.predicted], dtype=np.int64)
        if outputs is None:
            outputs = np.eye(len(classes))[predicted]
        worse = int(np.sum(outputs[np.arange(len(outputs)), predicted] < outputs.max(axis=1)))
        if worse:
            notes.append(
                f"{said}: the predicted class is not the most probable one on {worse:,} images; "
                "the predicted class counts."
            )
    else:
        assert outputs is not None
        predicted = outputs.argmax(axis=1)
    return PredictedRun(
        family=said.model[0],
        role=said.model[1],
        seed=said.seed or 0,
        fraction=1.0,
        labels=labels[rows],
        predicted=predicted[rows],
        probabilities=outputs[rows],
        images=np.arange(len(rows)),
    )


def _probabilities(
    said: Said, classes: Sequence[str], logits: bool, notes: list[str]
) -> Floats | None:
    """The probability of each class, [images, classes], in the order of the classes."""
    outputs = said.outputs
    if outputs is None:
        return None
    if outputs.shape[1] == 1 and len(classes) == LEAST_CLASSES and not said.names:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)  # a sigmoid of the second class
    if outputs.shape[1] != len(classes):
        there = f"there must be an output for each of {len(classes)} classes, but there are"
        raise FaultsError([f"{said}: {there} {outputs.shape[1]}"])
    broken = int(np.sum(~np.isfinite(outputs).all(axis=1)))
    if broken:
        there = (
            f"probabilities must be numbers, but in {broken:,} rows are not (NaN, infinite, or "
            "text, as a number with a decimal comma is)"
        )
        raise FaultsError([f"{said}: {there}"])
    if said.names:
        outputs = outputs[:, [said.names.index(name) for name in classes]]
    sums = outputs.sum(axis=1)
    outside = (outputs < 0) | (outputs > 1 + SUM_TOLERANCE)
    wrong = (np.abs(sums - 1) > SUM_TOLERANCE) | outside.any(axis=1)
    if said.logits or (wrong.any() and (logits or said.trainer)):
        notes.append(f"{said}: these are logits, of which the softmax was taken.")
        return np.asarray(softmax(outputs, axis=1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        there = (
            f"{said}: probabilities must lie in [0, 1] and sum to one, but in {int(wrong.sum()):,} "
            f"of {len(wrong):,} rows do not (row {row + 1} has {outputs[row].min():.3g} to "
            f"{outputs[row].max():.3g}, sum {sums[row]:.3g}){_advice(outputs, sums)}"
        )
        raise FaultsError([there])
    return outputs


def _advice(outputs: Floats, sums: Floats) -> str:
    if (outputs < 0).any():
        return "; they look like logits: say --logits to take their softmax"
    if np.allclose(sums, 100, atol=1):
        return "; they look like percentages"
    if (outputs <= 1).all():
        return "; they look like one yes or no for each class (sigmoid), which are not compared"
    return "; if they are logits, say --logits to take their softmax"


def _check_labels(
    runs: Sequence[tuple[Said, PredictedRun]], classes: Sequence[str]
) -> Iterator[str]:
    """All trainings must have the labels of the first."""
    said_first, first = runs[0]
    for said, run in runs:
        differ = np.flatnonzero(run.labels != first.labels)
        if len(differ):
            at = differ[0]
            which = f"one has {short(classes[first.labels[at]])}"
            if said.images is None:
                which = f"row {at + 1}"
            yield (
                f"labels must agree, but on {len(differ):,} images {said} has others than "
                f"{said_first} ({which}, the other {short(classes[run.labels[at]])})"
            )
