"""`load_study`: all of a study in one object, in a process without PyTorch and Ray."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.compare.within_study import write_comparison
from orchestrator.results import Choice, load_study
from orchestrator.results.schema import TABLES


def test_a_study_has_each_table_as_pandas_reads_it(finished_study: Path) -> None:
    study = load_study(finished_study)
    for name in TABLES:
        path = finished_study / f"{name}.parquet"
        pd.testing.assert_frame_equal(getattr(study, name), pd.read_parquet(path))


def test_a_study_has_its_winners_settings_and_answer(finished_study: Path) -> None:
    study = load_study(str(finished_study))
    content = json.loads((finished_study / "study.json").read_text())
    (winner,) = study.choice.values()
    assert winner == Choice(**content["choice"]["curve"])
    assert study.trials.set_index("trial_id").loc[winner.trial_id].status == "completed"
    assert study.settings.model_dump(exclude_unset=True) == content["settings"]
    assert study.settings.epochs == content["settings"]["epochs"]
    assert study.name == content["name"]
    assert f"**{study.answer}**" in (finished_study / "comparison.md").read_text()
    assert study.answer.startswith("Nothing to compare: curve alone was tested")


def test_the_answer_of_a_demo_stands_below_the_lines_that_say_it_is_one(
    finished_study: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished_study, tmp_path / "demo")
    path = folder / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "demo": ["Data: made up.", "2"]}))
    write_comparison(folder, None)
    assert (folder / "comparison.md").read_text().count("> **") == 2
    assert load_study(folder).answer == load_study(finished_study).answer


def test_of_a_study_that_has_just_begun_tables_are_empty_and_there_is_no_choice(
    finished_study: Path, tmp_path: Path
) -> None:
    content = json.loads((finished_study / "study.json").read_text())
    del content["choice"]
    (tmp_path / "study.json").write_text(json.dumps(content))
    study = load_study(tmp_path)
    assert all(len(getattr(study, name)) == 0 for name in TABLES)
    assert (study.choice, study.answer) == ({}, None)
    assert "validation_accuracy" in study.trials


def test_what_is_no_study_is_refused_and_what_is_no_table_is_no_attribute(
    finished_study: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"study\.json"):
        load_study(tmp_path)
    with pytest.raises(AttributeError, match="trial"):
        load_study(finished_study).trial  # noqa: B018 (its name is wrong)


def test_a_table_is_read_once(finished_study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished_study, tmp_path / "mine")
    study = load_study(folder)
    before = study.trials
    (folder / "trials.parquet").unlink()
    pd.testing.assert_frame_equal(study.trials, before)


def test_reading_a_study_imports_neither_pytorch_nor_ray(finished_study: Path) -> None:
    program = (
        "import sys\n"
        "from orchestrator.results import load_study\n"
        "assert len(load_study(sys.argv[1]).trials) > 0\n"
        "print(sorted({'torch', 'ray', 'torchvision'} & {*sys.modules}))\n"
    )
    command = [sys.executable, "-c", program, str(finished_study)]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "[]\n"
