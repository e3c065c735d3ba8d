"""Damaged results folders and wrong command lines: `make fuzz` in small, with a fixed seed."""

from pathlib import Path

import pytest
from fuzz import Counts, fuzz_folders, fuzz_lines

pytestmark = [
    pytest.mark.usefixtures("curve_family"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_every_command_answers_a_damaged_folder_in_a_line_and_writes_nothing_outside(
    finished_study: Path, tmp_path: Path
) -> None:
    counts = Counts()
    fuzz_folders(finished_study, tmp_path, 10, 7, counts)
    assert counts.wrong == []
    assert counts.tried == 110


def test_every_wrong_command_line_and_yaml_file_is_answered_in_a_line(tmp_path: Path) -> None:
    counts = Counts()
    fuzz_lines(tmp_path, 60, 7, counts)
    assert counts.wrong == []
