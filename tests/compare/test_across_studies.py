"""Studies side by side: what differs is named, and only the same test images are paired."""

import csv
import json

import numpy as np
import pytest
from made_up_rows import event
from made_up_study import CLASSES, ComparedStudy
from scipy.stats import binomtest

from orchestrator.compare import __main__ as compare
from orchestrator.compare.study_differences import differences_section, leaves
from orchestrator.results.lock import holding
from orchestrator.stats import claims

FILES = {"train": "a" * 64, "test": "b" * 64}


def side_study(*, weights="1", files=FILES, lift=0.0, **more):
    """A made-up study of a data set with hashes."""
    study = ComparedStudy(families=("cnn", "resnet50_transfer"), **more)
    study.entries |= {
        "dataset": {"name": "cifar10", "files": files, "split_sha256": "c" * 64},
        "weights": {"name": "imagenet", "sha256": weights * 64},
        "code_sha256": "d" * 64,
        "environment": {"torch": "2.15.0"},
    }
    study.given = {"events": [event("test_opened", "e" * 64, at=0)]}
    generator = np.random.default_rng(8)
    for run in study.runs.values() if lift else ():
        right = generator.random(len(run)) < lift
        run[right] = np.eye(CLASSES, dtype=np.float32)[study.labels[right]]
    return study


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Three studies side by side, of which the first two share their test images."""
    folder = tmp_path_factory.mktemp("side by side")
    one = side_study()
    two = side_study(lift=0.3, weights="2", settings={"trials": 64}, entries={"test_openings": 2})
    other = side_study(files={**FILES, "test": "f" * 64})
    folders = [
        study.write(folder / name) for name, study in (("one", one), ("two", two), ("other", other))
    ]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    files = ["--output", str(folder / "new/all.md"), "--csv", str(folder / "csv/pairs.csv")]
    assert compare.main([*map(str, folders), *files]) == 0
    assert {path: path.stat().st_mtime_ns for path in before if path.is_file()} == {
        path: at for path, at in before.items() if path.is_file()
    }
    with (folder / "csv/pairs.csv").open() as text:
        rows = list(csv.DictReader(text))
    return one, two, (folder / "new/all.md").read_text(encoding="utf-8"), rows


def section(text, title):
    (found,) = [part for part in text.split("\n## ") if part.startswith(title)]
    return found


def test_what_differs_is_named_entry_by_entry_and_what_does_not_is_said(compared) -> None:
    shown = section(compared[2], "What differs")
    assert "| settings | trials | 1 | 64 | 1 |" in shown
    assert f"| weights | sha256 | {'1' * 12} | {'2' * 12} | {'1' * 12} |" in shown
    assert f"| data and split | files.test | {'b' * 12} | {'b' * 12} | {'f' * 12} |" in shown
    assert "The same in all: code, versions." in shown
    assert "dataset" not in shown
    assert "files.train" not in shown


def test_of_many_data_files_and_of_families_of_one_study_the_rows_do_not_fill_pages() -> None:
    images = {f"{number:03d}.png": f"{number:064d}" for number in range(90)}
    made = side_study(files=images), side_study(files=FILES), ComparedStudy(families=("cnn",))
    made[2].entries |= {"dataset": {"name": "cifar10", "classes": [f"c{n}" for n in range(999)]}}
    shown = differences_section(["one", "two", "three"], [study.record() for study in made])
    entries = shown.table["entry"].tolist()
    assert sum(name.startswith("files.") for name in entries) == 5
    assert "87 more data files differ." in shown.notes
    assert not any("resnet50_transfer." in name for name in entries)
    assert "Not all have searched resnet50_transfer: what these were searched in" in shown.notes[-1]
    assert max(shown.table["three"].map(len)) < 210


def test_a_study_that_is_called_as_a_column_takes_none_away() -> None:
    studies = [side_study(settings={"trials": trials}).record() for trials in (1, 2)]
    shown = differences_section(["aspect", "entry"], studies)
    assert [*shown.formats] == ["aspect", "entry", "study aspect", "study entry"]
    assert shown.cells() == [("settings", "trials", "1", "2")]


@pytest.mark.parametrize("outcome", ["running", "interrupted"])
def test_a_study_whose_driver_is_gone_is_interrupted_and_runs_no_more(
    outcome, tmp_path, capsys
) -> None:
    folders = [side_study(seeds=1).write(tmp_path / name) for name in ("a", "b")]
    alter = json.loads((folders[1] / "study.json").read_text()) | {"outcome": outcome}
    (folders[1] / "study.json").write_text(json.dumps(alter))
    assert compare.main([*map(str, folders)]) == 0
    assert "b: the study is interrupted, so what stands here may" in capsys.readouterr().out
    with holding(folders[1]):
        assert compare.main([*map(str, folders)]) == 0
    assert "b: the study is running, so what stands here may" in capsys.readouterr().out


def test_models_on_the_same_images_are_paired_by_the_same_tests(compared) -> None:
    one, two, _, rows = compared
    rows = [row for row in rows if row["metric"] == "accuracy"]
    assert {(row["a_study"], row["b_study"]) for row in rows} == {("one", "two")}
    assert len(rows) == 4 * 3  # models; two seeds and their mean
    p_values = []
    for row in rows:
        key = row["a_family"], row["a_role"]
        if row["seed"]:
            a, b = (s.run(*key, int(row["seed"])).argmax(1) == one.labels for s in (one, two))
            only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
            assert float(row["p_value"]) == binomtest(only_a, only_a + only_b).pvalue
            assert float(row["difference"]) == pytest.approx(a.mean() - b.mean())
            if row["seed"] == "0":
                p_values.append((float(row["p_value"]), float(row["p_value_holm"])))
        assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])
        assert float(row["difference"]) < 0
    raw, adjusted = zip(*p_values, strict=True)
    assert adjusted == pytest.approx(claims.holm(raw))


def test_other_test_images_are_not_paired_but_stand_in_the_tables(compared) -> None:
    text = compared[2]
    for title in ("one minus other", "two minus other"):
        assert "Not comparable pairwise: different data files" in section(text, title)
    assert section(text, "Test results").count("| other |") == 4
    assert section(text, "What each search was given").count("| other |") == 2


def test_openings_stand_beside_each_other_and_second_ones_are_flagged(compared) -> None:
    text = compared[2]
    assert "two: its test set was opened 2 times" in section(text, "Warnings")
    assert section(text, "Openings of the test set").count("| 1970-01-01 00:00:00 |") == 3
    assert "nan" not in text.lower()
    assert "None" not in text


def test_other_labels_under_the_same_hashes_are_not_paired(tmp_path, capsys) -> None:
    other = side_study(seeds=1)
    other.labels = np.roll(other.labels, 1)
    folders = [side_study(seeds=1).write(tmp_path / "a"), other.write(tmp_path / "b")]
    assert compare.main([str(folder) for folder in folders]) == 0
    assert (
        "Not comparable pairwise: different labels of the same test images."
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["{no}"], "has no study.json"),
        (["{study}"], "studies must differ"),
        (["{study}/../study"], "studies must differ"),
        (["{bare}", "--output", "/proc/none/x.md"], "must be writable, but /proc/none is not"),
        (["--output", "x.md"], "--output and --csv are for two or more studies"),
        (["{bare}"], "predictions.parquet must exist"),
    ],
)
def test_what_cannot_be_put_side_by_side_is_one_line_and_exit_2(
    tmp_path, capsys, more, said
) -> None:
    study = side_study(seeds=1).write(tmp_path / "study")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "study.json").write_text(json.dumps(side_study(seeds=1).study()))
    for name in ("trials", "final"):
        (bare / f"{name}.parquet").write_bytes((study / f"{name}.parquet").read_bytes())
    places = {"no": tmp_path / "none here", "study": study, "bare": bare}
    try:
        code = compare.main([str(study), *[each.format(**places) for each in more]])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_an_address_is_shown_without_its_password() -> None:
    shown = dict(leaves({"data_dir": "s3://me:hidden@bucket/x", "paths": ["ftp://a:hidden@b/c"]}))
    assert shown == {"data_dir": "s3://me:***@bucket/x", "paths": "ftp://a:***@b/c"}
