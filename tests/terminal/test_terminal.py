"""What is printed fits 80 columns: no name is cut, no number broken, no line too long."""

import io
import os
import pty
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from fcntl import ioctl
from itertools import combinations
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
from made_up_study import ComparedStudy, MadeUpStudy
from rich.console import Console

from orchestrator.cli import counted
from orchestrator.config.sources import resolve
from orchestrator.plan.families import plan_families
from orchestrator.plan.summary import print_spaces
from orchestrator.run.progress import ProgressTable
from orchestrator.status.render import drawn, print_status
from orchestrator.status.study_status import read_status
from orchestrator.terminal import Terminal, fitting_table
from orchestrator.trials.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
LONG = "resnet50_transfer_frozen_layers"
THREE = ("cnn", "resnet50_scratch", "resnet50_transfer")
TEN = (*THREE, LONG, *(f"resnet50_scratch_variant_{number}" for number in range(6)))


def printed(show: Callable[[Console], object], width: int = 80) -> str:
    """What is shown, of which no line is too long."""
    console = Console(file=io.StringIO(), width=width)
    show(console)
    text: str = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def words(text: str) -> set[str]:
    return set(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("names", [THREE, TEN])
def test_a_table_is_parted_before_a_word_is_cut(width: int, names: Sequence[str]) -> None:
    titles = ("family", "best validation accuracy", "device seconds", *map(str, range(12)), "trial")
    rows = [
        (name, "62.5%", "1,234,567", *(f"{100 + n}" for n in range(12)), f"t-{number:03d}")
        for number, name in enumerate(names)
    ]
    found = words(printed(lambda c: c.print(fitting_table(titles, rows, width, left=())), width))
    expected = {word for row in (titles, *rows) for cell in row for word in cell.split()}
    assert {word for word in expected if len(word) < width // 2} <= found


def test_a_word_longer_than_half_the_terminal_is_folded_and_loses_no_letter() -> None:
    name = "".join(chr(ord("a") + n % 26) for n in range(90))
    table = fitting_table(("name", "number"), [(name, "7")], 80, left=("name",))
    lines = printed(lambda console: console.print(table)).splitlines()
    assert "".join(line.split()[0] for line in lines[2:]) == name
    assert "7" in lines[2]


def test_a_part_begins_with_the_columns_that_tell_its_rows_apart() -> None:
    titles = ("fraction", "family", *(f"a{n}aaaaaaaaaaaaaaaaa" for n in range(9)))
    rows = [(fraction, family, *"123456789") for fraction in ("0.1", "1") for family in ("a", "b")]
    text = printed(lambda c: c.print(fitting_table(titles, rows, 80, left=titles)))
    assert text.count("fraction family") == 3
    assert len(re.findall(r"^0\.1 +b +\d", text, re.MULTILINE)) == 3


@pytest.mark.parametrize(("families", "finished"), [(THREE, True), (TEN, False)])
def test_status_names_each_family_and_trial_in_80_columns(
    tmp_path: Path, families: Sequence[str], finished: bool
) -> None:
    study = MadeUpStudy(
        families=tuple(families), fractions=(0.01, 0.1, 1.0), test_images=8, finished=finished
    )
    status = read_status(study.write(tmp_path / "mine"), now=0)
    for show in (
        lambda c: print_status(c, status),
        lambda c: c.print(drawn(status, c.width)),
    ):
        console = Console(file=io.StringIO(), width=80)
        show(console)
        lines = console.file.getvalue().splitlines()
        # A command is left whole, so that it can be copied.
        assert max(len(line) for line in lines if not line.startswith("To go on")) <= 80
        found = words("\n".join(lines))
        assert {*families, *(family.best_trial_id for family in status.families)} <= found


def test_the_plan_cuts_no_dimension_and_no_choice() -> None:
    plans = plan_families(resolve({"families": "all"}, config=None, assignments=[]))
    found = words(printed(lambda console: print_spaces(console, plans)).replace(",", ""))
    assert {*THREE, "flip_crop_cutout", "head_learning_rate_multiplier"} <= found
    assert {name for plan in plans for name in plan.space} <= found


def test_what_families_share_stands_once_in_the_plan_and_each_ones_own_below_its_name() -> None:
    plans = plan_families(
        resolve({"families": "all"}, config=None, assignments=["space.cnn.batch_size=32,64"])
    )
    text = printed(lambda console: print_spaces(console, plans), width=200)
    tables = {
        lines[0]: lines[3:] for part in text.strip().split("\n\n") if (lines := part.split("\n"))
    }
    named = {title: [row.split()[0] for row in rows if row] for title, rows in tables.items()}
    shared = named.pop("all families")
    assert "learning_rate" in shared
    assert "batch_size" not in shared
    assert [*named] == [*THREE]
    for plan in plans:
        assert sorted([*shared, *named[plan.name]]) == sorted(plan.space)
    alone = printed(lambda console: print_spaces(console, plans[:1]))
    assert "all families" not in alone


def test_a_terminal_said_to_have_no_columns_shows_all_that_one_of_80_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    console = Terminal(file=io.StringIO())
    console.print("a study")
    assert console.file.getvalue() == "a study\n"
    assert console.width == 80


def test_a_terminal_of_one_column_still_shows_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    console = Terminal(file=io.StringIO())
    console.print(fitting_table(["family", "trials"], [["cnn", "3"]], console.width, left=()))
    assert {"cnn", "3"} <= words(console.file.getvalue())


@pytest.mark.parametrize("families", [THREE, TEN])
def test_the_table_of_a_running_study_names_each_family(
    recorder: Recorder, families: Sequence[str]
) -> None:
    table = ProgressTable("Search", recorder, dict.fromkeys(families, 32), lambda: 9000.0)
    assert {*families} <= words(printed(lambda console: console.print(table)))


def test_the_comparison_of_families_with_long_names_fits() -> None:
    study = ComparedStudy(families=(*THREE, LONG), fractions=(0.01, 0.1, 1.0), test_images=40)
    text = study.terminal(width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert {*THREE, LONG} <= words(text)
    assert "…" not in text


def test_each_part_of_a_table_of_long_names_tells_its_rows_apart() -> None:
    names = [
        f"timm.vit_base_patch16_224.augreg_in21k{end}" for end in ("", "_ft_in1k@frozen", "@a")
    ]
    rows = [(a, b, "+1.17 [-2.70, +5.04]") for a, b in combinations(names, 2)]
    console = Terminal(file=io.StringIO(), width=80)
    console.print(fitting_table(("more accurate", "than", "points"), rows, 80, left=()))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("than" in line for line in lines) == sum("more" in line for line in lines)


@pytest.mark.parametrize(
    ("number", "what", "said"),
    [
        (1, "test image", "1 test image"),
        (0, "trial", "0 trials"),
        (2000, "family", "2,000 families"),
        (2, "class", "2 classes"),
        (None, "test image", "— test images"),
    ],
)
def test_things_are_counted_in_the_singular_where_there_is_one(number, what, said) -> None:
    assert counted(number, what) == said


def test_the_command_itself_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    folder = MadeUpStudy(families=(*THREE, LONG), test_images=8).write(tmp_path / "mine")
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.status", str(folder)],
        cwd=ROOT,
        stdout=theirs,
        stdin=theirs,
        env={**environment, "TERM": "xterm"},
    )
    os.close(theirs)
    received = b""
    try:
        while more := os.read(ours, 65536):
            received += more
    except OSError:  # so a terminal tells that its last process has gone
        pass
    os.close(ours)
    assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", received.decode())
    assert max(map(len, text.splitlines())) <= 80
    assert {*THREE, LONG} <= words(text)
