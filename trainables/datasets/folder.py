"""Folder: your own images, in any format that Pillow reads, in folders of classes or in tables.

Either `<dir>/train/<class>/*` and `<dir>/test/<class>/*`, with `<dir>/val/<class>/*` to validate or
not, or `<dir>/<class>/*`, of which a fixed fifth, stratified, is the test part. An image:
`flowers/train/daisy/5547758.jpg`. Or tables, as `trainables.data.table_layout` has them.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.data.class_folders import find_layout
from trainables.data.dataset import (
    UNNAMED,
    DataSet,
    FaultyFilesError,
    Glance,
    LabeledImages,
    NamedColumns,
    OpenedDataSet,
)
from trainables.data.decoding import brightest, facts, formats_of, kind_of_fault, rgb, shorter_edge
from trainables.data.decoding import decode as _decode  # scripts elsewhere have it by this name
from trainables.data.layout import WHOLE, Fault, Layout, Part, with_test
from trainables.data.mapped_images import map_images, new_file
from trainables.data.near_duplicates import EDGE, small_picture
from trainables.data.survey import Survey, SurveyedImage, is_dark

if TYPE_CHECKING:
    from pathlib import Path

    from trainables.data.files import Folder


def open_image_folder(
    data_dir: str | None, image_size: int, columns: NamedColumns = UNNAMED
) -> OpenedDataSet:
    """Lists and hashes the images of a folder or table (path or fsspec address).

    Args:
        data_dir: The folder, or the table.
        image_size: Edge in pixels that images are scaled and cropped to.
        columns: What a user says of the columns of tables.

    Raises:
        FaultyFilesError: It is not laid out as one sub-folder per class, or rows are at fault.
        ValueError: If it is missing, or it is not clear which columns are meant.
    """
    if data_dir is None:
        raise ValueError(
            "the data set 'folder' needs --data-dir, a folder with one sub-folder per class, one "
            "of Parquet files, or a table of paths"
        )
    layout = _layout(data_dir, columns)
    if layout.faults:
        raise FaultyFilesError(*dict.fromkeys(fault.sentence for fault in layout.faults))
    names = [name for part in _parts(layout).values() for name in part.names]

    def read(name: str) -> tuple[str, int | None, int | None]:
        content = layout.folder.read(name)
        return hashlib.sha256(content).hexdigest(), shorter_edge(content), brightest(content)

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")
        found = [*threads.map(read, names)]
    hashes = {name: sha256 for name, (sha256, _, _) in zip(names, found, strict=True)}
    notes = (*layout.notes, *_darkness([highest for _, _, highest in found]))
    layout = replace(layout, notes=notes)
    return _opened(layout, hashes, [edge for _, edge, _ in found if edge], image_size)


def _darkness(brightest: Sequence[int | None]) -> Iterator[str]:
    """That images of 16 bits a channel are dark once they are read."""
    dark = [highest for highest in brightest if highest is not None and is_dark(highest)]
    if dark:
        yield (
            f"{len(dark):,} of {len(brightest):,} images become dark: of 16 bits a channel the "
            f"upper 8 are kept, but their data have 14 bits or fewer (nothing is above "
            f"{max(dark)} of 255). Save them scaled to all of 16 bits, or with 8."
        )


def _layout(data_dir: str, columns: NamedColumns) -> Layout:
    """What is stored there: folders of classes, or tables.

    Raises:
        ValueError: It cannot be listed or read, or it is not clear which columns are meant.
    """
    from trainables.data.files import open_place
    from trainables.data.table_layout import find_table_layout
    from trainables.data.table_places import find_tables

    folder, file = open_place(data_dir)
    tables = find_tables(folder, file)
    if tables is not None:
        return find_table_layout(tables, columns)
    if columns != UNNAMED:
        raise ValueError(
            f"columns can be named of tables alone, but {folder.place} has folders of classes"
        )
    return find_layout(folder)


def _opened(
    layout: Layout,
    hashes: Mapping[str, str],
    edges: Sequence[int],
    image_size: int,
    place: "Path | None" = None,
) -> OpenedDataSet:
    """The data set of a folder without faults.

    Args:
        layout: The folder.
        hashes: Of each image.
        edges: The shorter ones of the images.
        image_size: Edge in pixels that they are scaled and cropped to.
        place: The folder of files that they are decoded into; None: into memory.
    """
    folder, parts = layout.folder, _parts(layout)
    test, own = parts["test"], parts.get("val")
    training = parts["train"] if own is None else parts["train"].join(own)
    return OpenedDataSet(
        classes=layout.classes,
        files={**layout.tables, **({} if layout.embedded else hashes)},
        read_training=lambda: _read(layout, training, hashes, image_size, _file(place, "training")),
        read_test=lambda: _read(layout, test, hashes, image_size, _file(place, "test")),
        test_files=_test_files(layout, parts),
        check_test=lambda: _check(folder, test, hashes),
        own_validation=0 if own is None else len(own.names),
        image_counts=(len(training.names), len(test.names)),
        image_shape=(image_size, image_size, 3),
        duplicates=tuple(_duplicates(hashes, parts)),
        test_names=test.names,
        mapped_in=partial(_opened, layout, hashes, edges, image_size),
        groups=training.groups,
        notes=layout.notes,
        glance=Glance(
            counts={
                part: np.bincount(images.labels, minlength=len(layout.classes)).tolist()
                for part, images in parts.items()
            },
            shorter_edges=edges,
            left_out={what: names for what, names in layout.left_out.items() if names},
            scaled_to=partial(_opened, layout, hashes, edges),
        ),
    )


def _test_files(layout: Layout, parts: Mapping[str, Part]) -> frozenset[str]:
    """The files that have images of the test part alone."""
    files = {part: _files_of(layout, images) for part, images in parts.items()}
    return frozenset(files.pop("test").difference(*files.values()))


def _files_of(layout: Layout, part: Part) -> set[str]:
    """The files in which the images of a part are."""
    if not layout.embedded:
        return set(part.names)
    return {name.rpartition(":")[0] for name in part.names}


def _parts(layout: Layout) -> Mapping[str, Part]:
    """The parts of a folder without faults: `train`, `test`, and `val` where it is there."""
    return layout.parts if layout.divided else with_test(layout.parts[WHOLE])


def survey_image_folder(
    data_dir: str,
    each: Callable[[], object] = lambda: None,
    columns: NamedColumns = UNNAMED,
) -> Survey:
    """Lists a folder or table, and reads and decodes each image once, as training would.

    Args:
        data_dir: The folder, or the table.
        each: Called after each image, from several threads.
        columns: What a user says of the columns of tables.

    Raises:
        ValueError: It cannot be listed, or it is not clear which columns are meant.
    """
    layout = _layout(data_dir, columns)
    folder = layout.folder
    named = [
        (part, int(label), name)
        for part, images in layout.parts.items()
        for name, label in zip(images.names, images.labels, strict=True)
    ]

    def look(image: tuple[str, int, str]) -> SurveyedImage | Fault:
        found = _looked_at(folder, *image)
        each()
        return found

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")
        seen = [*threads.map(look, named)]
    images = tuple(image for image in seen if isinstance(image, SurveyedImage))
    faults = (*layout.faults, *(image for image in seen if isinstance(image, Fault)))
    if not faults and not layout.divided:
        in_test = frozenset(_parts(layout)["test"].names)
        images = tuple(replace(i, part="test" if i.name in in_test else "train") for i in images)
    return Survey(
        place=folder.path,
        classes=layout.classes,
        places=layout.places,
        divided=layout.divided,
        drawn=layout.drawn,
        images=images,
        faults=faults,
        left_out={what: names for what, names in layout.left_out.items() if names},
        notes=layout.notes,
        few=layout.few,
        thumbnail=lambda name, edge: _decode(folder.read(name), edge, folder.at(name)),
        open=partial(
            _opened,
            layout,
            {image.name: image.sha256 for image in images},
            [min(image.width, image.height) for image in images],
        ),
    )


def _looked_at(folder: "Folder", part: str, label: int, name: str) -> SurveyedImage | Fault:
    """One image, or what is wrong with its file."""
    try:
        content = folder.read(name)
    except ValueError as error:
        return Fault(kind="unreadable", name=name, sentence=str(error))
    try:
        pixels = _decode(content, EDGE, folder.at(name))
    except ValueError as error:
        return Fault(kind=kind_of_fault(content, str(error)), name=name, sentence=str(error))
    form, width, height, traits = facts(content)
    return SurveyedImage(
        name=name,
        part=part,
        label=label,
        sha256=hashlib.sha256(content).hexdigest(),
        form=form,
        width=width,
        height=height,
        traits=traits,
        small=small_picture(pixels),
        brightest=brightest(content),
    )


_SPOKEN = {"train": "training", "val": "validation", "test": "test"}


def _duplicates(files: Mapping[str, str], parts: Mapping[str, Part]) -> Iterator[str]:
    """Images of the same bytes in two parts, or in two classes; a sentence for each."""
    for part, other in (("test", "train"), ("test", "val"), ("val", "train")):
        if not {part, other} <= parts.keys():
            continue
        first = {files[name]: name for name in reversed(parts[other].names)}
        names = parts[part].names
        both = [name for name in names if files[name] in first]
        if both:
            yield (
                f"{len(both)} of {len(names)} {_SPOKEN[part]} images are also in the "
                f"{_SPOKEN[other]} part, e.g. {both[0]} is {first[files[both[0]]]}"
            )
    labels: dict[str, dict[int, str]] = {}
    for images in parts.values():
        for name, label in zip(images.names, images.labels.tolist(), strict=True):
            labels.setdefault(files[name], {}).setdefault(label, name)
    twice = [names for names in labels.values() if len(names) > 1]
    if twice:
        one, other, *_ = twice[0].values()
        found = "An image stands" if len(twice) == 1 else f"{len(twice):,} images stand"
        yield f"{found} in two classes: the same image is {one} and {other}"


def _check(folder: "Folder", part: Part, files: Mapping[str, str]) -> None:
    """Decodes each image of a part and throws it away.

    Raises:
        ValueError: Some cannot be decoded; the message names them.
    """
    _for_each(part, lambda index: _image(folder, part.names[index], files, 1))


def _image(
    folder: "Folder", name: str, files: Mapping[str, str], image_size: int
) -> npt.NDArray[np.uint8]:
    return _decode(folder.read(name, sha256=files[name]), image_size, folder.at(name))


def _for_each(part: Part, do: Callable[[int], object]) -> None:
    """Calls for each image, several at a time; all that fail are in one error."""

    def problem(index: int) -> str | None:
        try:
            do(index)
        except ValueError as error:
            return str(error)
        return None

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")  # what Pillow warns of is decoded, or refused by us
        wrong = [text for text in threads.map(problem, range(len(part.names))) if text]
    if wrong:
        raise FaultyFilesError(*wrong)


def _file(place: "Path | None", part: str) -> "Path | None":
    return None if place is None else place / f"{part}.uint8"


def _read(
    layout: Layout,
    part: Part,
    hashes: Mapping[str, str],
    image_size: int,
    path: "Path | None",
) -> LabeledImages:
    """Decodes one part, into a file or memory; of shape [images, image_size, image_size, 3]."""
    folder = layout.folder
    if layout.tables:
        from trainables.data.table_files import check_unchanged

        listing = _files_of(layout, part) if layout.embedded else layout.tables
        check_unchanged(folder, {name: layout.tables[name] for name in listing})
    shape = (len(part.names), image_size, image_size, 3)
    images = np.empty(shape, dtype=np.uint8) if path is None else new_file(path, shape)

    def read_one(index: int) -> None:
        images[index] = _image(folder, part.names[index], hashes, image_size)

    _for_each(part, read_one)
    if path is not None:
        return map_images(path, shape, part.labels)
    return LabeledImages(images=images, labels=part.labels)


def with_columns(columns: NamedColumns) -> DataSet:
    """The data set of which a user names columns."""
    return replace(
        DATASET,
        open=partial(open_image_folder, columns=columns),
        survey=partial(survey_image_folder, columns=columns),
    )


DATASET = DataSet(
    name="folder",
    summary="your own images: --data-dir with a sub-folder per class, Parquet files, or a table",
    open=open_image_folder,
    survey=survey_image_folder,
    with_columns=with_columns,
    licence="not stated: the images are those of whoever ran the study",
    standalone=(rgb, formats_of, _decode),
)
