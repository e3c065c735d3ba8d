"""Wrong predictions are refused in one clear line a fault, all faults at once, with exit code 2."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_predictions import CLASSES, MadeUpPredictions

Refusal = Callable[..., str]
MADE = MadeUpPredictions(images=30)


@pytest.fixture(autouse=True)
def good(place: Path) -> None:
    """Predictions with which nothing is wrong."""
    MADE.write(place / "good.csv")


def spoilt(place: Path, **changed: object) -> str:
    """The same with some columns changed, as a file."""
    MADE.frame().assign(**changed).to_csv(place / "bad.csv", index=False)
    return "bad.csv"


def column(name: str, row: int, value: object) -> dict[str, pd.Series]:
    """One value changed."""
    values = MADE.frame()[name].astype(object)
    values[row] = value
    return {name: values}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (column("image", 3, "image-004.png"), "each image must stand once, but 1 stand more often"),
        (column("image", 3, "other.png"), "must be tested on the same images, but beside good.csv"),
        (column("image", 3, None), "each row must have an image, but 1 of 30 have none"),
        (column("label", 3, "cat"), "labels must agree, but on 1 images"),
        (column("label", 3, None), "each row must have a label, but 1 of 30 have none"),
        (
            column("predicted", 3, "Dog"),
            "predictions must be of the classes 'bee', 'cat', 'dog', but",
        ),
        (column("predicted", 3, "nan"), "each row must have a predicted, but 1 of 30 have none"),
        (column("prob_cat", 3, "nan"), "probabilities must be numbers, but in 1 rows are not"),
        (column("prob_cat", 3, "inf"), "probabilities must be numbers, but in 1 rows are not"),
        (column("prob_cat", 3, "0,3"), "are not (NaN, infinite, or text, as a number with a dec"),
        (column("prob_cat", 3, 7), "must lie in [0, 1] and sum to one, but in 1 of 30 rows do not"),
        (column("prob_cat", 3, -2), "they look like logits: say --logits to take their softmax"),
        ({"seed": [0.5] * 30}, "seeds must be whole numbers, but got '0.5'"),
    ],
)
def test_a_value_is_wrong(
    changed: dict[str, object], message: str, place: Path, refusal: Refusal
) -> None:
    error = refusal("good.csv", spoilt(place, **changed))
    assert message in error
    assert error.count("\n") == 1
    assert "bad.csv" in error


def test_all_faults_are_told_at_once_each_in_its_line(place: Path, refusal: Refusal) -> None:
    (place / "empty.csv").write_text("")
    (place / "header.csv").write_text("image,label,predicted\n")
    (place / "no.parquet").write_bytes(b"PAR1 no")
    spoilt(place, **column("label", 3, None), **column("image", 5, None))
    lines = refusal("good.csv", "bad.csv", "empty.csv", "header.csv", "no.parquet", "gone.csv")
    starts = [line.split(":", 1)[1].strip() for line in lines.splitlines()]
    assert len(starts) == 6
    assert [start for start in starts if start.startswith("bad.csv: each row must have a")]
    for said in (
        "empty.csv is empty",
        "header.csv has none",
        "no.parquet must be a whole .parquet",
    ):
        assert any(said in start for start in starts)
    assert "gone.csv does not" in lines


def test_two_kinds_of_faults_of_the_rows_are_told_at_once(place: Path, refusal: Refusal) -> None:
    changed = column("image", 3, "image-004.png")
    spoilt(place, **changed)
    MADE.frame().drop(columns="label").to_csv(place / "more.csv", index=False)
    lines = refusal("good.csv", "bad.csv", "more.csv").splitlines()
    assert ["stand once" in line or "true class" in line for line in lines] == [True, True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", pickle.dumps([1]), "may hold code that would run when it is read"),
        ("a.pt", b"PK", "may hold code that would run when it is read"),
        ("a.xlsx", b"PK", "a file of predictions must end in .csv, .tsv"),
        ("a.csv", b"\xff\xfe\x00", "a.csv must be a whole .csv file, but cannot be read"),
        ("a.csv", b"image,label,predicted\n1,2\n1,2,3,4,5\n", "a.csv must be a whole .csv file"),
        (
            "a.csv",
            b"image,label,label\n1,2,3\n",
            "each column must be named once, but 'label' is not",
        ),
        ("a.csv", b"image,label\n1,2\n", "there are labels and no predictions"),
        ("a.csv", b"image,label,thing\n1,2,3\n", "there are labels and no predictions"),
        (
            "a.csv",
            b"image,label,predicted\na,x, y,x\n",
            "line 2 has 4 values, and the first line 3",
        ),
        ("a.csv", b"image,label,score\n1,0,0.3\n2,1,0.9\n", "one value an image, as '0.3'; of two"),
        (
            "a.csv",
            b"family,role,seed,train_fraction,image_index,label,predicted,probabilities\n0,,,,,,,",
            "a.csv has a study's predictions as `export` writes them: name the study's folder",
        ),
        ("a.csv", b"\n\n", "a.csv"),
        ("a.json", b"{", "a.json must be a whole .json file"),
        ("a.json", b"3", "it is no table"),
        ("a.json", b"{}", "a.json has none"),
        ("a.npz", b"PK\x03\x04", "a.npz must be a whole .npz file"),
        ("a.npy", b"\x93NUMPY", "a.npy must be a whole .npy file"),
    ],
)
def test_a_file_is_none(
    name: str, content: bytes, message: str, place: Path, refusal: Refusal
) -> None:
    (place / name).write_bytes(content)
    error = refusal("good.csv", name)
    assert message in error
    assert error.count("\n") == 1


def test_arrays_of_objects_are_not_unpickled(place: Path, refusal: Refusal) -> None:
    np.save(place / "a.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    assert "a.npy must be a whole .npy file" in refusal("good.csv", "a.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.zeros(3), "predictions": np.zeros(4)}, "must have one value an image"),
        (
            {"labels": np.zeros((3, 2)), "predictions": np.zeros(3)},
            "label must be one value an image",
        ),
        (
            {"labels": np.zeros(3), "predictions": np.zeros((3, 2, 2))},
            "predicted must be one value",
        ),
        ({"labels": np.array(5), "predictions": np.zeros(3)}, "must have one value an image"),
        ({"labels": np.zeros(3), "predictions": np.zeros((3, 1)) + 0.5}, "two classes or more"),
        (
            {"labels": [0, 1, 5], "predictions": np.eye(3)},
            "classes 0 to 2, but there are the labels '5'",
        ),
        ({"labels": ["a", "b", "c"], "predictions": np.eye(3)}, "name the outputs with --classes"),
        ({"labels": [0, 1, 2], "predictions": [0, 1, 9]}, "predictions must be of the classes"),
        ({"labels": [0, 1, 2], "probabilities": np.eye(3) * 100}, "they look like percentages"),
        ({"labels": [0, 1, 2], "probabilities": np.ones((3, 3))}, "yes or no for each class"),
        ({"labels": [0, 1, 2], "probabilities": np.zeros((3, 3))}, "sum to one"),
        (
            {"labels": [0, 1, 2], "probabilities": np.eye(3).astype(complex)},
            "outputs must be real numbers, but are complex128",
        ),
    ],
)
def test_arrays_do_not_fit(
    arrays: dict[str, object], message: str, place: Path, refusal: Refusal
) -> None:
    np.savez(place / "a.npz", **arrays)
    np.savez(place / "b.npz", **arrays)
    assert message in refusal("a.npz", "b.npz")


def test_names_of_images_in_some_files_alone(place: Path, refusal: Refusal) -> None:
    MADE.frame().drop(columns="image").to_csv(place / "bad.csv", index=False)
    assert "either all files must name their images or none" in refusal("good.csv", "bad.csv")


def test_classes_that_are_not_those_of_the_others(place: Path, refusal: Refusal) -> None:
    frame = MADE.frame().rename(columns={"prob_dog": "prob_wolf"})
    frame.to_csv(place / "bad.csv", index=False)
    assert "all models must have the same classes" in refusal("good.csv", "bad.csv")
    few = ",".join(CLASSES[:2])
    assert "name all classes with --classes" in refusal("good.csv", "x=good.csv", "--classes", few)


@pytest.mark.parametrize("more", [(1, 0), (0, 1)])
def test_classes_that_labels_and_predictions_count_from_other_numbers(
    more: tuple[int, int], place: Path, refusal: Refusal
) -> None:
    for seed in range(2):
        made = MadeUpPredictions(images=30, seed=seed)
        numbers = {"label": made.labels + more[0], "predicted": made.predicted + more[1]}
        pd.DataFrame({"image": made.names, **numbers}).to_csv(place / f"{seed}.csv", index=False)
    told = refusal("0.csv", "1.csv", "--classes", "0,1,2,3").splitlines()
    assert len(told) == 2
    assert all("must count classes from the same number, but labels are" in each for each in told)


def test_numbers_where_the_others_have_names_are_told_to_be_named(
    place: Path, refusal: Refusal
) -> None:
    numbers = spoilt(place, label=MADE.labels, predicted=MADE.predicted)
    told = refusal("good.csv", numbers)
    assert told.count("but 3 are not: '0', '1', '2'; write names, not numbers") == 2


def test_a_file_that_stands_twice_and_a_training_that_does(place: Path, refusal: Refusal) -> None:
    assert "each file must be named once" in refusal("good.csv", "good.csv")
    MADE.frame().assign(seed=0).to_csv(place / "again.csv", index=False)
    MADE.frame().assign(seed=0).to_csv(place / "copy.csv", index=False)
    assert "each training must stand once" in refusal("m=again.csv", "m=copy.csv", "good.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\nimage-000.png,bee\n", "--labels must have each image of"),
        ("image,label\nimage-000.png,\n", "--labels must have each image once with its class"),
        ("image,label\na,bee\na,bee\n", "--labels must have each image once with its class"),
        ("image,age\na,3\n", "--labels must have the true classes (column label)"),
    ],
)
def test_labels_of_their_own_are_wrong(
    text: str, message: str, place: Path, refusal: Refusal
) -> None:
    (place / "labels.csv").write_text(text)
    assert message in refusal("good.csv", "x=good.csv", "--labels", "labels.csv")


def test_labels_of_their_own_are_others(place: Path, refusal: Refusal) -> None:
    labels = MADE.frame()[["image", "label"]].assign(label="bee")
    labels.to_csv(place / "labels.csv", index=False)
    error = refusal("good.csv", "x=good.csv", "--labels", "labels.csv")
    assert "its labels must be those of --labels, but 20 differ" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there must be two models or more, but there is 'good' alone"),
        (["x=good.csv", "--baseline", "y"], "--baseline must be one of 'good', 'x', but is 'y'"),
        (["x=good.csv", "--margin", "1"], "--claim and --margin must go with --baseline"),
        (["x=good.csv", "--margin", "-1"], "--margin must be percentage points between 0 and 100"),
        (["x=good.csv", "--margin", "nan"], "--margin must be percentage points between 0 and 100"),
        (["x=good.csv", "--claim", "not-worse"], "--claim not-worse must go with --margin"),
        (["x=good.csv", "--log", "l"], "--log must go with --claim better, or with --margin"),
        (["x=good.csv", "--open"], "--open must go with --log"),
        (["x=good.csv", "--groups", "patient"], "--groups must name a column of predictions or"),
        (["x=good.csv", "--slices", "age"], "--slices must name a column of predictions or"),
        (["x=good.csv", "--attributes", "no.csv"], "a file of predictions must exist, but no.csv"),
        (["x=good.csv", "--images", "no"], "--images must be a folder, but no is none"),
        (["x=good.csv", "--columns", "label=truth"], "--columns label=truth: no file has"),
        (
            ["x=good.csv", "--columns", "what=label"],
            "'what=label' must be ROLE=NAME, with a role of",
        ),
        (
            ["x=good.csv", "--columns", "label=label,label=predicted"],
            "each role must stand once, but label does not",
        ),
        (["x=good.csv", "--train-fraction", "0.5"], "must go with the results of a study, but"),
        (["x=good.csv", "--classes", "a,,b"], "names between commas must be there"),
        (["x=good.csv", "--output", "good.csv/page.html"], "the folder must be writable, but"),
    ],
)
def test_a_question_cannot_be_asked(arguments: list[str], message: str, refusal: Refusal) -> None:
    error = refusal("good.csv", *arguments)
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_is_no_study(place: Path, refusal: Refusal) -> None:
    (place / "folder").mkdir()
    assert "a folder must be a study's results" in refusal("good.csv", "folder")
    (place / "folder" / "study.json").write_text(json.dumps({"name": "x"}))
    assert "folder" in refusal("good.csv", "folder")


def test_groups_that_are_one_or_lack_a_value(place: Path, refusal: Refusal) -> None:
    MADE.frame().assign(site="a").to_csv(place / "one.csv", index=False)
    assert "--groups must be two or more" in refusal("one.csv", "x=good.csv", "--groups", "site")
    sites = ["a"] * 10 + [None] * 20
    MADE.frame().assign(site=sites).to_csv(place / "two.csv", index=False)
    assert "but 20 have none" in refusal("two.csv", "x=good.csv", "--groups", "site")


def test_names_that_would_move_a_cursor_are_shown_and_do_nothing(
    place: Path, refusal: Refusal
) -> None:
    spoilt(place, **column("predicted", 3, "\x1b[2Jx"))
    assert "\x1b" not in refusal("good.csv", "bad.csv")


def test_a_row_whose_label_differs_is_named_by_its_number(place: Path, refusal: Refusal) -> None:
    frame = MADE.frame().drop(columns="image")
    frame.to_csv(place / "one.csv", index=False)
    frame.loc[11, "label"] = "cat"
    frame.to_csv(place / "other.csv", index=False)
    assert "(row 12, the other 'cat')" in refusal("one.csv", "other.csv")
