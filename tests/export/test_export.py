"""The command `export`: whose winners it writes, where, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from optuna.trial import TrialState
from read_export import ROOT, SMALL, opened
from tampering import alter, entry, noted

from orchestrator.export import __main__ as export
from orchestrator.results import files

FAILING = '''
"""Does a family without a winner keep the others from being exported?"""
import dataclasses
from trainables.families import curve
FAMILY = dataclasses.replace(curve.FAMILY, name="failing")
'''


def test_a_family_without_a_winner_is_named_and_the_others_are_exported(
    curve_driver: Driver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    families = tmp_path / "families"
    families.mkdir()
    (families / "failing.py").write_text(FAILING)
    monkeypatch.setenv("STUDY_FAMILY_PATH", os.pathsep.join([str(FAMILIES), str(families)]))
    curve_driver.settings = {**SMALL, "families": "curve,failing"}
    curve_driver.assignments += ("space.failing.fault=error", "baseline.failing.fault=error")
    assert curve_driver.start() is False
    assert export.main([str(curve_driver.folder)]) == 0
    printed = capsys.readouterr().out
    assert "failing: no winner, for none of its trials came to an end\n" in printed
    assert [path.name for path in (curve_driver.folder / "export").iterdir()] == ["curve"]


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that wrong input is answered with."""
    assert export.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_study_without_any_winner_is_refused_and_nothing_is_written(
    curve_driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    shutil.rmtree(curve_driver.folder / "winners")
    error = answer([str(curve_driver.folder)], capsys)
    assert "curve: no weights of its winner curve-00" in error
    assert "lacks model.safetensors and config.json; restore them from a copy, or go on" in error
    assert not (curve_driver.folder / "export").exists()


def test_what_is_there_is_not_replaced_unless_asked(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    journal = tmp_path / "journal.log"
    journal.write_text("mine")
    arguments = [str(curve_driver.folder), "--optuna", str(journal)]
    assert f"{journal} is there" in answer(arguments, capsys)
    assert journal.read_text() == "mine"
    assert not (curve_driver.folder / "export").exists(), "half of it was exported"
    assert export.main([*arguments, "--overwrite"]) == 0
    assert len(opened(journal, "curve").trials) == 2
    assert export.main([*arguments, "--overwrite"]) == 0
    assert len(opened(journal, "curve").trials) == 2


def test_the_kept_winners_are_not_written_over(
    cnn_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = cnn_study / "winners"
    said = answer([str(cnn_study), "--output", str(output), "--overwrite"], capsys)
    assert f"--output must not be the study's own winners, but got {output}" in said


def test_weights_that_are_not_those_that_were_kept_are_refused(
    curve_driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    kept = curve_driver.folder / "winners" / "curve"
    (kept / "model.safetensors").write_bytes(b"others")
    recorded = json.loads((kept / "config.json").read_text())["weights_sha256"]
    assert f"must have SHA-256 {recorded} as recorded" in answer([str(curve_driver.folder)], capsys)


@pytest.mark.parametrize(
    ("name", "value"), [("classes", [*"1023456789"]), ("seed", 7), ("epoch", 0), ("family", "cnn")]
)
def test_a_winner_of_which_is_said_what_the_study_does_not_say_is_refused(
    name: str,
    value: object,
    finished_study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = Path(shutil.copytree(finished_study, tmp_path / "study"))
    card = study / "winners" / "curve" / "config.json"
    entry(name, value=value, file=f"{card.relative_to(study)}")(study, {})
    error = answer([str(study)], capsys)
    assert f"{card} must have the {name} that the study has, " in error
    assert error.endswith(f", but has {value!r}\n")


def test_a_study_that_does_not_name_its_classes_has_those_of_its_winner(
    finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    study = Path(shutil.copytree(finished_study, tmp_path / "study"))
    noted(lambda content, _: content["dataset"].pop("classes"))(study, {})
    assert export.main([str(study)]) == 0


def test_a_search_that_runs_can_be_looked_at_before_it_has_a_winner(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    study = files.read_study(curve_driver.folder).raw
    del study["choice"]
    (curve_driver.folder / "study.json").write_text(json.dumps(study))
    second = {"trial_id": "curve-001"}
    alter("trials", second, status="running", ended_at=None)(curve_driver.folder, {})
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    assert "curve: no winner yet, the search has not ended" in capsys.readouterr().out
    states = [trial.state for trial in opened(journal, "curve").trials]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]


def test_help_and_a_wrong_flag_answer_before_anything_large_is_imported() -> None:
    check = (
        "import sys; from orchestrator.export.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'ray', 'optuna', 'pyarrow'} & set(sys.modules)"
    )
    for arguments, code in ((["--help"], 0), (["results/mine", "--csv"], 2)):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", check, *arguments], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
        assert time.monotonic() - started < 10


def test_exporting_needs_neither_torch_nor_ray(exported: Path, cnn_study: Path) -> None:
    check = (
        "import sys; from orchestrator.export.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )
    output = exported.parent / "again"
    subprocess.run(
        [sys.executable, "-c", check, str(cnn_study), "--output", str(output)], cwd=ROOT, check=True
    )
    assert (output / "cnn" / "README.md").read_bytes() == (exported / "README.md").read_bytes()
