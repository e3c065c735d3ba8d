"""The whole look at a data set: its numbers, its problems, and the study that fits it."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from orchestrator.called import words_of
from orchestrator.config.columns import column_flags
from orchestrator.config.settings import Settings, absolute, check_text
from orchestrator.config.sources import resolve
from orchestrator.forecast.estimate import forecast_study, time_notes
from orchestrator.forecast.throughput import Work
from orchestrator.look.alike import MEASURE, find_alike
from orchestrator.look.problems import Problem, find_problems
from orchestrator.plan.data_summary import IMBALANCED
from orchestrator.plan.families import plan_families
from orchestrator.plan.image_size import with_image_size
from orchestrator.plan.inputs import divide, named_data_set
from orchestrator.plan.memory import check_memory
from trainables.data.dataset import OpenedDataSet
from trainables.data.layout import PARTS
from trainables.data.offline import offline
from trainables.data.survey import TRAITS, Survey, SurveyedImage

FEW_TEST_IMAGES: Final = 25
"""Of a class: with fewer, its recall is known to 20 points at best where it is a half."""
CHANNELS: Final = 3
SQUARE: Final = 1.05
"""How much longer one edge is at most in what counts as a square."""
LONG: Final = 2.0
"""How much longer one edge is in what loses more than half of itself to the middle square."""
UNDIVIDED: Final = "images"


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The images that can be used.

    Attributes:
        counts: Part (`train`, `val`, `test`; `images` where it is not known) to images by class.
        width: Least, median and most pixels, upright; None where nobody looked at files.
        height: Likewise.
        formats: Format to images, the most frequent first.
        shapes: `portrait`, `square`, `landscape`, and of these `longer than 2:1`, to images.
        traits: What reading does to some images, to how many.
    """

    counts: Mapping[str, Mapping[str, int]]
    width: tuple[int, int, int] | None = None
    height: tuple[int, int, int] | None = None
    formats: Mapping[str, int] | None = None
    shapes: Mapping[str, int] | None = None
    traits: Mapping[str, int] | None = None

    @property
    def by_class(self) -> dict[str, int]:
        """Class to images, of all parts together."""
        together: Counter[str] = Counter()
        for counts in self.counts.values():
            together.update(counts)
        return dict(together)

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.by_class.values())


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found.

    Attributes:
        settings: Of a study of all families on it, with the place of its files where they are not
            in the user's cache.
        classes: Class names.
        overview: The images that can be used.
        test_images: How many of them test; None where that is not known yet.
        problems: What must be mended first, then what had better be.
        notes: What else a reader must know, a sentence each.
        image_size: Edge in pixels to train at; None without an image.
        decoded_bytes: What the images take at that size, once.
        time: What can be said of the time of a study, a sentence each.
        left_out: Paths that are no part of the data, by what they are.
        smaller: Images whose shorter edge is smaller than the image size.
        survey: Of the files; None where the data are arrays.
    """

    settings: Settings
    classes: tuple[str, ...]
    overview: Overview
    test_images: int | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    image_size: int | None
    decoded_bytes: int
    time: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    smaller: int = 0
    survey: Survey | None = None

    @property
    def runs(self) -> bool:
        """Whether a study would run on it as it is."""
        return not any(problem.must for problem in self.problems)


def look_at(
    name: str,
    data_dir: str | None,
    each: Callable[[], object] = lambda: None,
    *,
    columns: Mapping[str, str] | None = None,
) -> Look:
    """Looks at every image of a data set; nothing is downloaded or written.

    Args:
        name: A data set that the registry lists.
        data_dir: Where its files are; None: in the user's cache.
        each: Called after each file, from several threads.
        columns: Settings that name columns to their names.

    Raises:
        ValueError: There is no such data set or folder, or its files are not available.
    """
    given = {"families": "all", "dataset": name}
    with_columns = {**given, **(columns or {})}
    dataset = named_data_set(_settings(with_columns, None))
    if dataset.survey is not None and data_dir is None:
        raise ValueError(
            "DATA must be named, a folder with one sub-folder per class, but is missing"
        )
    if data_dir is not None:
        check_text("DATA", data_dir)
    place = None if data_dir is None else absolute("data_dir", data_dir)
    if dataset.survey is None or place is None:
        with offline():
            opened = dataset.open(place, Settings().edge)
        return _look_at_arrays(_settings(given, place), opened)
    survey = dataset.survey(place, each)
    problems = find_problems(survey)
    alike, whole = find_alike(survey, problems)
    notes = [*survey.notes]
    if alike:
        notes.append(MEASURE)
    if not whole:
        notes.append("So many images look alike that not all pairs of them were compared.")
    edges = [min(image.width, image.height) for image in survey.images]
    settings = with_image_size(_settings(with_columns, place), edges)
    size = settings.image_size if edges else None
    labels = [i.label for part in ("train", "val") for i in survey.images if i.part == part]
    time: tuple[str, ...] = ()
    if size is not None and not any(problem.must for problem in problems):
        refused, time = _judged(settings, survey.open(size), labels)
        problems += refused
    overview = overview_of(survey)
    return Look(
        settings=settings,
        classes=survey.classes,
        overview=overview,
        test_images=sum(overview.counts["test"].values()) if "test" in overview.counts else None,
        problems=(*problems, *alike),
        left_out=survey.left_out,
        notes=(*_caveats(overview), *notes),
        image_size=size,
        smaller=sum(edge < size for edge in edges) if size else 0,
        decoded_bytes=len(edges) * CHANNELS * (size or 0) ** 2,
        time=time,
        survey=survey,
    )


def _look_at_arrays(settings: Settings, opened: OpenedDataSet) -> Look:
    """A data set whose files are known to be whole once they are opened."""
    training = opened.read_training()
    # Of its test part only the number is known.
    counted = np.bincount(training.labels, minlength=len(opened.classes)).tolist()
    overview = Overview(counts={"train": dict(zip(opened.classes, counted, strict=True))})
    shape, labels = training.images.shape[1:], training.labels.tolist()
    refused, time = _judged(settings, opened, labels, shape)
    test_images = None if opened.image_counts is None else opened.image_counts[1]
    return Look(
        settings=settings,
        classes=opened.classes,
        overview=overview,
        test_images=test_images,
        problems=tuple(refused),
        notes=(*_caveats(overview), *opened.notes, *opened.duplicates),
        image_size=int(shape[0]),
        decoded_bytes=(len(training) + (test_images or 0)) * int(np.prod(shape)),
        time=time,
    )


def _settings(given: Mapping[str, str], place: str | None) -> Settings:
    where = {} if place is None else {"data_dir": place}
    return resolve({**given, **where}, config=None, assignments=[])


def command_of(settings: Settings) -> str:
    """What runs such a study, for a shell; it takes the image size from the data by itself."""
    words = [*words_of("study"), "--families", "all"]
    if settings.dataset != Settings.dataset:
        words += ["--dataset", settings.dataset]
    if settings.data_dir is not None:
        words += ["--data-dir", settings.data_dir]
    words += column_flags(settings)
    return shlex.join(words)


def _judged(
    settings: Settings, opened: OpenedDataSet, labels: Sequence[int], shape: Sequence[int] = ()
) -> tuple[list[Problem], tuple[str, ...]]:
    """What is wrong with whole files for a study, its memory or its split; if nothing, its time.

    Labels are those of training and validation images; `shape` is one image's, where it is known.
    """
    plans = plan_families(settings)
    refused = []
    try:
        check_memory(settings, [plan.name for plan in plans], opened)
    except ValueError as error:
        refused.append(_of_all("memory", error))
    try:
        parts = divide(settings, opened, np.array(labels, dtype=np.int64))
    except ValueError as error:
        refused.append(_of_all("few images", error))
    if refused:
        return refused, ()
    work = Work(
        dataset=settings.dataset,
        files=opened.files,
        image_shape=shape or opened.image_shape or (),
        spaces={plan.name: plan.space for plan in plans},
        baselines={plan.name: plan.baseline for plan in plans},
        precision=settings.precision,
        reproducible=settings.reproducible,
    )
    forecast = forecast_study(settings, work, {1.0: len(parts.train)}, len(parts.validation))
    return [], tuple(time_notes(forecast))


def _of_all(kind: str, error: ValueError) -> Problem:
    return Problem(kind=kind, must=True, groups=(("./",),), detail=f"{error}.")


def _caveats(overview: Overview) -> Iterator[str]:
    """What the numbers of images mean for what a study can find, a sentence each."""
    counts = overview.by_class
    if not overview.images:
        return
    most, least = max(counts, key=lambda name: counts[name]), min(counts.values())
    if counts[most] >= IMBALANCED * max(least, 1):
        share = 100 * counts[most] / overview.images
        yield (
            f"Imbalanced: the classes have {least:,} to {counts[most]:,} images. Who always says "
            f"{most!r} is right on {share:.1f}% of them, so compare accuracies with that, and read "
            "the recall of each class."
        )
    in_test = overview.counts.get("test")
    if in_test is not None:
        few = [name for name, count in in_test.items() if count < FEW_TEST_IMAGES]
        if few:
            yield (
                f"{len(few):,} of {len(in_test):,} classes have fewer than {FEW_TEST_IMAGES} test "
                "images: the recall of such a class is known to 20 points or worse where it is "
                "about a half."
            )


def overview_of(survey: Survey) -> Overview:
    """The images of a survey that can be used."""
    images = survey.images
    found = Counter((image.part, image.label) for image in images)
    parts = [part for part, _ in survey.places] if survey.divided else [i.part for i in images]
    counts = {
        part or UNDIVIDED: {name: found[part, i] for i, name in enumerate(survey.classes)}
        for part in dict.fromkeys(parts or [""])
    }
    if not images:
        return Overview(counts=counts)
    traits = Counter(trait for image in images for trait in image.traits)
    return Overview(
        counts={part: counts[part] for part in (*PARTS, UNDIVIDED) if part in counts},
        width=_spread([image.width for image in images]),
        height=_spread([image.height for image in images]),
        formats=dict(Counter(image.form for image in images).most_common()),
        shapes=_shapes(images),
        traits={trait: traits[trait] for trait in TRAITS if traits[trait]},
    )


def _spread(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), round(float(np.median(values))), max(values)


def _shapes(images: Sequence[SurveyedImage]) -> dict[str, int]:
    found = dict.fromkeys(("portrait", "square", "landscape", "longer than 2:1"), 0)
    for image in images:
        longer, shorter = max(image.width, image.height), min(image.width, image.height)
        shape = "landscape" if image.width > image.height else "portrait"
        found[shape if longer > SQUARE * shorter else "square"] += 1
        found["longer than 2:1"] += longer > LONG * shorter
    return found
