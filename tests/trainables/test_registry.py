"""The registry: what lies in the folder is listed; a wrong name is answered with the choices."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.results.code_version import code_sha256
from trainables import registry
from trainables.family import Family
from trainables.trainers import trainer_class


def test_the_three_families_are_listed() -> None:
    assert {"cnn", "resnet50_scratch", "resnet50_transfer"} <= set(registry.family_names())


def test_the_data_sets_are_listed_and_named_as_their_files() -> None:
    assert {"cifar10", "cifar100", "digits", "folder"} <= set(registry.dataset_names())
    for name in registry.dataset_names():
        assert registry.load_dataset(name).name == name


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("vgg", "unknown family 'vgg'; choose from cnn, frozen_features, resnet50_scratch, "),
        ("cnn,cnn", "each family must be named once, but got 'cnn,cnn'"),
        ("", "unknown family ''"),
    ],
)
def test_a_wrong_selection_is_answered_with_the_choices(selection: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        registry.load_families(selection)


def test_all_families_may_stand_beside_others() -> None:
    named = [family.name for family in registry.load_families("all, timm/resnet18@scratch")]
    assert named == [*(f.name for f in registry.load_families("all")), "timm.resnet18@scratch"]
    with pytest.raises(ValueError, match="each family must be named once"):
        registry.load_families("cnn,all")


def test_an_unknown_data_set_is_answered_with_the_choices() -> None:
    with pytest.raises(
        ValueError, match="unknown data set 'mnist'; choose from cifar10, cifar100, digits"
    ):
        registry.load_dataset("mnist")


def test_a_file_whose_family_has_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "misnamed.py").write_text("from trainables.families.cnn import FAMILY\n")
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"must define FAMILY with the name 'misnamed'"):
        registry.load_family("misnamed")


@pytest.mark.usefixtures("curve_family")
def test_a_family_outside_the_checkout_is_listed() -> None:
    assert "curve" in registry.family_names()
    assert registry.load_family("curve").name == "curve"


def test_a_folder_no_longer_named_is_no_longer_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = registry.family_names()
    (tmp_path / "passing.py").write_text("")
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    assert "passing" in registry.family_names()
    monkeypatch.delenv("STUDY_FAMILY_PATH")
    assert registry.family_names() == before


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("x = (", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("class Own(BaseException): ...\nraise Own('whatever')", "Own: whatever"),
    ],
)
def test_a_family_that_cannot_be_imported_breaks_itself_alone_and_prints_no_answer(
    content: str,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "broken.py").write_text(f"print('hello')\n{content}\n")
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    assert [family.name for family in registry.load_families("cnn")] == ["cnn"]
    with pytest.raises(ValueError, match=f"family 'broken' cannot be imported: {error}") as caught:
        registry.load_families("all")
    assert "--families cnn,frozen_features,resnet50_scratch,resnet50_transfer)" in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnn", "must be one file, but cnn is .*families/cnn.py and .*; give one another name"),
        ("my-net", "must have a name like cnn, but got 'my-net'"),
        ("all", "must not be called all, which means every one"),
    ],
)
def test_a_family_is_one_file_with_a_name_that_trials_can_have(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(registry.family_file("cnn")).read_text("utf-8").replace('"cnn"', repr(name))
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        registry.load_families(name)


def test_a_folder_of_families_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", "/nowhere")
    with pytest.raises(ValueError, match=r"\(STUDY_FAMILY_PATH names /nowhere, which is no folder"):
        registry.load_families("mine")


def test_what_a_familys_own_functions_raise_is_one_line_that_names_them() -> None:
    given = {"name": "mine", "build": len, "search_space": {}, "baseline": {}, "trainer": "a:B"}

    def refuse(*_: object) -> Any:
        raise KeyError("own")

    family = Family(**given, check=refuse, own_weights=refuse)
    for name, ask in (("check", family.ask_check), ("own_weights", family.find_own_weights)):
        with pytest.raises(ValueError, match=f"{name} of mine must .* raised KeyError: 'own'"):
            ask()
    with pytest.raises(ValueError, match=r"describe of mine must .* raised KeyError: 'own'"):
        Family(**given, describe=refuse).parts({})
    with pytest.raises(ValueError, match=r"describe of mine must return texts .* returned \['x'\]"):
        Family(**given, describe=lambda _: ["x"]).parts({})
    with pytest.raises(ValueError, match="its fixed must map names to what JSON can hold, but is"):
        Family(**given, fixed={"depth": {1, 2}})
    with pytest.raises(ValueError, match=r"check of mine must .* raised SystemExit: 3"):
        Family(**given, check=lambda *_: sys.exit(3)).ask_check()
    with pytest.raises(ValueError, match="must return a WeightsFile, but returned a str"):
        Family(**given, own_weights=lambda: "x.pth").find_own_weights()
    with pytest.raises(ValueError, match="its build must be a function, but is 3; its trainer"):
        Family(**{**given, "build": 3, "trainer": "B"})
    with pytest.raises(ValueError, match=r"the trainer of mine must be MODULE:CLASS .* is a:B"):
        trainer_class(family)


def test_code_that_ends_the_process_is_named_by_a_line() -> None:
    program = "from trainables.last_words import of_code_in\nwith of_code_in('mine.py'): {}"
    ends = ("pass", "import os; os._exit(7)", "import ctypes; ctypes.string_at(0)")
    root, lines = Path(registry.__file__).parents[1], []
    for end in ends:
        command = [sys.executable, "-S", "-c", program.format(end)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
        lines.append((done.returncode, done.stderr))
    told = "this process was ended by the code in mine.py: by os._exit, a signal, or a crash\n"
    assert lines == [(0, ""), (7, told), (-signal.SIGSEGV, told)]


DATA_SET = """from trainables.datasets.digits import DATASET as DIGITS
from dataclasses import replace

DATASET = replace(DIGITS, name={name!r})
"""


def test_a_data_set_outside_the_checkout_is_listed_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = registry.dataset_names()
    (tmp_path / "scans.py").write_text(DATA_SET.format(name="scans"))
    monkeypatch.setenv("STUDY_DATASET_PATH", str(tmp_path))
    assert registry.load_dataset("scans").open(None, 32).image_counts == (1437, 360)
    assert registry.dataset_file("scans") == tmp_path / "scans.py"
    monkeypatch.delenv("STUDY_DATASET_PATH")
    assert registry.dataset_names() == before


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (
            "unlike",
            DATA_SET.format(name="other"),
            "must define DATASET with the name 'unlike', but",
        ),
        ("nothing", "", "must define DATASET with the name 'nothing', but got None"),
        ("torn", "x = (", "data set 'torn' cannot be imported: SyntaxError"),
    ],
)
def test_a_file_that_is_no_data_set_is_refused(
    name: str, content: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.setenv("STUDY_DATASET_PATH", str(tmp_path))
    assert registry.load_dataset("digits").name == "digits"
    with pytest.raises(ValueError, match=error):
        registry.load_dataset(name)


def test_a_data_set_outside_is_part_of_the_code_that_a_study_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_DATASET_PATH", str(tmp_path))
    (tmp_path / "photos.py").write_text(DATA_SET.format(name="photos"))
    inside, one = code_sha256(["cnn"], "digits"), code_sha256(["cnn"], "photos")
    (tmp_path / "photos.py").write_text(DATA_SET.format(name="photos") + "# changed\n")
    assert len({inside, one, code_sha256(["cnn"], "photos")}) == 3
