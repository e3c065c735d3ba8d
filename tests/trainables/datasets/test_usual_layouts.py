"""Data sets laid out as contests and libraries publish them: read, or told what to name instead."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import encoded, error_of

from trainables.data.dataset import NamedColumns
from trainables.datasets import folder

CLASSES = ("cat", "dog", "owl")


def lay_out(base: Path, files: Mapping[str, str], *images: str) -> Path:
    """Writes text files, and images each of its own colour; `{}` in a name counts 18 of them."""
    for number, name in enumerate(name.format(i) for name in images for i in range(18)):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.full((8, 8, 3), number, dtype=np.uint8)))
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return base


def rows(between: str, *names: str, ending: str = "") -> str:
    """Lines of names and of what stands beside each of 18 images."""
    lines = [between.join([f"{i}{ending}", CLASSES[i % 3]]) for i in range(18)]
    return "\n".join([between.join(names), *lines])


FLAGS = "\n".join(["filename,cat,dog", *(f"{i}.png,{i % 2},{1 - i % 2}" for i in range(18))])


@pytest.mark.parametrize(
    ("files", "images", "told"),
    [
        ({}, ["train/cat.{}.png", "test1/{}.png"], "test1, train in {} have none"),
        (
            {"cars_devkit/cars_train.mat": ""},
            ["cars_train/{}.png", "cars_test/{}.png"],
            "cars_test, cars_train in {0} have none; what is in {0}/cars_devkit/cars_train.mat is",
        ),
        (
            {},
            [*(f"Training/{name}/{{}}.png" for name in CLASSES), "Test/{}.png"],
            "parts must have a sub-folder for each class, but Test in {} has none",
        ),
        (
            {"sample_submission.csv": "id\n", "train.csv": rows(",", "id", "label")},
            ["train_images/{}.png", "test_images/{}.png"],
            "have none; if a table lists the images, name that: {}/train.csv",
        ),
        (
            {"train/_classes.csv": FLAGS, "valid/_classes.csv": FLAGS},
            ["train/{}.png", "valid/{}.png"],
            "must have the class of each image, but cat, dog are of 0 and 1 each",
        ),
        (
            {"meta/train.txt": "a/1", "README.txt": ""},
            [f"images/{name}/{{}}.png" for name in CLASSES],
            "0 of 2 have images; the classes may be the folders in {}/images: name that",
        ),
        (
            {},
            [f"{kind}/{name}/{{}}.png" for kind in ("pet", "wild") for name in CLASSES],
            "the classes may be the folders in {0}/pet, or in {0}/wild: name one of these",
        ),
        (
            {},
            [f"a/b/{part}/{name}/{{}}.png" for part in ("train", "test") for name in CLASSES],
            "only 'a'; the classes may be the folders in {}/a/b: name that",
        ),
        (
            {"annotations.json": "{}"},
            ["images/{}.png"],
            "only 'images'; if {}/annotations.json has the labels, write them",
        ),
        (
            {},
            [*(f"train/{name}/{{}}.png" for name in CLASSES), "test/{}.png"],
            "test/ in {} must have a sub-folder for each class, as train/ has, but has none",
        ),
        ({"shard-000000.tar": ""}, [], "none; unpack {}/shard-000000.tar, and look again"),
        ({"photos.zip": ""}, [], "none; what is in it is zip://::{}/photos.zip"),
        ({"data.npz": ""}, [], "what is in {}/data.npz is read by a data set of your own alone"),
    ],
)
def test_what_is_no_folder_of_classes_is_told_what_to_name_or_do(
    files: Mapping[str, str], images: list[str], told: str, tmp_path: Path
) -> None:
    place = lay_out(tmp_path, files, *images)
    assert told.format(place) in error_of(folder.DATASET, place)


@pytest.mark.parametrize(
    ("name", "text", "images", "told"),
    [
        (
            "train.csv",
            rows(",", "id", "breed"),
            ["train_images/{}.png", "test_images/{}.png"],
            "'0' is train_images/0.png",
        ),
        (
            "train.csv",
            "image_id,label\n" + "\n".join(f"{i}.png,{i % 3}" for i in range(18)),
            ["train_images/{}.png"],
            "'0.png' is train_images/0.png",
        ),
        (
            "labels.csv",
            rows(",", "image_id", "dx", ending=".png"),
            ["part_1/{}.png"],
            "'0.png' is part_1/0.png",
        ),
        ("labels.tsv", rows("\t", "id", "label"), ["{}.png"], "'0' is 0.png"),
        (
            "metadata.jsonl",
            "\n".join(
                json.dumps({"file_name": f"{i}.png", "text": CLASSES[i % 3]}) for i in range(18)
            ),
            ["{}.png"],
            None,
        ),
    ],
)
def test_images_are_found_by_their_names_beside_a_table_and_that_is_said(
    name: str, text: str, images: list[str], told: str | None, tmp_path: Path
) -> None:
    place = lay_out(tmp_path, {name: text}, *images)
    data = folder.DATASET.open(str(place / name), 8)
    assert data.classes in {CLASSES, ("0", "1", "2")}
    first = images[0].format(0)
    assert len(data.files) == 19  # the table too
    assert first in data.files
    said = [note for note in data.notes if "are found elsewhere" in note]
    assert len(said) == (told is not None)
    assert all(note.endswith(f"{told}.") for note in said)
    read = data.read_training()
    assert [int(image[0, 0, 0]) % 3 for image in read.images] == read.labels.tolist()


def test_parts_with_a_table_each_are_read_by_it_though_their_images_have_the_same_names(
    tmp_path: Path,
) -> None:
    text = rows(",", "file_name", "label", ending=".png")
    files = {f"{part}/metadata.csv": text for part in ("train", "test")}
    place = lay_out(tmp_path, files, "train/{}.png", "test/{}.png")
    data = folder.DATASET.open(str(place), 8, NamedColumns())
    assert not [note for note in data.notes if "are found elsewhere" in note]
    assert sorted(data.read_training().images[:, 0, 0, 0]) == [*range(18)]
    assert sorted(data.read_test().images[:, 0, 0, 0]) == [*range(18, 36)]


def test_a_name_that_several_folders_have_is_that_of_no_file(tmp_path: Path) -> None:
    text = rows(",", "id", "label")
    place = lay_out(tmp_path, {"labels.csv": text}, "old/{}.png", "new/{}.png")
    (tmp_path / "new" / "0.png").unlink()
    with pytest.raises(ValueError, match="each path must be that of an image file"):
        folder.DATASET.open(str(place / "labels.csv"), 8, NamedColumns(image="id"))


def test_parts_beside_another_folder_are_classes_and_that_is_said(tmp_path: Path) -> None:
    place = lay_out(tmp_path, {}, "train/{}.png", "test/{}.png", "bus/{}.png")
    data = folder.DATASET.open(str(place), 8)
    assert data.classes == ("bus", "test", "train")
    assert "The folders test, train are taken for classes, as the others are." in data.notes
