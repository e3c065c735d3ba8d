"""The command that goes on with a study, wherever its folder is and whatever it is called now."""

from pathlib import Path

import pytest
from made_up_study import ComparedStudy

from orchestrator.results import files
from orchestrator.results.going_on import resume_command


def test_a_study_that_was_renamed_and_moved_goes_on_by_its_new_name_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = tmp_path / "results" / "first"
    ComparedStudy().write(begun)
    assert resume_command(files.read_study(begun).folder) == (
        "python -m orchestrator.study --resume first"
    )
    moved = begun.rename(tmp_path / "kept here")
    study = files.read_study(Path("kept here"))
    assert study.folder == moved
    assert resume_command(study.folder, "--seeds", "5") == (
        f"python -m orchestrator.study --resume 'kept here' --results-dir {tmp_path} --seeds 5"
    )
