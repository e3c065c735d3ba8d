"""Verify hashes data and weights again where they lie on this machine, and downloads nothing."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_process import Driver
from made_up_inputs import add_family, image_folder, weights_file

from orchestrator.results import files
from orchestrator.verify.__main__ import main
from orchestrator.verify.runner import verify


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study in `results/mine`, and with its `images` and `weights.safetensors`."""
    folder = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        add_family(folder / "families", patch, "pretrained", pretrained=True)
        settings = {
            "families": "pretrained",
            "trials": 2,
            "epochs": 1,
            "grace_period": 1,
            "seeds": 1,
            "dataset": "folder",
            "data_dir": str(image_folder(folder / "images")),
            "weights": str(weights_file(folder / "weights.safetensors")),
        }
        driver = Driver(folder / "results", patch, settings, ("space.pretrained.fault=none",))
        assert driver.start()
    return folder


@pytest.fixture
def study(inputs: Path, tmp_path: Path) -> Path:
    """The same, copied: data and weights are looked for in the copy."""
    folder = tmp_path / "copy"
    shutil.copytree(inputs, folder)
    note(
        folder,
        lambda content: content["settings"].update(
            data_dir=str(folder / "images"), weights=str(folder / "weights.safetensors")
        ),
    )
    return folder


def note(study: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = study / "results" / "mine" / "study.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def problems(study: Path) -> list[tuple[str, str]]:
    verdict = verify(study / "results" / "mine", sources=True)
    return [(problem.check, problem.sentence) for problem in verdict.problems]


def test_data_and_weights_that_are_as_they_were_are_checked_and_sound(study: Path) -> None:
    verdict = verify(study / "results" / "mine", sources=True)
    assert (verdict.problems, verdict.notes) == ([], [])


def test_a_data_file_that_changed_is_found_and_exit_1(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files.read_study(study / "results" / "mine").raw["dataset"]["files"]
    with (study / "images" / "test" / "dark" / "01.png").open("ab") as file:
        file.write(b"x")
    assert main([str(study / "results" / "mine")]) == 1
    expected = f"data: test/dark/01.png must have SHA-256 {before['test/dark/01.png']} as recorded"
    assert capsys.readouterr().out.startswith(expected)


def test_a_data_file_that_is_no_image_any_more_is_found(study: Path) -> None:
    (study / "images" / "train" / "dark" / "01.png").write_bytes(b"x")
    ((check, sentence),) = problems(study)
    assert check == "data"
    assert sentence.startswith("train/dark/01.png must have SHA-256")


def test_a_data_file_that_is_gone_or_new_is_found(study: Path) -> None:
    images = study / "images" / "train" / "dark"
    (images / "01.png").rename(images / "99.png")
    assert [sentence.partition(" must")[0] for _, sentence in problems(study)] == [
        *("train/dark/01.png", "train/dark/99.png")
    ]


def test_data_that_are_no_data_set_any_more_are_found(study: Path) -> None:
    shutil.rmtree(study / "images" / "train" / "dark")
    ((check, sentence),) = problems(study)
    assert (check, sentence[:46]) == ("data", "the data must be what they were, but are not: ")


def test_another_split_of_the_same_data_is_found(study: Path) -> None:
    note(study, lambda content: content["dataset"].update(split_sha256="of another split"))
    found = dict(problems(study))
    assert found["data"].startswith("the split must have SHA-256 of another split as recorded")


def test_weights_that_changed_are_found(study: Path) -> None:
    before = files.read_study(study / "results" / "mine").raw["weights"]["sha256"]
    weights_file(study / "weights.safetensors", 1.0)
    ((check, sentence),) = problems(study)
    assert check == "weights"
    assert f"weights.safetensors must have SHA-256 {before} as recorded, but have " in sentence


def test_what_does_not_lie_on_this_machine_is_noted_and_no_problem(study: Path) -> None:
    shutil.rmtree(study / "images")
    (study / "weights.safetensors").unlink()
    verdict = verify(study / "results" / "mine", sources=True)
    assert verdict.problems == []
    assert [note.partition(":")[0] for note in verdict.notes] == [
        *("data not checked", "weights not checked")
    ]


def test_an_empty_folder_is_where_data_are_not_mounted(study: Path) -> None:
    shutil.rmtree(study / "images")
    (study / "images").mkdir()
    verdict = verify(study / "results" / "mine", sources=True)
    assert verdict.notes == [f"data not checked: {study / 'images'} is empty"]


def test_nothing_is_downloaded_and_known_weights_are_checked_by_their_name(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("verify asked the network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    note(
        study,
        lambda content: content["settings"].update(
            dataset="cifar10", data_dir=None, weights="imagenet"
        ),
    )
    verdict = verify(study / "results" / "mine", sources=True)
    (noted,) = verdict.notes
    assert noted.startswith("data not checked: no CIFAR-10")
    assert "downloads are switched off" in noted
    (wrong,) = [problem.sentence for problem in verdict.problems if problem.check == "weights"]
    assert wrong.startswith("weights imagenet must have SHA-256 ")
