"""How large images are is part of the question: from these themselves, and the same for all."""

import dataclasses
import json
import os
import shlex
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from documented import check_settings
from in_process import Driver
from made_up_inputs import FAMILIES
from odd_images import photographs, picture, saved
from printed_json import validated

from orchestrator import study
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.plan import inputs
from orchestrator.plan.data_summary import half_width
from orchestrator.plan.families import plan_families
from orchestrator.plan.image_size import with_image_size
from orchestrator.plan.inputs import prepare
from orchestrator.report import inputs as report
from orchestrator.report import provenance
from orchestrator.results import files
from orchestrator.verify.runner import verify

SIZED = '''"""Does a family that can be given other sizes get those of the images?"""

import dataclasses

from search_spaces.spaces import INPUT_SIZE
from trainables.families.curve import FAMILY as CURVE

FAMILY = dataclasses.replace(
    CURVE,
    name="sized",
    search_space={**CURVE.search_space, "input_size": INPUT_SIZE},
    baseline={**CURVE.baseline, "input_size": 48},
)
'''
ALL_AS_BEFORE = (32, 48, 64, 96, 128)


@pytest.fixture
def sized_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts `curve`, and `sized` that has an input size, on the registry's path."""
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "sized.py").write_text(SIZED)
    path = os.pathsep.join((str(FAMILIES), str(tmp_path / "families")))
    monkeypatch.setenv("STUDY_FAMILY_PATH", path)


def plan(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    """The plan of a study of all families, without anything downloaded."""
    arguments = ["--families", "all", "--dataset", "folder", "--data-dir", str(folder), *more]
    results = ["--results-dir", str(folder.parent / "results")]
    capsys.readouterr()
    assert study.main([*arguments, *results, "--dry-run", "--json"]) == 0
    return validated(capsys.readouterr().out, "plan")


def given(found: dict[str, Any]) -> dict[str, tuple[Any, list[Any]]]:
    """What families are given by their baseline and in their search."""
    return {
        each["family"]: (
            each["baseline"]["input_size"],
            each["space"]["input_size"]["attributes"]["choices"],
        )
        for each in found["families"]
        if "input_size" in each["space"]
    }


def test_of_photographs_of_64_pixels_all_families_see_64_and_the_plan_says_so_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photographs(tmp_path / "photos", 64, classes=12, each=60)
    found = plan(folder, capsys)
    assert found["settings"]["image_size"] == 64
    assert found["data"]["image_shape"] == [64, 64, 3]
    assert given(found) == {"resnet50_transfer": (64, [64])}
    assert found["data"]["notes"][0] == (
        "Images are scaled and cropped to 64x64 pixels in every family."
    )
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["--families", "cnn,resnet50_scratch", "--dataset", "folder", "--dry-run"]
    assert study.main([*arguments, "--data-dir", str(folder)]) == 0
    head, _, _ = capsys.readouterr().out.partition("\ncnn: ")
    assert head.splitlines() == [
        "Data: Images are scaled and cropped to 64x64 pixels in every family.",
        "Data: 720 images of 12 classes, 60 in each: 519 train, 57 validate, 144 test.",
        "Data: Shorter edges: 64 to 64 pixels, median 64; 0 are enlarged to 64, the ",
        "image_size that is from these (--image-size N: another).",
        "Data: Few validation images: on 57 an accuracy of 50% is known to 13 points ",
        "either way (95% interval).",
    ]


@pytest.mark.parametrize(("edge", "size"), [(28, 32), (100, 96), (240, 224)])
def test_the_size_is_the_one_that_a_look_proposes(
    edge: int, size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plan(photographs(tmp_path / "photos", edge), capsys)
    assert (found["settings"]["image_size"], given(found)) == (
        size,
        {"resnet50_transfer": (size, [size])},
    )


def test_a_size_that_is_named_is_taken_and_given_to_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos", 64)
    for size in (32, 384):
        found = plan(folder, capsys, "--image-size", str(size))
        assert found["data"]["image_shape"] == [size, size, 3]
        assert given(found) == {"resnet50_transfer": (size, [size])}


def test_the_forecasts_of_memory_and_time_are_of_that_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photographs(tmp_path / "photos", 240, each=6)
    arguments = ["--families", "cnn", "--dataset", "folder", "--data-dir", str(folder), "--dry-run"]
    monkeypatch.setenv("COLUMNS", "1000")
    results = ["--results-dir", str(tmp_path / "results")]
    assert study.main([*arguments, *results]) == 0
    assert "like these (folder, 224x224 pixels in 3 channels)" in capsys.readouterr().out
    monkeypatch.setattr("orchestrator.plan.memory.free_bytes", lambda: 100)
    assert study.main([*arguments, *results]) == 2
    assert "12 images of 224x224 pixels" in capsys.readouterr().err


def test_a_family_of_whose_input_size_anything_is_said_is_left_as_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos", 64)
    found = plan(folder, capsys, "--set", "space.resnet50_transfer.input_size=48,96")
    assert (found["settings"]["image_size"], given(found)) == (
        64,
        {"resnet50_transfer": (48, [48, 96])},
    )
    assert found["data"]["notes"][0] == (
        "Images are scaled and cropped to 64x64 pixels; resnet50_transfer is given 48 in its "
        "baseline, 48, 96 in its search (made smaller there without antialiasing; --image-size "
        "does it with)."
    )


def test_a_size_that_a_family_cannot_be_given_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos", 64)
    arguments = ["--dataset", "folder", "--data-dir", str(folder), "--image-size", "100"]
    assert study.main([*arguments, "--families", "cnn", "--dry-run"]) == 0
    capsys.readouterr()
    assert study.main([*arguments, "--families", "all", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "image_size must be one that resnet50_transfer can be given, 32, 48, 64" in line
    assert "but got 100; or say what it is given: space.resnet50_transfer.input_size" in line


def test_data_of_one_size_and_the_demonstration_stay_at_32_pixels_as_they_were() -> None:
    assert with_image_size(Settings(families="all"), None) == Settings(
        families="all", image_size=32
    )
    demo = resolve({"preset": "demo", "dataset": "folder"}, config=None, assignments=[])
    sized = with_image_size(demo, [640, 480])
    assert sized == demo
    (transfer,) = (each for each in plan_families(sized) if each.name == "resnet50_transfer")
    assert (sized.image_size, transfer.baseline["input_size"]) == (32, 32)


def test_families_that_can_be_given_no_common_size_are_refused(
    sized_family: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sized_family
    settings = Settings(families="curve,sized", dataset="folder")
    load = inputs.registry.load_families

    def only_512(names: str) -> Any:
        for family in load(names):
            space, baseline = dict(family.search_space), dict(family.baseline)
            if "input_size" in space:
                baseline["input_size"] = 512
                values = type(space["input_size"].values)((512,))
                space["input_size"] = dataclasses.replace(
                    space["input_size"], values=values, also=()
                )
            yield dataclasses.replace(family, search_space=space, baseline=baseline)

    monkeypatch.setattr(inputs.registry, "load_families", only_512)
    with pytest.raises(ValueError, match="no size of 32 to 224 can be given to each of sized"):
        with_image_size(settings, [64])
    named = with_image_size(dataclasses.replace(settings, image_size=512), [64])
    assert named.baseline == {"sized": {"input_size": "512"}}


SMALL = {**dict.fromkeys(("trials", "epochs"), 2), "grace_period": 1, "seeds": 1}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sized_family: None) -> Driver:
    """A study of photographs of 64 pixels."""
    del sized_family
    data_dir = str(photographs(tmp_path / "photos", 64, each=20))
    settings = {**SMALL, "families": "curve,sized", "dataset": "folder", "data_dir": data_dir}
    assignments = ("space.curve.fault=none", "space.sized.fault=none")
    return Driver(tmp_path / "results", monkeypatch, settings, assignments)


def test_a_study_keeps_its_size_as_a_number_and_goes_on_with_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert driver.start()
    stored = files.read_study(driver.folder).raw
    assert stored["settings"]["image_size"] == 64
    assert stored["settings"]["baseline"] == {"sized": {"input_size": "64"}}
    assert stored["baseline_deviations"] == {"sized": {"input_size": [64, 48]}}
    assert (
        "Images are scaled and cropped to 64x64 pixels in every family."
        in (
            stored["dataset"]["notes"]  # which comparison.md, the report and cards have
        )
    )
    page = report.read(driver.folder)
    assert ("image size", "64x64 pixels in every family") in provenance.facts(page)
    again = check_settings(shlex.split(provenance.command(page))[3:])
    assert (again.image_size, again.baseline) == (64, {"sized": {"input_size": "64"}})
    # Whatever would be proposed by now: nobody asks.
    monkeypatch.setattr("orchestrator.plan.image_size.SIZES", (32,))
    assert driver.resume(trials=3)
    assert files.read_study(driver.folder).raw["settings"]["image_size"] == 64
    assert verify(driver.folder, sources=True).problems == []


def test_a_study_from_before_sizes_were_proposed_goes_on_as_it_was(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(
            inputs,
            "with_image_size",
            lambda settings, _: dataclasses.replace(settings, image_size=32),
        )
        assert driver.start()
    path = driver.folder / "study.json"
    stored = json.loads(path.read_text())
    del stored["dataset"]["own_validation"]
    path.write_text(json.dumps(stored))
    assert driver.resume(trials=3)
    after = files.read_study(driver.folder).raw
    assert (after["settings"]["image_size"], after["baselines"]["sized"]["input_size"]) == (32, 48)
    (choices,) = after["spaces"]["sized"]["input_size"]["attributes"].values()
    assert tuple(choices) == ALL_AS_BEFORE
    assert verify(driver.folder, sources=True).problems == []


@pytest.mark.parametrize("images", [5, 57, 1000])
def test_half_the_width_of_the_interval_is_wilsons(images: int) -> None:
    end = 0.5 + half_width(images)
    assert 1.959964 * sqrt(end * (1 - end) / images) == pytest.approx(end - 0.5, abs=1e-6)


def test_the_first_lines_name_what_is_left_out_and_uneven_in_six_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos", 40, each=6)
    for number in range(20):
        content = saved(picture(9000 + number, 64, 40), "JPEG")
        (folder / "class 1" / f"more {number}.jpg").write_bytes(content)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    notes = plan(folder, capsys)["data"]["notes"]
    assert len(notes) == 6
    assert notes[1] == "32 images of 2 classes, 6 to 26 in each: 24 train, 2 validate, 6 test."
    assert notes[3:5] == [
        "Left out: 1 hidden, 1 beside the folders of classes.",
        "Imbalanced: who always says 'class 1' is right on 83.3% of the test images.",
    ]


def test_of_arrays_of_one_size_nothing_more_is_said(tmp_path: Path) -> None:
    del tmp_path
    said: list[str] = []
    settings = Settings(families="cnn", dataset="digits")
    found = prepare(settings, plan_families(settings), said.append)
    assert said == []
    assert found.notes == []
    assert found.settings == dataclasses.replace(settings, image_size=32)
