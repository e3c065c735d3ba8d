"""What commands print for programs is what docs/JSON.md says, and nothing else is on stdout."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from documented import blocks, split
from jsonschema import Draft202012Validator
from made_up_inputs import image_folder
from made_up_rows import event, final_run
from made_up_status import CHOICE, SEARCHED, write_study
from made_up_study import ComparedStudy
from printed_json import PAGE, printed_json, schemas

from orchestrator import study
from orchestrator.clean.__main__ import main as clean
from orchestrator.compare.__main__ import main as compare
from orchestrator.results.lock import holding
from orchestrator.status.__main__ import main as status
from orchestrator.verify.__main__ import main as verify

CNN = ("--families", "cnn", "--dry-run")
EXAMPLES = [
    line.rstrip().removesuffix("|").partition("|")
    for block in blocks(PAGE)
    if block.language == "sh"
    for line in block.text.splitlines()
]


@pytest.mark.parametrize("schema", schemas().values(), ids=lambda schema: schema["$id"])
def test_every_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.fixture
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any cache."""
    for name in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


def test_a_plan_says_what_would_run_and_why_it_forecasts_no_time(
    bare_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--dataset", "digits", "--results-dir", str(bare_home), "--name", "mine")
    given += ("--trials", "4", "--epochs", "9", "--grace-period", "2", "--seeds", "2")
    found = printed_json(capsys, "plan", study.main, *CNN, *given)
    assert (found["study"], found["folder"]) == ("mine", str(bare_home / "mine"))
    assert found["search"] == {"searches": 1, "trials": 4, "epochs": [9 + 3 * 2, 4 * 9]}
    assert found["finals"] == {"runs": 4, "epochs": 4 * 9}
    (family,) = found["families"]
    assert family["epochs"] == [9 + 3 * 2 + 2 * 9, 4 * 9 + 4 * 9]
    assert family["space"]["learning_rate"]["attributes"]["log"]
    assert family["baseline"]["learning_rate"] == 1e-4
    assert found["data"]["train_images"] == 1294
    assert family["device_seconds"] is found["forecast"]["device_seconds"] is None
    assert found["forecast"]["unknown"].startswith("no earlier study")
    assert list(bare_home.iterdir()) == []


def test_a_plan_whose_data_are_in_no_cache_names_their_address(
    bare_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed_json(capsys, "plan", study.main, *CNN, "--results-dir", str(bare_home))
    assert found["download"].startswith("https://")
    assert found["data"] is found["forecast"] is found["study"] is None
    assert found["search"]["trials"] == 32


def test_what_one_study_or_two_found_has_all_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up = ComparedStudy(families=("cnn",))
    made_up.given = {"events": []}
    one, two = (str(made_up.write(tmp_path / name)) for name in ("one", "two"))
    found = printed_json(capsys, "compare", compare, one)
    assert found["answer"]["headline"].startswith("Nothing to compare: cnn alone")
    assert {"results/1", "effort/choice"} <= {each["key"] for each in found["sections"]}
    assert printed_json(capsys, "compare", compare, one, two)["answer"] is None


def test_a_running_study_is_told_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [event("error", "why", trial_id="cnn-001"), event("node_lost", "gone", minute=3)]
    folder = write_study(tmp_path / "mine", trials=SEARCHED, events=events)
    with holding(folder):
        found = printed_json(capsys, "status", status, str(folder))
    assert found["state"] == "running"
    assert found["faults"]["latest"][0]["at"] == "2026-05-04T12:03:00+00:00"


def test_finals_are_told_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = final_run("tuned", 0, 0.5)
    folder = write_study(
        tmp_path / "mine",
        outcome="interrupted",
        trials=[row for row in SEARCHED if row["status"] != "running"],
        final=[final_run("baseline", 0, 0.5)],
        final_epochs=[{**begun, "epoch": number} for number in range(1, 4)],
        closed={name: {"trials": 2, "setting": "time_budget"} for name in CHOICE},
        choice=CHOICE,
    )
    found = printed_json(capsys, "status", status, str(folder))
    assert [run["epochs"] for run in found["finals"]["unfinished"]] == [3]
    assert found["resume_command"].startswith("python -m orchestrator.study --resume mine")


def test_a_finished_study_is_told_as_the_page_says(
    finished_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed_json(capsys, "status", status, str(finished_study))["state"] == "completed"


def test_a_verification_has_each_problem_and_its_exit_code(
    finished_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(finished_study, folder)
    found = printed_json(capsys, "verify", verify, str(folder))
    assert found["sound"]
    assert found["problems"] == []
    content = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**content, "choice_sha256": "ab" * 32}))
    found = printed_json(capsys, "verify", verify, str(folder), code=1)
    assert not found["sound"]
    assert found["problems"]


def test_what_can_go_is_listed_and_without_a_dry_run_gone(
    finished_study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(finished_study, folder)
    (folder / "tune").mkdir()
    (folder / "tune" / "some").write_bytes(b"x" * 7)
    found = printed_json(capsys, "clean", clean, str(folder), "--dry-run")
    (item,) = found["items"]
    assert (found["bytes"], item["bytes"], item["what"]) == (7, 7, "Ray Tune's own files")
    assert printed_json(capsys, "clean", clean, str(folder)) == {**found, "dry_run": False}
    assert not Path(item["path"]).exists()


@pytest.mark.parametrize(
    ("run", "arguments", "said"),
    [
        (study.main, ("--json",), "--json must go with --dry-run"),
        (study.main, ("--dry-run", "--json", "--families", "vgg"), "unknown family 'vgg'"),
        (status, ("{}", "--json"), "RESULTS must be a study's folder"),
        (verify, ("{}", "--json"), "RESULTS must be a study's folder"),
        (clean, ("{}", "--json", "--dry-run"), "RESULTS must be a study's folder"),
    ],
)
def test_what_is_wrong_is_one_line_on_stderr_alone(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: Callable[..., int],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run([each.format(tmp_path) for each in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert said in line


@pytest.fixture
def place(
    finished_study: Path, cnn_study: Path, bare_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder to be in, with what the page names, and without a cache."""
    for name, source in (("NAME", finished_study), ("flowers", cnn_study)):
        shutil.copytree(source, bare_home / "results" / name)
    for name in ("photos", "FOLDER"):
        image_folder(bare_home / name)
    monkeypatch.chdir(bare_home)
    return bare_home


@pytest.mark.parametrize(("command", "_", "filtering"), EXAMPLES)
@pytest.mark.usefixtures("place")
def test_the_examples_with_jq_find_something(
    command: str, _: str, filtering: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here")
    (words,) = split(command)
    (asked,) = split(filtering)
    assert words[-1] == "--json"
    place = words[2] if words[2].endswith(".study") else f"{words[2]}.__main__"
    capsys.readouterr()
    assert import_module(place).main(words[3:]) == 0
    done = subprocess.run(
        asked, input=capsys.readouterr().out, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"(\S+\n)*", done.stdout)
