"""The command `compare` of one study: its files, wrong input, and what it imports."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from made_up_study import ComparedStudy

from orchestrator.compare import __main__ as compare
from orchestrator.compare import within_study
from orchestrator.results import files
from orchestrator.results import schema as results


def test_the_command_writes_both_files_and_prints_the_tables(tmp_path, capsys):
    folder = ComparedStudy(families=("cnn", "resnet50_transfer")).write(tmp_path / "a study é")
    assert compare.main([str(folder)]) == 0
    assert "Comparison of made up" in capsys.readouterr().out
    table = files.read_table(folder, "comparison")
    assert table.schema.equals(results.FIXED_SCHEMAS["comparison"])
    assert table.schema.metadata[b"git_commit"] == b"abc"
    assert "# Comparison of made up" in (folder / "comparison.md").read_text(encoding="utf-8")
    assert not list(folder.glob(".*"))


def test_at_80_columns_a_demonstration_ends_in_45_lines_whose_last_are_the_answer(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    demo = ["This is the demo: it shows what a study does, not how good the families are."]
    folder = ComparedStudy(
        seeds=1,
        identical=("resnet50_scratch", "resnet50_transfer"),
        never_predicted=("cnn",),
        entries={"demo": [*demo, "Digits stand in for CIFAR-10."]},
    ).write(tmp_path)
    assert compare.main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 45 - 3  # a study says its folder, that it was verified, and its page too
    paths = [line for line in lines if str(folder) in line]
    assert paths == [f"Comparison: {folder / 'comparison.md'}"]
    assert max(len(line.rstrip()) for line in lines if line not in paths) <= 80
    assert lines[1] == demo[0]
    for name in ("cnn", "resnet50_scratch", "resnet50_transfer"):
        assert sum(line.startswith((f"{name} baseline ", f"{name} tuned ")) for line in lines) == 2
    (pair,) = [line.split() for line in lines if line.startswith("resnet50_transfer resnet50_s")]
    assert pair[2].startswith("+")
    assert 0 < float(pair[-1]) < 0.05
    last = next(n for n, line in enumerate(lines) if line.startswith("Of these 3 trained networks"))
    assert len(lines) - last <= 10
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    answer = " ".join(lines[last:])
    assert " ".join(answer.split()) in text.partition("Warnings")[0]


def test_json_is_all_tables_unrounded_and_nothing_else(tmp_path, capsys):
    folder = ComparedStudy(fractions=(0.1, 1.0)).write(tmp_path)
    assert compare.main([str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sections = {each["key"]: each["table"] for each in found["sections"]}
    assert len(sections) == len(found["sections"])
    assert {"results/1", "differences/0.1", "data/curves", "stopping/saved"} <= set(sections)
    final = pd.DataFrame(files.read_table(folder, "final").to_pylist()).query("train_fraction == 1")
    means = final.groupby(["family", "role"]).test_accuracy.agg(["mean", "std"])
    for row in sections["results/1"]:
        mean, deviation = means.loc[(row["family"], row["role"])]
        assert [row["test_accuracy"], row["test_accuracy_sd"]] == pytest.approx([mean, deviation])
    assert found["answer"]["headline"].startswith("resnet50_transfer is the most accurate of 3")


def test_comparing_again_gives_the_same_files(tmp_path):
    folder = ComparedStudy(families=("cnn",)).write(tmp_path)
    within_study.write_comparison(folder, None)
    first = [(folder / name).read_bytes() for name in ("comparison.parquet", "comparison.md")]
    within_study.write_comparison(folder, None)
    assert first == [
        (folder / name).read_bytes() for name in ("comparison.parquet", "comparison.md")
    ]


def test_a_study_in_which_every_family_failed_is_reported_without_numbers(tmp_path):
    folder = ComparedStudy(families=(), failed=("cnn",)).write(tmp_path)
    within_study.write_comparison(folder, None)
    assert files.read_table(folder, "comparison").num_rows == 0
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert "**No answer: no family has a tuned model that was tested.**" in text


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("study.json", "no study.json"),
        ("final.parquet", "final.parquet must exist"),
        ("name", "of name is said: Field required"),
    ],
)
def test_a_folder_that_cannot_be_compared_is_one_line_and_exit_2(
    tmp_path, capsys, lacking, message
):
    folder = ComparedStudy(families=("cnn",)).write(tmp_path)
    if lacking == "name":
        (folder / "study.json").write_text("{}")
    else:
        (folder / lacking).unlink()
    assert compare.main([str(folder)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not (folder / "comparison.md").exists()


def test_help_answers_without_the_heavy_imports():
    code = (
        "import sys; from orchestrator.compare.__main__ import _parser; _parser().format_help(); "
        "print(sorted({'numpy', 'pandas', 'scipy', 'pyarrow', 'torch', 'ray'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_comparing_imports_neither_torch_nor_ray():
    code = (
        "import sys; import orchestrator.stats.pairwise, orchestrator.compare.render; "
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
