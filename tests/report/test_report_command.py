"""The command `report`: of one study and of several, and what it refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_study import MadeUpStudy
from read_page import Page

from orchestrator.report import __main__ as report


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "study.json").unlink(), "has no study.json"),
        (lambda folder: (folder / "trials.parquet").write_bytes(b"not a table"), "arquet"),
    ],
)
def test_a_folder_that_cannot_be_shown_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any, message: str
) -> None:
    folder = MadeUpStudy(finished=False, begun=False).write(tmp_path)
    damage(folder)
    assert report.main([str(folder)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_help_answers_without_the_heavy_imports() -> None:
    code = (
        "import sys; from orchestrator.report.__main__ import _parser; _parser().format_help(); "
        "print(sorted({'numpy', 'pyarrow', 'plotly', 'jinja2', 'torch', 'ray'} & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_several_studies_are_one_page_and_nothing_is_written_into_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [
        MadeUpStudy(fractions=(1.0,), families=("cnn", "resnet50_scratch"), trials=trials).write(
            tmp_path / name
        )
        for name, trials in (("first", 9), ("<b>second", 12))
    ]
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    output = tmp_path / "new" / "both.html"
    assert report.main([*map(str, folders), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before
    shown = Page(output.read_text(encoding="utf-8"))
    assert set(shown.text) == {"", "differs", "results", "pairs", "effort", "openings"}
    assert "of 4 differences in test accuracy are certain after the correction" in shown.topic("")
    assert "first minus <b>second" in shown.topic("pairs")
    assert "<b>second" not in output.read_text(encoding="utf-8")


def test_an_output_for_one_study_is_refused_in_one_line(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report.main([str(study), "--output", "x.html"])
    assert ended.value.code == 2
    assert "--output is for two or more studies" in capsys.readouterr().err
