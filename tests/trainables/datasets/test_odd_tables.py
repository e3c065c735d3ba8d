"""Tables that people and programs really write, met by trying to break the reader of them."""

import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_data_sets import error_of, in_memory
from made_up_tables import CLASSES, IMAGE, metadata, picture, published, write_csv, write_images
from PIL import Image
from pyarrow import feather

from trainables.data.dataset import NamedColumns, OpenedDataSet
from trainables.data.decoding import formats_of
from trainables.data.table_columns import IMAGE_ENDINGS
from trainables.datasets import folder

COUNT = 24
NAMED = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}


def opened(place: Path, **columns: str) -> OpenedDataSet:
    return folder.with_columns(NamedColumns(**columns)).open(str(place), 12)


def refusal(place: Path) -> str:
    return str(error_of(folder.DATASET, place))


def images() -> pa.Array:
    made = [{"bytes": picture(i, i % 3), "path": None} for i in range(COUNT)]
    return pa.array(made, IMAGE)


def written(base: Path, labels: pa.Array, features: Any = NAMED, name: str = "a.parquet") -> Path:
    table = pa.table({"image": images(), "label": labels})
    pq.write_table(table.replace_schema_metadata(metadata(features)), base / name)
    return base


def test_labels_that_pandas_has_made_floats_are_the_numbers_they_were(tmp_path: Path) -> None:
    labels = pa.array([float(i % 3) for i in range(COUNT)])
    assert opened(written(tmp_path, labels)).classes == CLASSES


def test_a_label_that_the_metadata_do_not_name_is_named_by_its_row(tmp_path: Path) -> None:
    names = [CLASSES[i % 3] for i in range(COUNT - 1)]
    message = refusal(written(tmp_path, pa.array([*names, "violet"])))
    assert f"a.parquet:{COUNT - 1} has none" in message


def test_metadata_that_list_no_classes_are_refused(tmp_path: Path) -> None:
    features = {**NAMED, "label": {"names": 5, "_type": "ClassLabel"}}
    labels = pa.array([i % 3 for i in range(COUNT)])
    assert "must list the classes of label" in refusal(written(tmp_path, labels, features))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    labels = pa.array([i % 3 for i in range(COUNT)])
    table = pa.Table.from_arrays([images(), labels, labels], ["image", "label", "label"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert "must have each column once, but has label again" in refusal(tmp_path)


def test_shards_whose_columns_hold_other_things_are_refused(tmp_path: Path) -> None:
    pq.write_table(published(0, COUNT), tmp_path / "train-00000-of-00002.parquet")
    other = pa.table({"image": ["a.png"] * 3, "labels": [0, 1, 2]})
    pq.write_table(other, tmp_path / "train-00001-of-00002.parquet")
    assert "differ in image (images and text)" in refusal(tmp_path)


def test_shards_whose_columns_stand_in_another_order_are_one_data_set(tmp_path: Path) -> None:
    one = published(0, COUNT)
    pq.write_table(one, tmp_path / "train-00000-of-00002.parquet")
    other = published(1000, COUNT).select(["labels", "image"])
    pq.write_table(other, tmp_path / "train-00001-of-00002.parquet")
    assert sum(opened(tmp_path).image_counts or ()) == 2 * COUNT


@pytest.mark.parametrize(
    ("word", "said"), [("tset", "'tset'"), ("", "nothing"), ("holdout", "'holdout'")]
)
def test_a_row_that_says_no_part_where_the_others_do_is_not_passed_over(
    word: str, said: str, tmp_path: Path
) -> None:
    rows = write_images(tmp_path, COUNT)
    parts = ["train"] * 15 + ["test"] * 8 + [word]
    rows = [{**row, "split": part} for row, part in zip(rows, parts, strict=True)]
    message = refusal(write_csv(tmp_path / "t.csv", rows))
    assert "must say train, val or test in column 'split' of t.csv" in message
    assert f"as 23 do, but 1 say {said}; " in message


@pytest.mark.parametrize("column", ["split", "Fold", "data_set"])
@pytest.mark.parametrize(
    ("word", "said"), [("tset", "'tset'"), ("", "nothing"), ("holdout", "'holdout'")]
)
def test_a_third_that_says_no_part_in_a_column_called_so_is_not_trained_on(
    column: str, word: str, said: str, tmp_path: Path
) -> None:
    rows = write_images(tmp_path, COUNT)
    parts = ["Train"] * 16 + [word] * 8
    rows = [{**row, column: part} for row, part in zip(rows, parts, strict=True)]
    message = refusal(write_csv(tmp_path / "t.csv", rows))
    rule = f"each row must say train, val or test in column {column!r} of t.csv"
    assert f"{rule}, as 16 do, but 8 say {said}; " in message
    assert message.endswith(f"if these are labels, say --label-column {column}")


def test_a_column_called_so_may_have_training_alone_or_classes(tmp_path: Path) -> None:
    rows = write_images(tmp_path, COUNT)
    alone = [{**row, "split": "train"} for row in rows]
    assert opened(write_csv(tmp_path / "a.csv", alone)).classes == ("blue", "green", "red")
    named = [
        {"file": row["file"], "set": ("train", "car", "boat")[i % 3]} for i, row in enumerate(rows)
    ]
    place = f"{write_csv(tmp_path / 'b.csv', named)}"
    columns = NamedColumns(label="set")
    assert folder.DATASET.open(place, 12, columns).classes == ("boat", "car", "train")


def test_endings_are_found_in_any_letters(tmp_path: Path) -> None:
    rows = write_images(tmp_path, COUNT)
    assert opened(write_csv(tmp_path / "T.CSV", rows)).classes == ("blue", "green", "red")
    parquet = tmp_path / "parquet"
    parquet.mkdir()
    pq.write_table(published(0, COUNT), parquet / "Train.parquet")
    pq.write_table(published(1000, 9), parquet / "TEST.PARQUET")
    assert opened(parquet).image_counts == (COUNT, 9)


def test_a_part_whose_table_has_no_row_is_refused(tmp_path: Path) -> None:
    pq.write_table(published(0, COUNT), tmp_path / "train.parquet")
    pq.write_table(published(0, 0), tmp_path / "test.parquet")
    assert "must have a row for each image, but test.parquet has none" in refusal(tmp_path)


def test_a_first_line_that_is_an_image_gone_is_not_taken_for_names(tmp_path: Path) -> None:
    lines = [f"{row['file']},{row['species']}" for row in write_images(tmp_path, COUNT)]
    (tmp_path / "t.csv").write_text("\n".join(["images/gone.png,red", *lines]))
    assert "must name the columns, but has the path images/gone.png" in refusal(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["validation", "valid", "Val", "dev"])
def test_folders_of_parts_by_another_name_are_not_passed_over(name: str, tmp_path: Path) -> None:
    for part, count in (("train", 4), (name, 1), ("test", 1)):
        for label in (0, 1):
            place = tmp_path / part / CLASSES[label]
            place.mkdir(parents=True)
            for number in range(count):
                (place / f"{number}.png").write_bytes(
                    picture(number + 10 * label + 100 * len(part), label)
                )
    assert f"{name}: rename it to val/, or move it elsewhere" in refusal(tmp_path)


def test_classes_may_be_called_as_parts_are(tmp_path: Path) -> None:
    for label, name in enumerate(("dev", "Testing", "blue")):
        (tmp_path / name).mkdir()
        for number in range(6):
            (tmp_path / name / f"{number}.png").write_bytes(picture(label * 100 + number, label))
    assert opened(tmp_path).classes == ("Testing", "blue", "dev")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("named", [True, False])
def test_paths_in_the_other_unicode_form_lead_to_their_files_and_that_is_said(
    form: Any, named: bool, tmp_path: Path
) -> None:
    rows = write_images(tmp_path, 30)
    for row in rows:
        file = tmp_path / row["file"]
        name = unicodedata.normalize("NFD" if form == "NFC" else "NFC", file.name)
        file.rename(file.with_name(name))
        row["file"] = unicodedata.normalize(form, row["file"])
    table = write_csv(tmp_path / "labels.csv", rows)
    data = opened(table, **({"image": "file"} if named else {}))
    accented = [row["file"] for row in rows if not row["file"].isascii()]
    assert len(data.files) == len(rows) + 1
    assert all((tmp_path / name).is_file() for name in data.files)
    assert any(note.startswith(f"{len(accented)} paths of labels.csv") for note in data.notes)
    rows.append({**rows[0], "file": next(iter(set(data.files) - {"labels.csv"}))})
    assert "stands in several" in refusal(write_csv(table, rows))


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_images_without_a_group_are_each_on_their_own_however_none_is_written(
    missing: float | None, tmp_path: Path
) -> None:
    rows = [{**row, "burst": float(i // 2)} for i, row in enumerate(write_images(tmp_path, 30))]
    for row in rows[20:]:
        row["burst"] = missing
    values = pa.array([row["burst"] for row in rows], pa.float64(), from_pandas=False)
    table = pa.Table.from_pylist([{"file": row["file"], "species": row["species"]} for row in rows])
    pq.write_table(table.append_column("burst", values), tmp_path / "labels.parquet")
    notes = opened(tmp_path / "labels.parquet", group="burst").notes
    said = "10 groups by column 'burst': each is in one part whole; 10 images have none and are"
    assert any(note.startswith(said) for note in notes)


@pytest.mark.parametrize("name", ["labels.feather", "labels.arrow"])
def test_arrow_files_are_read_as_arrow_streams_are(name: str, tmp_path: Path) -> None:
    table = pa.Table.from_pylist(write_images(tmp_path, 30))
    if name.endswith(".feather"):
        feather.write_feather(table, tmp_path / name)
    else:
        with pa.ipc.new_file(tmp_path / name, table.schema) as writer:
            writer.write_table(table)
    assert opened(tmp_path / name).image_counts == (24, 6)
    remote = in_memory(tmp_path, name)
    assert folder.DATASET.open(f"{remote}/{name}", 12).image_counts == (24, 6)


def test_classes_that_differ_in_capital_letters_alone_are_said_to_be_several(
    tmp_path: Path,
) -> None:
    rows = write_images(tmp_path, 30)
    for row, label in zip(rows, ("Red", "RED", "Red", "RED", "Red", "RED"), strict=False):
        row["species"] = label
    notes = opened(write_csv(tmp_path / "labels.csv", rows)).notes
    said = "letters alone are classes of their own: 'RED' and 'Red' and 'red'."
    assert any(note.endswith(said) for note in notes)


def test_every_ending_of_a_format_that_is_read_is_that_of_an_image() -> None:
    Image.init()
    read = {*formats_of(b"")}
    endings = {end for end, form in Image.registered_extensions().items() if form in read}
    # A film, and numbers without a range.
    assert endings - {".avifs", ".pfm"} <= {*IMAGE_ENDINGS}
