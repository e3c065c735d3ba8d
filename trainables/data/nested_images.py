"""Classes whose images lie in one more folder each, as Tiny ImageNet has them, as tables of paths.

`train/n01443537/images/n01443537_0.JPEG`, with `val/images/val_0.JPEG` listed by
`val/val_annotations.txt`, and `test/images/test_0.JPEG` without labels.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from trainables.data.junk import is_junk
from trainables.data.layout import MIN_CLASSES, PART_WORDS, WHOLE
from trainables.data.other_layouts import IMAGE_ENDINGS, folders_in, may_be_image, part_named
from trainables.data.table_files import TableFile, in_memory

if TYPE_CHECKING:
    from trainables.data.files import Folder

Row = tuple[str, str | None]
"""Path of an image below the data set's folder, and its class if it has one."""
NAMES = ("path", "class")
ANNOTATIONS = ".txt"


def nested_tables(folder: "Folder") -> dict[str, TableFile] | None:
    """Part to a table of its images; None where a folder is not laid out so."""
    names = folders_in(folder)
    if "train" not in names:
        rows = None if any(map(part_named, names)) else _of_classes(folder, "", names)
        return None if rows is None else {WHOLE: _table(".", rows)}
    rows = _of_classes(folder, "train/", folders_in(folder.child("train")))
    if rows is None:
        return None
    tables = {"train": _table("train", rows)}
    for name in names:
        part = PART_WORDS.get(name)
        if part is not None and part not in tables:
            tables[part] = _of_part(folder, name)
    return {part: table for part, table in tables.items() if table.rows}


def _of_part(folder: "Folder", name: str) -> TableFile:
    """A part laid out so too, or in folders of classes, or with a text of names and classes."""
    inside = folder.child(name)
    folders, files = folders_in(inside), inside.list()[1]
    rows = _of_classes(folder, f"{name}/", folders)
    if rows is not None:
        return _table(name, rows)
    classes = folders if len(folders) >= MIN_CLASSES else [None] * len(folders)
    rows = [(f"{name}/{file}", None) for file in files if file.lower().endswith(IMAGE_ENDINGS)]
    rows += [
        (f"{name}/{place}/{file}", label)
        for place, label in zip(folders, classes, strict=True)
        for file in _images(inside.child(place))
    ]
    names = {path: path.rpartition("/")[2] for path, _ in rows}
    for file in files:
        if file.lower().endswith(ANNOTATIONS):
            lines = inside.read(file).decode("utf-8", "replace").splitlines()
            said = dict(line.split("\t")[:2] for line in lines if "\t" in line)
            if said.keys() & names.values():
                return _table(f"{name}/{file}", [(path, said.get(names[path])) for path, _ in rows])
    return _table(name, rows)


def _of_classes(folder: "Folder", place: str, names: Sequence[str]) -> list[Row] | None:
    """The images of classes that have nothing to read but a folder called alike, or as they are."""
    rows: list[Row] = []
    within = set()
    for name in names:
        inside = folder.child(f"{place}{name}")
        folders = folders_in(inside)
        if len(folders) != 1 or any(map(may_be_image, inside.list()[1])):
            return None
        images = _images(inside.child(folders[0]))
        rows += [(f"{place}{name}/{folders[0]}/{image}", name) for image in images]
        within.add("" if folders[0] == name else folders[0])
    return rows if rows and len(names) >= MIN_CLASSES and len(within) == 1 else None


def _images(folder: "Folder") -> list[str]:
    return [name for name in folder.list()[1] if not is_junk(name)]


def _table(name: str, rows: Sequence[Row]) -> TableFile:
    columns = zip(*rows, strict=True) if rows else ((), ())
    return in_memory(name, pa.table([pa.array(c, pa.string()) for c in columns], names=NAMES))
