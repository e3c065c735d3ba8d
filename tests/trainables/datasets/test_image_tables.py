"""Tables of images: found by type, metadata and content; what is not clear is refused in a line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_data_sets import error_of, in_memory, one_line
from made_up_tables import (
    CLASSES,
    COUNTS,
    IMAGE,
    metadata,
    parquet_folder,
    picture,
    published,
    saved_folder,
    write_csv,
    write_images,
)

from trainables.data import table_layout
from trainables.data.dataset import NamedColumns, OpenedDataSet
from trainables.datasets import folder


def opened(place: object, edge: int = 12, **columns: str) -> OpenedDataSet:
    dataset = folder.DATASET
    if columns:
        assert dataset.with_columns is not None
        dataset = dataset.with_columns(NamedColumns(**columns))
    return dataset.open(str(place), edge)


@pytest.mark.parametrize("lay_out", [parquet_folder, saved_folder])
def test_a_published_data_set_is_found_without_a_word(lay_out, tmp_path):
    data = opened(lay_out(tmp_path / "数据"))
    assert data.classes == CLASSES
    assert data.own_validation == COUNTS["validation"]
    training, test = data.read_training(), data.read_test()
    assert (len(training), len(test)) == (30, 9)
    for part in (training, test):
        assert part.images.dtype == np.uint8
        assert part.images[..., :].mean(axis=(1, 2)).argmax(1).tolist() == part.labels.tolist()
    assert data.duplicates == ()


def test_both_forms_of_the_same_rows_give_the_same_images(tmp_path):
    one = opened(saved_folder(tmp_path / "saved", {"train": 12, "test": 6}))
    (tmp_path / "parquet").mkdir()
    for start, (part, count) in enumerate({"train": 12, "test": 6}.items()):
        pq.write_table(published(1000 * start, count), tmp_path / "parquet" / f"{part}.parquet")
    other = opened(tmp_path / "parquet")
    for read in ("read_training", "read_test"):
        assert np.array_equal(getattr(one, read)().images, getattr(other, read)().images)


def test_the_hashes_are_those_of_the_tables_and_test_files_are_those_of_the_test_part(tmp_path):
    data = opened(parquet_folder(tmp_path))
    assert len(data.files) == 6
    assert data.test_files == {name for name in data.files if "test" in name}
    assert data.test_names[0] == "data/test-00000-of-00002.parquet:0"


def test_a_data_set_is_read_by_fsspec_address(tmp_path):
    for lay_out in (parquet_folder, saved_folder):
        base = lay_out(tmp_path / lay_out.__name__)
        local, remote = opened(base), opened(in_memory(base, lay_out.__name__))
        assert local.files == remote.files
        assert np.array_equal(local.read_training().images, remote.read_training().images)


def test_without_a_test_part_a_fixed_fifth_is_one_whatever_else_there_is(tmp_path):
    alone = opened(parquet_folder(tmp_path / "alone", {"train": 30}))
    assert (alone.image_counts, alone.own_validation) == ((24, 6), 0)
    with_val = opened(parquet_folder(tmp_path / "val", {"train": 30, "validation": 6}))
    assert (with_val.image_counts, with_val.own_validation) == ((30, 6), 6)
    assert any("There is no test part: a fixed fifth of train" in note for note in with_val.notes)
    assert np.bincount(with_val.read_test().labels).tolist() == [2, 2, 2]


def test_a_test_part_without_labels_is_left_out_and_that_is_said(tmp_path):
    parquet_folder(tmp_path, {"train": 30})
    table = published(9000, 6)
    hidden = table.set_column(1, "labels", pa.array([-1] * 6))
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    pq.write_table(hidden.replace_schema_metadata(table.schema.metadata), path)
    data = opened(tmp_path)
    assert data.image_counts == (24, 6)
    assert "No image of test has a label: that part is left out." in data.notes


def test_a_part_is_also_that_of_a_folder_and_other_tables_are_left_out(tmp_path):
    for part in ("train", "test"):
        (tmp_path / "default" / part).mkdir(parents=True)
        table = published(len(part) * 100, 12)
        pq.write_table(table, tmp_path / "default" / part / "0000.parquet")
    pq.write_table(published(5, 3), tmp_path / "default" / "extra.parquet")
    data = opened(tmp_path)
    assert data.image_counts == (12, 12)
    assert data.glance is not None
    assert data.glance.left_out == {"tables that are of no part": ("default/extra.parquet",)}


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_of_paths_is_found_by_its_content(ending, tmp_path):
    rows = write_images(tmp_path, 30)
    for i, row in enumerate(rows):
        row |= {"id": str(i), "fold": ("train", "train", "Val", "test")[i % 4]}
    path = tmp_path / f"labels.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        write_csv(path, rows, "," if ending == "csv" else "\t")
    data = opened(path)
    assert data.classes == ("blue", "green", "red")
    assert (data.image_counts, data.own_validation) == ((23, 7), 7)
    assert data.test_names[0] == "images/bild 003 ü.png"
    assert set(data.files) == {path.name, *(row["file"] for row in rows)}
    assert data.test_files == set(data.test_names)
    assert "parts are column 'fold'" in data.notes[0]


def test_a_table_with_semicolons_and_a_mark_of_bytes_is_read(tmp_path):
    rows = write_images(tmp_path, 15)
    path = write_csv(tmp_path / "labels.csv", rows, ";")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert opened(path).image_counts == (12, 3)


def test_labels_that_look_alike_are_not_two_classes(tmp_path):
    rows = write_images(tmp_path, 15)
    for row, label in zip(rows, ("caf\u00e9", "cafe\u0301"), strict=False):
        row["species"] = label
    error = error_of(folder.DATASET, write_csv(tmp_path / "labels.csv", rows))
    assert "look different, but 'cafe\\u0301' and 'caf\\xe9' differ in spaces" in error


@pytest.mark.parametrize("labels", [["1", "01", "2"], ["01", "1", "2"]])
def test_numbers_that_are_written_in_two_ways_have_one_order(labels):
    assert sorted(labels, key=table_layout._in_order) == ["01", "1", "2"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", ("trainval", "test")),
        ("Usage", ("Training", "PublicTest")),
        ("fold", ("a", "val")),
    ],
)
def test_a_column_of_parts_of_which_some_are_unknown_is_refused(column, values, tmp_path):
    rows = write_images(tmp_path, 30)
    for i, row in enumerate(rows):
        row[column] = values[i % 2]
    error = error_of(folder.DATASET, write_csv(tmp_path / "labels.csv", rows))
    assert f"each row must say train, val or test in column '{column}'" in error


@pytest.mark.parametrize(
    ("column", "values"), [("split", ("tr", "te")), ("split", (0, 1)), ("is_test", (False, True))]
)
def test_a_column_that_may_be_of_parts_and_is_not_used_is_said(column, values, tmp_path):
    rows = write_images(tmp_path, 30)
    for i, row in enumerate(rows):
        row[column] = values[i % 2]
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    (note,) = [n for n in opened(path, label="species").notes if "is not used" in n]
    assert note.startswith(f"Column '{column}' is not used: which part an image is of")


def test_a_folder_with_images_and_a_table_of_them_points_to_the_table(tmp_path):
    path = write_csv(tmp_path / "labels.csv", write_images(tmp_path, 9))
    assert f"if a table lists the images, name that: {path}" in error_of(folder.DATASET, tmp_path)


def test_paths_may_lead_anywhere(tmp_path):
    rows = write_images(tmp_path / "far", 15)
    (tmp_path / "near").mkdir()
    for i, row in enumerate(rows):
        row["file"] = str(tmp_path / "far" / row["file"]) if i % 2 else f"../far/{row['file']}"
    assert opened(write_csv(tmp_path / "near" / "labels.csv", rows)).image_counts == (12, 3)


def test_numbers_are_classes_in_their_order(tmp_path):
    rows = write_images(tmp_path, 33)
    for i, row in enumerate(rows):
        row["species"] = str(8 + i % 3)
    assert opened(write_csv(tmp_path / "labels.csv", rows)).classes == ("8", "9", "10")


def test_classes_without_an_image_are_left_out_and_that_is_said(tmp_path):
    table = published(0, 30)
    features = {"image": {"_type": "Image"}, "labels": {"names": [*"abcde"], "_type": "ClassLabel"}}
    pq.write_table(table.replace_schema_metadata(metadata(features)), tmp_path / "train.parquet")
    data = opened(tmp_path)
    assert data.classes == ("a", "b", "c")
    assert any("2 of the 5 classes that the metadata name have no image" in n for n in data.notes)


def tables_of(base, **columns):
    """One Parquet file with such columns beside images."""
    count = len(next(iter(columns.values())))
    images = pa.array([{"bytes": picture(i, 0), "path": None} for i in range(count)], IMAGE)
    pq.write_table(pa.table({"img": images, **columns}), base / "train.parquet")
    return base


def test_two_columns_that_may_be_labels_are_refused_with_both_and_either_can_be_named(tmp_path):
    fine, coarse = [i % 6 for i in range(30)], [i % 2 for i in range(30)]
    tables_of(tmp_path, fine=fine, coarse=coarse)
    message = error_of(folder.DATASET, tmp_path)
    assert message == (
        "one column of train.parquet must have labels, but fine, coarse may; name it with "
        "--label-column, of img (struct<bytes: binary, path: string>), fine (int64), coarse (int64)"
    )
    assert len(opened(tmp_path, label="fine").classes) == 6
    assert len(opened(tmp_path, label="coarse").classes) == 2


def test_two_columns_of_images_are_refused_with_both_and_either_can_be_named(tmp_path):
    images = pa.array([{"bytes": picture(i, 0), "path": None} for i in range(12)], IMAGE)
    table = pa.table({"photo": images, "mask": images, "label": [i % 2 for i in range(12)]})
    pq.write_table(table, tmp_path / "train.parquet")
    assert "images, or paths" in error_of(folder.DATASET, tmp_path)
    assert "but photo, mask may; name it with --image-column" in error_of(folder.DATASET, tmp_path)
    assert opened(tmp_path, image="mask").image_counts == (10, 2)


def test_plain_bytes_and_a_column_called_label_are_enough(tmp_path):
    images = pa.array([picture(i, 0) for i in range(12)], pa.binary())
    labels = pa.array([*"ab"] * 6).dictionary_encode()
    table = pa.table({"label": labels, "source": ["x", "y", "z"] * 4, "content": images})
    pq.write_table(table, tmp_path / "photos.parquet")
    assert opened(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"label": "nosuch"}, r"train.parquet has no column 'nosuch'; choose from img, kind"),
        (
            {"label": "kind", "group": "kind"},
            r"images, labels and groups must be columns of their own",
        ),
        ({"label": "many"}, r"must have numbers or texts, but many has list<"),
        ({"group": "many", "label": "kind"}, r"must have numbers or texts, but many has list<"),
        ({"group": "kind"}, r"one column of train.parquet must have labels, but none does"),
    ],
)
def test_a_column_that_cannot_be_meant_is_refused(columns, rule, tmp_path):
    tables_of(tmp_path, kind=[*"ab"] * 6, many=[[1, 2]] * 12)
    with pytest.raises(ValueError, match=rule):
        opened(tmp_path, **columns)


def test_columns_are_named_of_tables_alone(classes_dir):
    with pytest.raises(ValueError, match="columns can be named of tables alone"):
        opened(classes_dir, label="x")


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda rows: rows[3].update(species=""), "each image must have a label, but .* has none"),
        (lambda rows: rows.append(rows[3] | {"species": "red"}), "stand in one row, but .*003"),
        (lambda rows: rows[3].update(file="images/gone.png"), "must be that of an image file, but"),
        (
            lambda rows: rows[3].update(species="new"),
            "at least 3 images of 'new' must be there, but",
        ),
        (lambda rows: [row.update(species="one") for row in rows], "at least 2 classes"),
    ],
)
def test_what_is_wrong_with_rows_is_told_in_a_line(spoil, rule, tmp_path):
    rows = write_images(tmp_path, 30)
    spoil(rows)
    path = write_csv(tmp_path / "labels.csv", rows)
    with pytest.raises(ValueError, match=rf"\A[^\n]*{rule}[^\n]*\Z"):
        opened(path)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "its first line must name each column"),
        (b"labels.csv,b\nlabels.csv,2\n", "must name the columns, but has the path labels.csv"),
        (b"a,b\n1,2\n1\n", "row 3 must have 2 values, but has 1"),
        (b"a,a\n1,2\n", "must name each column, once"),
        (b",a,b\n0,1,2\n", "is an index of pandas: leave it out by to_csv(..., index=False)"),
        (b"a,b\n\xff,2\n", "must be written in UTF-8"),
        (b'a,b\n"1,2\n', "cannot read"),
    ],
)
def test_a_damaged_csv_file_is_refused_in_a_line(content, rule, tmp_path):
    (tmp_path / "labels.csv").write_bytes(content)
    assert rule in one_line(lambda: opened(tmp_path / "labels.csv"))


def test_a_damaged_parquet_file_is_refused_in_a_line(tmp_path):
    parquet_folder(tmp_path)
    path = tmp_path / "data" / "train-00000-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert f"cannot read {path}" in error_of(folder.DATASET, tmp_path)


def test_a_missing_shard_is_refused(tmp_path):
    parquet_folder(tmp_path)
    (tmp_path / "data" / "train-00001-of-00002.parquet").unlink()
    assert "all 2 files data/train-*-of-00002 must be in" in error_of(folder.DATASET, tmp_path)


def test_tables_of_two_data_sets_are_refused_with_both_folders(tmp_path):
    for name in ("large", "small"):
        (tmp_path / name).mkdir()
        pq.write_table(published(0, 12), tmp_path / name / "train.parquet")
    assert "but lie in large, small; name one" in error_of(folder.DATASET, tmp_path)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(picture(0, 0))
    assert "listed in a table that ends with .parquet, .arrow, .feather, .csv" in error_of(
        folder.DATASET, tmp_path / "cat.jpg"
    )


def test_a_folder_of_classes_stays_one_whatever_tables_lie_beside(classes_dir):
    pq.write_table(published(0, 3), classes_dir / "predictions.parquet")
    assert opened(classes_dir).classes == ("a cat", "hund", "été")


def test_an_image_that_stands_in_training_and_test_is_said(tmp_path):
    for part in ("train", "test"):
        pq.write_table(published(0, 12), tmp_path / f"{part}.parquet")
    (sentence,) = opened(tmp_path).duplicates
    assert sentence.startswith("12 of 12 test images are also in the training part, e.g. test.par")


def test_a_row_without_an_image_is_named(tmp_path):
    table = published(0, 12)
    values = table["image"].to_pylist()
    values[7] = {"bytes": None, "path": "/elsewhere/x.png"}
    spoiled = table.set_column(0, "image", pa.array(values, IMAGE))
    path = tmp_path / "train.parquet"
    pq.write_table(spoiled.replace_schema_metadata(table.schema.metadata), path)
    message = error_of(folder.DATASET, tmp_path)
    assert "train.parquet:7: the row has the path '/elsewhere/x.png' of an image" in message


def test_a_table_that_changes_after_it_was_opened_is_refused(tmp_path):
    rows = write_images(tmp_path, 15)
    data = opened(write_csv(tmp_path / "labels.csv", rows))
    (tmp_path / rows[0]["file"]).write_bytes(picture(99, 1))
    with pytest.raises(ValueError, match="has changed: expected SHA-256"):
        data.read_training()


# Groups


@pytest.mark.parametrize("seed", range(20))
def test_a_group_is_in_one_part_whole(seed, tmp_path):
    random = np.random.default_rng(seed)
    labels = np.arange(60) % 3
    patients = random.integers(0, 12, 60).astype(str)
    tables_of(tmp_path, label=labels, patient=patients)
    data = opened(tmp_path, group="patient")
    assert data.groups is not None
    test = [int(name.rpartition(":")[2]) for name in data.test_names]
    train = [i for i in range(60) if i not in test]
    assert not set(patients[train]) & set(patients[test])
    assert [len(set(data.groups[patients[train] == each])) for each in set(patients[train])] == [
        1
    ] * len(set(patients[train]))
    assert any("groups by column 'patient': each is in one part whole" in n for n in data.notes)


def test_groups_that_lie_in_two_parts_are_refused(tmp_path):
    rows = write_images(tmp_path, 30)
    for i, row in enumerate(rows):
        row |= {"split": "test" if i % 5 == 0 else "train", "burst": str(i // 3)}
    path = write_csv(tmp_path / "labels.csv", rows)
    with pytest.raises(ValueError, match="must lie in one part whole, but burst=0 is in train and"):
        opened(path, group="burst")


def test_images_without_a_group_are_each_on_their_own(tmp_path):
    rows = write_images(tmp_path, 30)
    for i, row in enumerate(rows):
        row["burst"] = str(i // 3) if i < 15 else ""
    data = opened(write_csv(tmp_path / "labels.csv", rows), group="burst")
    assert any("5 groups by column 'burst'" in n and "15 images have none" in n for n in data.notes)


def test_a_class_in_too_few_groups_is_named(tmp_path):
    rows = write_images(tmp_path, 30)
    for row in rows:
        row["patient"] = "one" if row["species"] == "red" else row["file"]
    path = write_csv(tmp_path / "labels.csv", rows)
    with pytest.raises(ValueError, match=r"at least 3 groups.* but 'red' has them in 1"):
        opened(path, group="patient")


def test_with_validation_and_no_test_part_a_class_needs_an_image_more(tmp_path):
    rows = write_images(tmp_path, 24)
    for i, row in enumerate(rows):
        row |= {"split": "train" if i < 15 else "val", "burst": str(i // 3)}
    path = write_csv(tmp_path / "labels.csv", rows)
    data = opened(path, group="burst")
    assert (data.image_counts, data.own_validation) == ((21, 3), 9)
    for row in rows[6:15]:
        row["burst"] = "1"
    write_csv(path, rows)
    with pytest.raises(ValueError, match=r"at least 3 groups of train.* but 'blue' has them in 2"):
        opened(path, group="burst")
    rows[0]["species"], rows[1]["species"] = "rare", "rare"
    write_csv(path, rows)
    with pytest.raises(ValueError, match="at least 3 images of 'rare' must be there to train, but"):
        opened(path)


def test_a_column_that_may_be_of_groups_is_pointed_to(tmp_path):
    tables_of(tmp_path, label=[0, 1] * 6, patient_id=[*"aabbccddeeff"])
    assert any("--group-column patient_id" in note for note in opened(tmp_path).notes)
