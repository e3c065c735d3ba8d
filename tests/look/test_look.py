"""One look names all that a study would refuse; once its advice is followed, the study runs."""

import os
import random
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from documented import check_settings
from made_up_data_sets import in_memory
from made_up_inputs import image_folder
from odd_images import BAD, HAS_AVIF, odd_folder, photographs, picture, saved
from printed_json import validated

from orchestrator import study
from orchestrator.config.sources import resolve
from orchestrator.look.__main__ import main
from orchestrator.look.looking import look_at
from orchestrator.plan.families import plan_families
from orchestrator.plan.inputs import prepare
from trainables.data.junk import LEFT
from trainables.datasets.folder import DATASET

IN_A_PART = {
    "folder in a class": 1,
    "file name": 1,
    "empty": 1,
    "HEIC": 1,
    "other format": 1,
    "no range": 1,
    "damaged": 1,
    "same in two classes": 1,
    "same in a class": 1,
    "few images": 1,
    "near in a class": 1,
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layouts of the odd folder; copy one before anything is changed."""
    place = tmp_path_factory.mktemp("odd ünd blank")
    odd_folder(place / "whole")
    odd_folder(place / "halves", "train", "test")
    odd_folder(place / "thirds", "train", "val", "test")
    return place


@pytest.fixture
def data(odd: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of one layout."""
    return Path(shutil.copytree(odd / request.param, tmp_path / "my dätä"))


each = pytest.mark.parametrize("data", ["whole", "halves", "thirds"], indirect=True)


def parts_of(data: Path) -> int:
    return sum((data / part).exists() for part in ("train", "val", "test")) or 1


def found(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> dict:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    return validated(capsys.readouterr().out, "look")


@each
def test_one_look_names_every_problem_with_its_count(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    look = found(capsys, str(data), code=1)
    parts = parts_of(data)
    counts = {problem["kind"]: len(problem["groups"]) for problem in look["problems"]}
    expected = {kind: parts * count for kind, count in IN_A_PART.items()}
    expected["few images"] = 1  # the class, in all parts
    if parts > 1:
        expected["same in two parts"] = 1
    assert counts == expected
    must = {problem["kind"] for problem in look["problems"] if problem["must"]}
    optional = {"near in a class"} if parts == 1 else {"near in a class", "same in a class"}
    assert must == set(expected) - optional
    assert not look["runs"]
    assert {what: len(names) for what, names in look["left_out"].items()} == {
        "hidden": parts + 1,
        LEFT: parts,
    }
    forms = Counter(look["images"]["formats"])
    avif = {"AVIF"} if HAS_AVIF else set()
    assert set(forms) == {"PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", *avif}
    assert all(look["images"]["traits"].values())
    assert len(look["images"]["traits"]) == 6
    assert look["images"]["width"] == [1, 64, 4000]


@each
def test_after_its_advice_a_study_runs_and_no_image_is_in_two_parts(
    data: Path, capsys: pytest.CaptureFixture[str], curve_family: None, tmp_path: Path
) -> None:
    del curve_family
    given = ("--families", "curve", "--dataset", "folder", "--data-dir", str(data))
    plan = (*given, "--results-dir", str(tmp_path / "results"), "--dry-run")
    capsys.readouterr()
    assert study.main(plan) == 2
    assert capsys.readouterr().err.rstrip().endswith(shlex.join(["orchestrator.look", str(data)]))
    follow(data, found(capsys, str(data), code=1))
    again = found(capsys, str(data), code=0)
    assert {problem["kind"] for problem in again["problems"]} <= {"near in a class"}
    assert study.main(plan) == 0
    check_no_leak(str(data))


def follow(data: Path, look: dict) -> None:
    """Removes what a look says."""
    for name in (name for problem in look["problems"] for name in problem["remove"]):
        path = data / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # its folder may have gone


def check_no_leak(data_dir: str) -> None:
    """No bytes are in two of training, validation and test."""
    settings = resolve(
        {"families": "curve", "dataset": "folder", "data_dir": data_dir, "image_size": 8},
        config=None,
        assignments=[],
    )
    inputs = prepare(settings, plan_families(settings))
    opened = inputs.dataset
    names = [name for name in opened.files if name not in opened.test_files]
    parts = [
        [opened.files[names[i]] for i in inputs.split.train],
        [opened.files[names[i]] for i in inputs.split.validation],
        [opened.files[name] for name in opened.test_files],
    ]
    hashes = [sha256 for part in parts for sha256 in part]
    assert len(set(hashes)) == len(hashes) == len(opened.files)


@each
def test_it_fits_80_columns_does_nothing_to_a_terminal_and_writes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    before = listing(data)
    assert main([str(data)]) == 1
    printed = capsys.readouterr().out
    assert listing(data) == before
    assert "\x1b" not in printed
    # Paths and commands are to be copied, and not broken.
    prose = [line for line in printed.splitlines() if not re.match(r" {4}| {2}python ", line)]
    assert max(map(len, prose)) <= 80
    assert r"caf\xe9.png" in printed
    assert shlex.split(printed.splitlines()[-3])[3] == str(data)


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def test_the_last_line_is_a_command_that_a_study_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "my phötos' ü", edge=240)
    assert main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "Image size: 224x224 pixels for every family" in printed
    words = shlex.split(printed.splitlines()[-1])
    assert words[:3] == ["python", "-m", "orchestrator.study"]
    inputs = prepare(check_settings(words[3:]), [])
    assert (inputs.settings.data_dir, inputs.settings.image_size) == (str(folder), 224)
    assert inputs.training.images.shape[1:] == (224, 224, 3)


def copy_into(folder: Path, source: str, target: str) -> None:
    (folder / target).write_bytes((folder / source).read_bytes())


DAMAGES: dict[str, Callable[[Path], object]] = {
    "none": lambda _: None,
    "hidden file": lambda f: (f / "class 0" / ".x").write_bytes(b""),
    "empty file": lambda f: (f / "class 0" / "x.jpg").write_bytes(b""),
    "two classes": lambda f: copy_into(f, "class 0/0.jpg", "class 1/x.jpg"),
    "few images": lambda f: [(f / "class 0" / f"{n}.jpg").unlink() for n in range(3)],
    "one class": lambda f: shutil.rmtree(f / "class 0"),
    "no class": lambda f: [shutil.rmtree(path) for path in f.iterdir()],
    "folder in a class": lambda f: (f / "class 0" / "more").mkdir(),
    "train without test": lambda f: shutil.copytree(f, f / "train"),
    "class name": lambda f: (f / "class 0").rename(f / os.fsdecode(b"\xff")),
    "classes alike": lambda f: (f / "class 0").rename(f / "class 1 "),
    **{
        f"copy {n} of a class": lambda f, n=n: copy_into(f, f"class 0/{n}.jpg", "class 0/x.jpg")
        for n in range(5)
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_says_that_a_study_would_run_where_one_would(
    damage: str, tmp_path: Path, curve_family: None
) -> None:
    del curve_family
    folder = photographs(tmp_path / "photos", edge=32)
    DAMAGES[damage](folder)
    arguments = ["--families", "curve", "--dataset", "folder", "--data-dir", str(folder)]
    plan = [*arguments, "--results-dir", str(tmp_path / "results"), "--dry-run"]
    assert main([str(folder)]) == (1 if study.main(plan) == 2 else 0)


PICTURES = [saved(picture(number, 20, 16), "PNG") for number in range(60)]
LAYOUTS = (("",), ("train", "test"), ("train", "val", "test"), ("train", "val"), ("test",))


def random_folder(base: Path, draw: random.Random) -> Path:
    """A few classes with few images, some of them the same, some no images."""
    pool = draw.sample(range(60), 60)
    parts = draw.choices(LAYOUTS, weights=(4, 4, 4, 1, 1))[0]
    for part, name in product(parts, ["a", "b b", "ç"]):
        folder = base / part / name
        folder.mkdir(parents=True)
        for number in range(draw.randrange(1, 9)):
            content = PICTURES[pool.pop() if pool and draw.random() < 0.93 else draw.randrange(60)]
            (folder / f"{number}.png").write_bytes(content)
        for file, content in BAD.items():
            if draw.random() < 0.04:
                (folder / file).write_bytes(content)
        if len(parts) > 1 and draw.random() < 0.05:
            shutil.rmtree(folder)
    return base


@pytest.mark.parametrize("seed", range(30))
def test_of_random_folders_it_says_what_a_study_does_and_how_it_is_mended(
    seed: int, tmp_path: Path, curve_family: None, capsys: pytest.CaptureFixture[str]
) -> None:
    del curve_family
    folder = random_folder(tmp_path / "data", random.Random(seed))
    arguments = ["--families", "curve", "--dataset", "folder", "--data-dir", str(folder)]
    plan = [*arguments, "--results-dir", str(tmp_path / "results"), "--dry-run"]
    look = found(capsys, str(folder), code=1 if study.main(plan) == 2 else 0)
    follow(folder, look)
    if not {"few classes", "parts missing"} & {problem["kind"] for problem in look["problems"]}:
        assert study.main(plan) == 0
        check_no_leak(str(folder))


def test_the_copies_of_a_class_that_chance_divides_are_refused_only_where_it_does(
    tmp_path: Path, curve_family: None
) -> None:
    del curve_family
    codes = set()
    for number in range(10):
        folder = photographs(tmp_path / str(number), edge=32)
        label = number % 2
        copy_into(folder, f"class {label}/{number // 2}.jpg", f"class {label}/x.jpg")
        codes.add(main([str(folder)]))
    assert codes == {0, 1}


def test_classes_of_which_one_part_lacks_some_are_named_and_can_be_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = image_folder(tmp_path / "images")
    shutil.copytree(folder / "test" / "dark", folder / "test" / "darker")
    look = found(capsys, str(folder), code=1)
    by_kind = {problem["kind"]: problem for problem in look["problems"]}
    assert by_kind["classes differ"]["groups"] == [["train/darker/"]]
    assert by_kind["classes differ"]["remove"] == ["test/darker/"]


def test_where_the_folder_above_is_named_the_right_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos" / "images", edge=32)
    (problem,) = found(capsys, str(folder.parent), code=1)["problems"]
    assert problem["kind"] == "few classes"
    assert problem["detail"].endswith(f"the classes may be the folders in {folder}: name that")
    assert problem["remove"] == []


@each
def test_a_folder_behind_an_address_is_looked_at_too(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = (
        found(capsys, in_memory(data, "looked at"), code=1),
        found(capsys, str(data), code=1),
    )
    for look in (there, here):
        for problem in look["problems"]:
            problem["detail"] = ""
    assert there["problems"] == here["problems"]
    assert there["images"] == here["images"]


def test_images_beyond_the_memory_are_a_problem_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("orchestrator.plan.memory.free_bytes", lambda: 1000)
    folder = photographs(tmp_path / "photos", edge=64)
    (problem,) = [p for p in found(capsys, str(folder), code=1)["problems"] if p["must"]]
    assert problem["kind"] == "memory"
    assert "must fit into the free memory" in problem["detail"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "DATA must be named"),
        (("/no/such",), "there is no folder '/no/such'"),
        (("{}", "--dataset", "folders"), "unknown data set 'folders'; choose from"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = photographs(tmp_path / "photos", edge=32)
    before = listing(tmp_path)
    assert main([each.format(folder) for each in arguments]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"look: {said}")
    assert printed.out == ""
    assert listing(tmp_path) == before


def test_what_is_no_folder_of_images_is_looked_at_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    look = found(capsys, "--dataset", "digits", code=0)
    assert sum(look["images"]["counts"]["train"].values()) == 1437
    assert (look["images"]["test"], look["image_size"]) == (360, 32)
    assert look["command"] == "python -m orchestrator.study --families all --dataset digits"


def test_what_is_said_of_imbalance_and_few_test_images_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photos", edge=32)
    for number in range(20):
        content = saved(picture(9000 + number), "JPEG")
        (folder / "class 1" / f"more {number}.jpg").write_bytes(content)
    notes = " ".join(found(capsys, str(folder), code=0)["notes"])
    assert "the classes have 5 to 25 images. Who always says 'class 1' is right on 83.3%" in notes
    assert "2 of 2 classes have fewer than 25 test images" in notes


def test_a_look_gives_the_very_data_set_that_a_study_opens(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", edge=40)
    look = look_at("folder", str(folder))
    assert look.survey is not None
    opened = [look.survey.open(40), DATASET.open(str(folder), 40)]
    assert opened[0].files == opened[1].files
    assert opened[0].test_files == opened[1].test_files
    assert np.array_equal(opened[0].read_training().images, opened[1].read_training().images)
    tested = {image.name for image in look.survey.images if image.part == "test"}
    assert tested == opened[1].test_files
