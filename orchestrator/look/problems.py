"""What must be mended in a folder of images, and what had better be, with what to do."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trainables.data.layout import MIN_CLASSES, PARTS
from trainables.data.survey import Survey, SurveyedImage

FEW: Final = "few images"
SAME: Final = ("same in two classes", "same in two parts", "same in a class")
TWO_CLASSES, TWO_PARTS, ONE_CLASS = SAME
NEAR: Final = ("near in two classes", "near in two parts", "near in a class")
"""Kinds of images that are the same, or look alike: across classes, across parts, in one class."""

RULES: Final[Mapping[str, tuple[str, str]]] = {
    "part without classes": (
        "parts without folders of classes",
        "give each class a folder in each part; or list the images with their labels in a table, "
        "and name that",
    ),
    "few classes": (
        "too few classes in a folder",
        "give each class a sub-folder of its own, two classes at least",
    ),
    "part name": (
        "parts by another name than train/, val/ and test/",
        "rename these folders so, or move them elsewhere",
    ),
    "parts missing": (
        "a part is missing beside the other",
        "add it (a val/ may be renamed to it); or move the folders of the classes up beside each "
        "other: then a fixed fifth of each is the test part",
    ),
    "classes differ": (
        "classes that one part has not",
        "add images of them there, or remove their folders in the other part",
    ),
    "class name": (
        "names of classes that no table can hold",
        "rename these folders in printable UTF-8",
    ),
    "classes alike": (
        "names of classes that look alike",
        "give what is one class one name, and what are two names that can be told apart",
    ),
    "folder in a class": (
        "folders inside the folder of a class",
        "move their images up into the folder of the class, or remove them",
    ),
    "no file": ("neither files nor folders", "remove them"),
    "file name": ("names of files that are no UTF-8", "rename these files, or remove them"),
    "no label": ("rows without a label", "give each its label, or remove these rows"),
    "several rows": ("images that stand in several rows", "keep one row of each"),
    "no such file": (
        "paths that are those of no file",
        "correct them (they go from the folder of the table), or remove these rows",
    ),
    "group in two parts": (
        "groups that lie in several parts",
        "move each into one part whole, or leave --group-column out",
    ),
    "few groups": (
        "classes that lie in too few groups",
        "add images of other groups, remove the class, or leave --group-column out",
    ),
    "empty": ("empty files", "copy them again, or remove them"),
    "HEIC": (
        "HEIC images, as phones save them",
        "install the package pillow-heif, with which they are read; or save them as JPEG",
    ),
    "raw": (
        "cameras' raw photographs, of which a small preview alone could be read",
        "save them as JPEG, PNG or TIFF, or remove them",
    ),
    "other format": (
        "files that are no image of a format that is read",
        "save them as JPEG or PNG, or remove them",
    ),
    "too large": ("images of too many pixels", "make them smaller, or remove them"),
    "no range": (
        "images of 32-bit numbers, whose range is not known",
        "save them with 8 or 16 bits a channel, or remove them",
    ),
    "damaged": ("damaged images, or such as were cut short", "copy them again, or remove them"),
    "unreadable": ("files that cannot be read", "make them readable, or remove them"),
    TWO_CLASSES: (
        "images that stand in two classes, byte for byte",
        "keep each in the class that is right, or remove all of them",
    ),
    TWO_PARTS: (
        "images that stand in two of train/, val/ and test/, byte for byte",
        "keep one, in test/ or else in val/: neither must be of what was trained on",
    ),
    ONE_CLASS: ("images that stand more than once in a class, byte for byte", "keep one of each"),
    FEW: (
        "classes with too few images, once all that is removed",
        "add images, or remove the folders of the class",
    ),
    "dark": (
        "images of 16 bits a channel with data of 14 bits or fewer: dark once they are read",
        "save them scaled to all of 16 bits, or with 8: the upper 8 bits are kept as they are",
    ),
    "memory": ("more than the memory of this machine holds", ""),
    NEAR[0]: ("images that look alike in two classes", "look at them: a label may be wrong"),
    NEAR[1]: (
        "images that look alike in two of the training, validation and test parts",
        "look at them: copies in the test part make it easier than it should be; keep one of each, "
        "or list the images in a table whose --group-column says what belongs together",
    ),
    NEAR[2]: ("images that look alike in a class", "keep one of each, or leave them"),
}
"""Kind of problem to what it is called and what to do about it, in the order they are reported."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything of one kind.

    Attributes:
        kind: Of `RULES`.
        must: A study rejects the data for it.
        detail: The first of them in a sentence, or what else is to be known; may be empty.
        groups: Paths below the folder; images that are the same, or look alike, are a group.
        remove: What to remove where nothing better can be done; a folder's path ends with `/`.
    """

    kind: str
    must: bool
    detail: str = ""
    groups: tuple[tuple[str, ...], ...]
    remove: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is called."""
        return RULES[self.kind][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return RULES[self.kind][1]


# Of these one is reported in full: what it is called leaves a question.
DETAILED: Final = (
    *("part without classes", "few classes", "part name", "parts missing"),
    *("other format", "too large", "damaged"),
    *("unreadable", "classes alike", "group in two parts", "few groups"),
)
# What nothing is removed for: it is to be renamed, moved or added to.
_STAYS: Final = (
    *("part without classes", "few classes", "part name", "parts missing"),
    *("class name", "classes alike"),
    *("no label", "several rows", "no such file", "group in two parts", "few groups"),
)
_BY_CHANCE: Final = (
    "A fixed fifth of each class is the test part: copies lie on either side of that by chance."
)


def find_problems(survey: Survey) -> list[Problem]:
    """All that is wrong with a folder, but for images that only look alike.

    After what must be mended is removed, a study accepts what is left; after all is removed, no
    image stands twice in it.
    """
    by_kind: dict[str, list[str]] = defaultdict(list)
    details: dict[str, str] = {}
    for fault in survey.faults:
        if fault.kind != FEW:
            by_kind[fault.kind].append(fault.name)
            prefix = f"cannot decode the image {survey.place}/{fault.name}: "
            details.setdefault(fault.kind, fault.sentence.removeprefix(prefix))
    found = [
        Problem(
            kind=kind,
            must=True,
            groups=tuple((name,) for name in names),
            remove=tuple(_removed(survey, kind, names)),
            detail=details[kind] if kind in DETAILED else "",
        )
        for kind, names in by_kind.items()
    ]
    found += _same(survey, mended=bool(survey.faults))
    found += _dark(survey)
    if not {"part without classes", "few classes"} & by_kind.keys():
        found += _few(survey, found)
    order = [*RULES]
    return sorted(found, key=lambda problem: (not problem.must, order.index(problem.kind)))


def _removed(survey: Survey, kind: str, names: Sequence[str]) -> list[str]:
    """What of faults can be removed; of a class that one part lacks, what the others have."""
    if kind in _STAYS:
        return []
    if kind != "classes differ":
        return [*names]
    lacking = {name.split("/")[1] for name in names}
    return [f"{part}/{name}/" for part, name in survey.places if name in lacking]


def kind_of(images: Sequence[SurveyedImage], kinds: tuple[str, str, str], *, divided: bool) -> str:
    """Which of three kinds images are: across classes, across parts, or in one class."""
    if len({image.label for image in images}) > 1:
        return kinds[0]
    return kinds[1] if divided and len({image.part for image in images}) > 1 else kinds[2]


def remaining(survey: Survey, problems: Iterable[Problem]) -> list[SurveyedImage]:
    """The images that are left once all is removed that the problems say."""
    removed = [name for problem in problems for name in problem.remove]
    files, folders = set(removed), tuple(name for name in removed if name.endswith("/"))
    return [
        image
        for image in survey.images
        if image.name not in files and not image.name.startswith(folders)
    ]


def _same(survey: Survey, *, mended: bool) -> Iterator[Problem]:
    """Images of the same bytes.

    Where the test part is drawn, its bounds move once anything else is `mended`, and then no image
    may stand twice.
    """
    by_hash: dict[str, list[SurveyedImage]] = defaultdict(list)
    for image in survey.images:
        by_hash[image.sha256].append(image)
    groups: dict[str, list[list[SurveyedImage]]] = defaultdict(list)
    for images in by_hash.values():
        if len(images) > 1:
            groups[kind_of(images, SAME, divided=survey.divided)].append(images)
    split = any(len({image.part for image in images}) > 1 for images in groups[ONE_CLASS])
    mended = mended or bool(groups[TWO_CLASSES] or groups[TWO_PARTS])
    for kind in filter(groups.get, SAME):
        chance = kind == ONE_CLASS and survey.drawn
        yield Problem(
            kind=kind,
            must=kind != ONE_CLASS or (chance and (mended or split)),
            groups=tuple(tuple(image.name for image in images) for images in groups[kind]),
            remove=tuple(name for images in groups[kind] for name in _removed_of(kind, images)),
            detail=_BY_CHANCE if chance else "",
        )


def _dark(survey: Survey) -> Iterator[Problem]:
    """Images of which most of what is kept of their bits is empty."""
    dark = [image for image in survey.images if image.dark]
    if dark:
        highest = max(image.brightest or 0 for image in dark)
        yield Problem(
            kind="dark",
            must=False,
            groups=tuple((image.name,) for image in dark),
            detail=f"Of 0 to 255 their highest value is {highest} then.",
        )


def _removed_of(kind: str, images: Sequence[SurveyedImage]) -> list[str]:
    """What to remove of images that are the same: in two classes all of them, else all but one.

    Of two parts that one stays which is trained on the least: test, validation, training.
    """
    if kind == TWO_CLASSES:
        return [image.name for image in images]
    kept = images[0]
    if kind == TWO_PARTS:
        kept = max(images, key=lambda image: PARTS.index(image.part))
    return [image.name for image in images if image is not kept]


def _few(survey: Survey, found: Sequence[Problem]) -> Iterator[Problem]:
    """The classes that have too few images left, and whether too few classes are."""
    needed = [problem for problem in found if problem.must]
    detail, names = _too_few(survey, needed)
    _, all_names = _too_few(survey, found)
    if names:
        yield _classes_out(survey, names, must=True, detail=detail)
    if all_names - names:
        yield _classes_out(survey, all_names - names, must=False, detail="")
    gone = {name for problem in needed for name in problem.remove if name.endswith("/")}
    out = names | {name for part, name in survey.places if _folder(part, name) in gone}
    left = len(survey.classes) - len(out)
    layout = {"parts missing", "part name"} & {problem.kind for problem in found}
    if out and left < MIN_CLASSES and not layout:
        detail = f"Only {left} of {len(survey.classes)} would be left."
        yield Problem(kind="few classes", must=True, groups=(("./",),), detail=detail)


def _folder(part: str, name: str) -> str:
    """Where a class is stored, as paths of folders are written."""
    return f"{part}/{name}/" if part else f"{name}/"


def _too_few(survey: Survey, removed: Sequence[Problem]) -> tuple[str, set[str]]:
    """The first fault of a class with too few images, and the names of all such classes."""
    counts = dict.fromkeys(survey.places, 0)
    gone = tuple(n for problem in removed for n in problem.remove if n.endswith("/"))
    for image in remaining(survey, removed):
        counts[image.part if survey.divided else "", survey.classes[image.label]] += 1
    wrong = {
        (part, name): fault.sentence
        for (part, name), count in counts.items()
        if not _folder(part, name).startswith(gone) and (fault := survey.few(part, name, count))
    }
    return next(iter(wrong.values()), ""), {name for _, name in wrong}


def _classes_out(survey: Survey, names: set[str], *, must: bool, detail: str) -> Problem:
    """That classes are to be removed, in each part."""
    places = [(_folder(part, name), name) for part, name in survey.places if name in names]
    folders = [tuple(p for p, own in places if own == name) for name in sorted(names)]
    together = tuple(place for each in folders for place in each)
    return Problem(kind=FEW, must=must, groups=tuple(folders), remove=together, detail=detail)
