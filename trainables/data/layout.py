"""How a data set of files is laid out, in folders or tables: its classes, parts and faults."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from trainables.data.splitting import Indices, split

if TYPE_CHECKING:
    from trainables.data.files import Folder

PARTS: Final = ("train", "val", "test")
PART_WORDS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""What parts are called in tables, as `datasets` knows them; a folder of one has the short name."""
WHOLE: Final = ""
"""The one part of a folder that has a sub-folder per class."""
SHOWN: Final = 5
"""Problems that are reported of many in a line."""
MIN_CLASSES: Final = 2
LEAST: Final = {WHOLE: 3, "train": 2, "val": 1, "test": 1}
"""Images of each class in a part: one each to train on, to validate and to test."""
TEST_SHARE: Final = 0.2
# The division belongs to the data set: a study's seed must not move an image out of the test part.
TEST_SEED: Final = 20


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something for which a study rejects a folder.

    Attributes:
        kind: The rule that is broken, as `FOLDER_RULES` or `IMAGE_RULES` have it.
        name: What is at fault: a path below the folder; a folder's ends with `/`.
        sentence: The rule and what was found, for an answer in a line.
    """

    kind: str
    name: str
    sentence: str


FOLDER_RULES: Final = (
    *("part without classes", "few classes", "part name", "parts missing", "classes differ"),
    *("class name", "classes alike", "few images"),
    *("folder in a class", "no file", "file name"),
    *("no label", "several rows", "no such file", "group in two parts", "few groups"),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The images of one part.

    Attributes:
        names: Their paths below the folder.
        labels: Class indices, shape [images].
        groups: What must be on one side whole, a number for each image, shape [images]; None:
            each image is on its own.
    """

    names: tuple[str, ...]
    labels: Indices
    groups: Indices | None = None

    def take(self, chosen: Indices) -> "Part":
        """Some of them, by index."""
        return Part(
            names=tuple(self.names[i] for i in chosen),
            labels=self.labels[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )

    def join(self, other: "Part") -> "Part":
        """Its images, then another part's."""
        groups = None
        if self.groups is not None and other.groups is not None:
            groups = np.concatenate([self.groups, other.groups])
        return Part(
            names=(*self.names, *other.names),
            labels=np.concatenate([self.labels, other.labels]),
            groups=groups,
        )


def with_test(whole: Part) -> dict[str, Part]:
    """A part of which a fixed fifth, stratified, becomes the test part, by groups where it has any.

    Raises:
        ValueError: There are too few images or groups.
    """
    test_images = max(round(TEST_SHARE * len(whole.names)), len(np.unique(whole.labels)))
    parts = split(
        whole.labels,
        validation_images=test_images,
        train_images=None,
        seed=TEST_SEED,
        groups=whole.groups,
        groups_left=2,
    )
    return {"train": whole.take(parts.train), "test": whole.take(parts.validation)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is stored in a folder, of which nothing is read yet.

    Attributes:
        folder: The folder.
        classes: Class names, sorted; a label is an index into them.
        parts: `train` and `test`, with `val` where it is there, or `WHOLE` alone.
        places: Part and class of each folder of a class that is there.
        faults: All that a study rejects it for.
        left_out: Paths that are there and are no part of the data, by what they are.
        notes: What is left out without being asked for, a sentence each.
        few: The fault that a class has too few images: part, class and count to it, or to None.
        drawn: Whether the test part is, or will be, a fixed fifth of the images.
        tables: The files that list the images, with their hashes; none where folders do.
        embedded: Whether the images stand in these files, and are none themselves.
    """

    folder: "Folder"
    classes: tuple[str, ...]
    parts: Mapping[str, Part]
    places: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]
    left_out: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    few: Callable[[str, str, int], Fault | None]
    drawn: bool
    tables: Mapping[str, str] = field(default_factory=dict)
    embedded: bool = False

    @property
    def divided(self) -> bool:
        """Whether the folder itself has parts."""
        return WHOLE not in self.parts


def all_of(problems: Sequence[str]) -> str:
    """Problems as one line, of which the first are named."""
    more = len(problems) - SHOWN
    listed = "; ".join(problems[:SHOWN])
    return listed if more <= 0 else f"{listed}; and {more} more"


def alike(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names of classes that look like an earlier one, each with a sentence on the two."""
    first: dict[str, str] = {}
    for name in names:
        one = first.setdefault(unicodedata.normalize("NFC", name).strip(), name)
        if one != name:
            yield (
                name,
                "classes must have names that look different, but "
                f"{one!a} and {name!a} differ in spaces around them or in how letters are written",
            )


def case_notes(names: Sequence[str]) -> Iterator[str]:
    """That classes differ in nothing but small and capital letters, in a sentence."""
    groups = defaultdict(list)
    for name in names:
        groups[name.casefold()].append(name)
    several = [group for group in groups.values() if len(group) > 1]
    if several:
        listed = ", ".join(" and ".join(map(repr, group)) for group in several[:SHOWN])
        more = f", and {len(several) - SHOWN:,} more" if several[SHOWN:] else ""
        yield (
            f"Classes that differ in small and capital letters alone are classes of their own: "
            f"{listed}{more}."
        )


def storable(name: str) -> bool:
    """Whether a table can hold a name: one that is no UTF-8 on disk has surrogates."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)
