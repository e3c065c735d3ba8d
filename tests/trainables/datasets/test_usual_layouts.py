"""Data sets laid out as contests and libraries publish them: read, or told what to name instead."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
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


FLAGS = [
    ",".join([f"{i}.png", *(f"{float(i % 3 == c)}" for c in range(3)), "0.0"]) for i in range(18)
]
FLAG_NAMES = "filename,cat,dog,owl,unknown"


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
            {
                "train/_classes.csv": "\n".join([FLAG_NAMES, *FLAGS]),
                "valid/_classes.csv": "\n".join([FLAG_NAMES, "0.png,0,0,0,0", "1.png,1,1,0,0"]),
            },
            ["train/{}.png", "valid/{}.png"],
            "exactly one of cat, dog, owl be 1 in each row, but none is in 1 rows and several are "
            "in 1: 0.png (0), 1.png (2); leave",
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


def tiny_imagenet(place: Path, *more: str) -> Path:
    """Of three classes, with the images to validate beside a text that has their classes."""
    said = "\n".join(f"{i}.png\t{CLASSES[i % 3]}\t0\t0\t7\t7" for i in range(18))
    texts = {
        "val/val_annotations.txt": said,
        "words.txt": "",
        "train/cat/cat_boxes.txt": "0.png\t0",
    }
    train = [f"train/{name}/images/{{}}.png" for name in CLASSES]
    return lay_out(place, texts, *train, "val/images/{}.png", "test/images/{}.png", *more)


def test_classes_that_have_their_images_in_a_folder_each_are_read_as_tiny_imagenets_are(
    tmp_path: Path,
) -> None:
    data = folder.DATASET.open(str(tiny_imagenet(tmp_path)), 8)
    assert (data.classes, data.own_validation) == (CLASSES, 18)
    assert "No image of test has a label: that part is left out." in data.notes
    assert "There is no test part: a fixed fifth of training, stratified, is one." in data.notes
    read = [data.read_training(), data.read_test()]
    for each in (image for part in read for image in zip(part.images, part.labels, strict=True)):
        number, label = int(each[0][0, 0, 0]), int(each[1])
        assert label == (number % 3 if number >= 54 else number // 18)


def test_the_same_of_a_part_alone_and_beside_a_part_in_folders_of_classes(tmp_path: Path) -> None:
    place = tiny_imagenet(tmp_path / "a")
    assert folder.DATASET.open(str(place / "train"), 8).image_counts == (43, 11)
    more = [f"valid/{name}/{{}}.png" for name in CLASSES]
    other = tiny_imagenet(tmp_path / "b", *more)
    (other / "val").rename(tmp_path / "elsewhere")
    assert folder.DATASET.open(str(other), 8).own_validation == 54


def test_classes_that_lie_in_a_folder_of_their_own_name_are_read(tmp_path: Path) -> None:
    place = lay_out(tmp_path, {}, *(f"{name}/{name}/{{}}.png" for name in CLASSES))
    assert folder.DATASET.open(str(place), 8).classes == CLASSES


@pytest.mark.parametrize("path", [r"C:\data\0.png", "/elsewhere/0.png", "0.PNG", "s3://b/0.png"])
def test_a_path_that_leads_to_no_file_is_told_where_no_column_has_any(
    path: str, tmp_path: Path
) -> None:
    text = rows(",", "file", "label", ending=".png").replace("0.png", path, 1)
    place = lay_out(tmp_path, {"labels.csv": text}, "others/{}.jpg")
    with pytest.raises(ValueError, match="must be files below") as told:
        folder.DATASET.open(str(place / "labels.csv"), 8)
    assert repr(path) in str(told.value)


def test_an_image_that_the_text_beside_it_does_not_have_is_named(tmp_path: Path) -> None:
    place = tiny_imagenet(tmp_path)
    (place / "val/images/0.png").rename(place / "val/images/new.png")
    told = error_of(folder.DATASET, place)
    assert told.endswith(f"each image must have a label, but {place}/val/images/new.png has none")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_column_for_each_class_of_which_one_is_1_is_read_as_labels(
    ending: str, tmp_path: Path
) -> None:
    place = lay_out(tmp_path, {"labels.csv": "\n".join([FLAG_NAMES, *FLAGS])}, "{}.png")
    if ending == "parquet":
        pd.read_csv(place / "labels.csv").to_parquet(place / "labels.parquet")
    data = folder.DATASET.open(str(place / f"labels.{ending}"), 8)
    assert data.classes == CLASSES
    assert any("labels are which of the columns cat, dog, owl is 1" in each for each in data.notes)
    read = data.read_training()
    assert [int(image[0, 0, 0]) % 3 for image in read.images] == read.labels.tolist()


def test_columns_of_0_and_1_beside_others_that_may_be_labels_are_not_chosen_among(
    tmp_path: Path,
) -> None:
    text = "\n".join(
        [f"{FLAG_NAMES},sex", *(f"{row},{'fm'[i % 2]}" for i, row in enumerate(FLAGS))]
    )
    place = lay_out(tmp_path, {"labels.csv": text}, "{}.png")
    with pytest.raises(ValueError, match="but sex may, and so may cat, dog, owl together"):
        folder.DATASET.open(str(place / "labels.csv"), 8)


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
