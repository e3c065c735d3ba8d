"""Images that look alike are told by what they do harm to: labels, the test, or neither."""

from pathlib import Path

from odd_images import photographs, picture, saved

from orchestrator.look.looking import look_at
from orchestrator.look.problems import Problem


def with_copies(folder: Path, copied: int, *, to: str = "class {}") -> Path:
    """Photographs, of which the first of each class are saved a second time, smaller."""
    photographs(folder, edge=48, each=10)
    for label in range(2):
        for number in range(copied):
            again = picture(100 * label + number, 68, 48).resize((60, 42))
            place = folder / to.format(label) / f"{number} of {label} again.jpg"
            place.write_bytes(saved(again, "JPEG", quality=60))
    return folder


def found(folder: Path) -> dict[str, Problem]:
    problems = {problem.kind: problem for problem in look_at("folder", str(folder)).problems}
    assert not any(problem.must for kind, problem in problems.items() if kind.startswith("near"))
    return problems


def test_copies_on_either_side_of_a_drawn_test_part_are_told_with_what_they_concern(
    tmp_path: Path,
) -> None:
    folder = with_copies(tmp_path / "photos", 8)
    survey = look_at("folder", str(folder)).survey
    assert survey is not None
    tested = {image.name for image in survey.images if image.part == "test"}
    problems = found(folder)
    across, within = problems["near in two parts"], problems["near in a class"]
    assert len(across.groups) + len(within.groups) == 16
    assert all(len(tested & {*group}) == 1 for group in across.groups)
    assert all(len(tested & {*group}) in {0, 2} for group in within.groups)
    assert across.detail.startswith(f"{len(across.groups)} of 7 test images are among them. ")
    assert "drawn by chance" in across.detail
    assert "--group-column" in across.advice


def test_while_something_must_be_mended_nobody_says_on_which_side_copies_lie(
    tmp_path: Path,
) -> None:
    folder = with_copies(tmp_path / "photos", 8)
    (folder / "class 0" / "empty.jpg").touch()
    problems = found(folder)
    assert "near in two parts" not in problems
    assert len(problems["near in a class"].groups) == 16
    assert "look again once the rest is mended" in problems["near in a class"].detail


def test_copies_in_two_classes_are_told_to_be_in_two_parts_too(tmp_path: Path) -> None:
    folder = with_copies(tmp_path / "photos", 8, to="class 1")
    problem = found(folder)["near in two classes"]
    assert len(problem.groups) == 8
    assert "of these lie in two parts too: " in problem.detail


def test_in_parts_of_its_own_nothing_is_said_of_chance(tmp_path: Path) -> None:
    for part, moved in (("train", 0), ("test", 5)):
        for path in photographs(tmp_path / part, edge=48, each=3).rglob("*.jpg"):
            seed = 100 * int(path.parent.name[-1]) + int(path.stem) + moved
            path.write_bytes(saved(picture(seed, 68, 48), "JPEG"))
    again = saved(picture(0, 68, 48), "PNG")
    (tmp_path / "test/class 0/0.jpg").write_bytes(again)
    problem = found(tmp_path)["near in two parts"]
    assert problem.groups == (("train/class 0/0.jpg", "test/class 0/0.jpg"),)
    assert problem.detail == "1 of 6 test images are among them."


def test_a_copy_that_chance_may_divide_once_the_rest_is_mended_must_go_in_a_table_too(
    tmp_path: Path,
) -> None:
    folder = photographs(tmp_path / "photos", edge=32, each=8)
    copy = (folder / "class 0/0.jpg").read_bytes()
    (folder / "class 0/copy.jpg").write_bytes(copy)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    rows = [f"{name},{name[6]},{'val' if '/7' in name else 'train'}" for name in names]
    table = folder / "table.csv"
    table.write_text("\n".join(["path,label,split", *rows, "no such.jpg,0,train"]))
    problem = found(table)["same in a class"]
    assert problem.must
    assert "copies lie on either side of that by chance" in problem.detail
