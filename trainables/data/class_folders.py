"""A folder of classes: what is in it, and all that a study rejects it for.

Either `<dir>/train/<class>/*` and `<dir>/test/<class>/*`, perhaps with a `val/` like these, or
`<dir>/<class>/*`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from trainables.data.junk import LEFT, is_junk
from trainables.data.layout import (
    LEAST,
    MIN_CLASSES,
    PART_WORDS,
    PARTS,
    WHOLE,
    Fault,
    Layout,
    Part,
    alike,
    case_notes,
    storable,
)
from trainables.data.other_layouts import folders_in, other_layout, part_notes

if TYPE_CHECKING:
    from trainables.data.files import Folder


def find_layout(folder: "Folder") -> Layout:
    """Lists a folder; whatever is wrong with it is among the faults.

    Raises:
        ValueError: It, or a folder in it, cannot be listed.
    """
    names, files = folder.list()
    halves = [part for part in PARTS if part in names and folders_in(folder.child(part))]
    own = {"train", "test"} <= set(halves)
    parts: tuple[str, ...] = (WHOLE,)
    if {"train", "test"} & set(halves):
        parts = tuple(halves)
    tree = _Tree(folder, parts)
    faults = tuple(_misnamed_parts(folder, names, halves) or tree.faults())
    notes = [*case_notes(tree.classes)]
    if parts == (WHOLE,) and not faults:
        notes += part_notes(tree.classes)
    if own and "val" in halves:
        count = len(tree.part("val").names)
        notes.append(
            f"All {count:,} images of val/ validate; none is taken out of train/ for that."
        )
    beside = () if parts == (WHOLE,) else (f"{name}/" for name in names if name not in parts)
    return Layout(
        folder=folder,
        classes=tree.classes,
        parts={part: tree.part(part) for part in parts},
        places=tree.places,
        faults=faults,
        left_out={
            "hidden": tuple(tree.hidden),
            LEFT: tuple(tree.junk),
            "beside the folders of classes": tuple(
                name for name in (*files, *beside) if not is_junk(name.rstrip("/"))
            ),
        },
        notes=tuple(notes),
        few=partial(few_images, folder),
        drawn=parts == (WHOLE,),
    )


def _misnamed_parts(folder: "Folder", names: Sequence[str], halves: Sequence[str]) -> list[Fault]:
    """Folders beside the parts, or in their place, that must be parts by another name."""
    found = {
        name: PART_WORDS[name.lower()]
        for name in names
        if name not in PARTS and name.lower() in PART_WORDS and folders_in(folder.child(name))
    }
    meant = {*halves, *found.values()}
    if "train" not in meant or len(meant) == 1:
        return []  # they are classes
    return [
        Fault(
            kind="part name",
            name=f"{name}/",
            sentence=f"parts must be in train/, val/ and test/, but there is {folder.at(name)}: "
            f"rename it to {part}/, or move it elsewhere",
        )
        for name, part in found.items()
    ]


def few_images(folder: "Folder", part: str, name: str, count: int) -> Fault | None:
    """That a class has too few images, if it has.

    Args:
        folder: Of all classes.
        part: Of it.
        name: The class.
        count: How many images it has.
    """
    if count >= LEAST[part]:
        return None
    place = f"{part}/{name}" if part else name
    return Fault(
        kind="few images",
        name=f"{place}/",
        sentence=f"at least {LEAST[part]} images must be in {folder.at(place)}, but found {count}",
    )


class _Tree:
    """The folders of classes, listed once each."""

    def __init__(self, folder: "Folder", parts: tuple[str, ...]) -> None:
        self._folder, self._parts = folder, parts
        self._classes = {part: self._class_names(part) for part in parts}
        self.hidden: list[str] = []
        self.junk: list[str] = []
        for part in dict.fromkeys((WHOLE, *parts)):
            self._leave_out(part)
        self.classes = tuple(sorted(set().union(*self._classes.values())))
        self._found = {
            (part, name): self._of_class(part, name)
            for part in parts
            for name in self._classes[part]
        }

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Part and class of each folder of a class."""
        return tuple(self._found)

    def _class_names(self, part: str) -> list[str]:
        return folders_in(self._place(part))

    def _place(self, part: str) -> "Folder":
        return self._folder.child(part) if part else self._folder

    def _leave_out(self, place: str) -> None:
        """Notes what in a folder is no part of the data."""
        inside, below = (self._folder.child(place), f"{place}/") if place else (self._folder, "")
        folders, files = inside.list()
        self.hidden += [f"{below}{each}" for each in inside.hidden()]
        self.junk += [f"{below}{each}" for each in (*folders, *files) if is_junk(each)]

    def _of_class(self, part: str, name: str) -> tuple[list[str], list[Fault]]:
        """The names of a class's images, and what is wrong with its folder."""
        place = f"{part}/{name}" if part else name
        inside = self._folder.child(place)
        folders, files = inside.list()
        self._leave_out(place)
        faults = [
            Fault(
                kind="folder in a class",
                name=f"{place}/{each}/",
                sentence=f"a class must hold images only, but {inside.at(each)} is a folder",
            )
            for each in folders
            if not is_junk(each)
        ]
        images = []
        for each in files:
            if is_junk(each):
                continue
            wrong = _wrong_with(inside, each)
            if wrong is None:
                images.append(f"{place}/{each}")
            else:
                faults.append(Fault(kind=wrong[0], name=f"{place}/{each}", sentence=wrong[1]))
        return images, faults

    def faults(self) -> Iterator[Fault]:
        """All of it: the parts, their classes, then what is in these."""
        if self._parts == (WHOLE,):
            other = other_layout(self._folder)
            if other is not None:
                yield other
                return  # what is in there is judged by another rule
        elif not {"train", "test"} <= {*self._parts}:
            yield self._parts_missing()
        for part in self._parts:
            yield from self._few_classes(part)
        for names in [set(each) for each in self._classes.values()]:
            if names != set(self.classes):
                yield from self._differing()
                break
        yield from self._unfit_names()
        for (part, name), (images, faults) in self._found.items():
            yield from faults
            few = few_images(self._folder, part, name, len(images))
            if few is not None:
                yield few

    def _parts_missing(self) -> Fault:
        missing = "train" if "test" in self._parts else "test"
        if missing in self._folder.list()[0]:
            sentence = (
                f"{missing}/ in {self._folder.place} must have a sub-folder for each class, as "
                f"{self._parts[0]}/ has, but has none"
            )
        else:
            found = ", ".join(self._parts)
            sentence = f"train/ and test/ must both be in {self._folder.place}, but only {found} is"
        if "val" in self._parts:
            sentence += "; to have val/ as the test part, rename it to test/"
        return Fault(kind="parts missing", name=f"{missing}/", sentence=sentence)

    def _few_classes(self, part: str) -> Iterator[Fault]:
        names = self._classes[part]
        if len(names) < MIN_CLASSES:
            found = f"only {names[0]!r}" if names else "none"
            sentence = (
                f"at least {MIN_CLASSES} classes, a sub-folder each, must be in "
                f"{self._place(part).place}: {found}"
            )
            yield Fault(kind="few classes", name=f"{part}/", sentence=sentence)

    def _differing(self) -> Iterator[Fault]:
        lacking = [
            (part, name)
            for part in self._parts
            for name in self.classes
            if name not in self._classes[part]
        ]
        together = ", ".join(sorted(name for _, name in lacking))
        for part, name in lacking:
            sentence = (
                f"{'/, '.join(self._parts[:-1])}/ and {self._parts[-1]}/ in {self._folder.place} "
                f"must have the same "
                f"classes; one lacks {together}"
            )
            yield Fault(kind="classes differ", name=f"{part}/{name}/", sentence=sentence)

    def _unfit_names(self) -> Iterator[Fault]:
        for part, names in self._classes.items():
            for name in names:
                if not name.isprintable() or not storable(name):
                    sentence = (
                        "a class must be named in printable UTF-8, but "
                        f"{self._place(part).place} has {name!a}"
                    )
                    place = f"{part}/{name}" if part else name
                    yield Fault(kind="class name", name=f"{place}/", sentence=sentence)
        for name, sentence in alike(self.classes):
            for part in self._parts:
                if name in self._classes[part]:
                    place = f"{part}/{name}" if part else name
                    yield Fault(kind="classes alike", name=f"{place}/", sentence=sentence)

    def part(self, part: str) -> Part:
        """The images of a part, class by class."""
        names: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(self.classes):
            images, _ = self._found.get((part, name), ([], []))
            names += images
            labels += [label] * len(images)
        return Part(names=tuple(names), labels=np.array(labels, dtype=np.int64))


def _wrong_with(folder: "Folder", name: str) -> tuple[str, str] | None:
    """The rule that the name of a file breaks, and a sentence; None where it breaks none."""
    if not folder.is_file(name):
        return "no file", f"an image must be a file, but {folder.at(name)} is none"
    if not storable(name):
        return "file name", f"an image must be named in UTF-8, but {folder.place} has {name!a}"
    return None
