"""A look, for people: what there is, what must be mended, what to run; or as one JSON object."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from orchestrator.look.looking import Look, command_of
from orchestrator.look.problems import DETAILED, Problem
from orchestrator.plan.memory import GB, free_bytes
from orchestrator.terminal import fitting_table, shown

MOST_CLASSES: Final = 20
"""Rows of the table of classes; of more only the largest and the smallest stand there."""
MOST_SHOWN: Final = 3
"""Of a kind of problem; `--json` has all."""
MOST_NAMES: Final = 3
"""Of a group."""


def print_look(console: Console, look: Look, again: str) -> None:
    """Prints all of it; `again` is the command that looks again."""
    where = "" if look.settings.data_dir is None else f": {shown(look.settings.data_dir)}"
    console.print(f"{look.settings.dataset}{where}", style="bold")
    for line in _numbers(look):
        console.print(line)
    if look.classes:
        console.print()
        _print_classes(console, look)
    must = [problem for problem in look.problems if problem.must]
    better = [problem for problem in look.problems if not problem.must]
    _print_problems(console, "A study would refuse this:", must)
    _print_problems(console, "Worth knowing; a study would run:", better)
    if look.notes:
        console.print()
        for note in look.notes:
            console.print(note)
    console.print()
    for line in _training(look):
        console.print(line)
    console.print()
    if must:
        console.print("Once that is mended, look again:")
        console.print(f"  {again}", soft_wrap=True)
        console.print("and then run:")
    else:
        console.print("Run (with --dry-run behind it: the plan alone):")
    console.print(f"  {command_of(look.settings)}", soft_wrap=True)


def to_json(look: Look) -> dict[str, Any]:
    """What `--json` prints; `docs/JSON.md` has its schema."""
    return {
        "dataset": look.settings.dataset,
        "data_dir": look.settings.data_dir,
        "runs": look.runs,
        "classes": look.classes,
        "images": {**asdict(look.overview), "test": look.test_images},
        "problems": [
            {"kind": p.kind, "must": p.must, "what": p.title, "advice": p.advice, **vars(p)}
            for p in look.problems
        ],
        "left_out": dict(look.left_out),
        "notes": look.notes,
        "image_size": look.image_size,
        "enlarged": look.smaller,
        "decoded_bytes": look.decoded_bytes,
        "free_bytes": free_bytes(),
        "time": look.time,
        "command": command_of(look.settings),
    }


def _numbers(look: Look) -> Iterator[str]:
    """What there is, a line each."""
    seen = look.overview
    parts = [f"{sum(counts.values()):,} {part}" for part, counts in seen.counts.items()]
    known = f" ({', '.join(parts)})" if set(seen.counts) - {"images"} else ""
    if look.test_images is not None and "test" not in seen.counts:
        known = f" ({', '.join([*parts, f'{look.test_images:,} test'])})"
    images = seen.images + (0 if "test" in seen.counts else look.test_images or 0)
    usable = "that can be used " if look.survey is not None else ""
    yield f"{images:,} images {usable}of {len(look.classes):,} classes{known}"
    if seen.width and seen.height:
        for name, (least, middle, most) in (("Width", seen.width), ("Height", seen.height)):
            yield f"{name}: {least:,} to {most:,} pixels, median {middle:,}"
    for title, counted in (("Formats", seen.formats), ("Shapes", seen.shapes)):
        if counted:
            yield f"{title}: {', '.join(f'{n:,} {name}' for name, n in counted.items() if n)}"
    for trait, count in (seen.traits or {}).items():
        yield f"Read: {count:,} {trait}"
    for what, names in look.left_out.items():
        yield f"Left out: {len(names):,} {what} ({_names(names)})"


def _print_classes(console: Console, look: Look) -> None:
    rows, counts, together = look.classes, look.overview.counts, look.overview.by_class
    if len(rows) > MOST_CLASSES:
        by_size = sorted(rows, key=lambda name: -together[name])
        half, classes = MOST_CLASSES // 2, f"{len(rows):,} classes"
        rows = (*by_size[:half], *by_size[-half:])
        console.print(f"The {half} largest and the {half} smallest of {classes}:")
    cells = [(shown(name), *(f"{each[name]:,}" for each in counts.values())) for name in rows]
    console.print(fitting_table(("class", *counts), cells, console.width, left=("class",)))


def _print_problems(console: Console, title: str, problems: Sequence[Problem]) -> None:
    if not problems:
        return
    console.print()
    console.print(title, style="bold")
    for problem in problems:
        number, paths = len(problem.groups), sum(map(len, problem.groups))
        images = "" if paths == number else f" ({paths:,} paths)"
        console.print(f"{problem.title}: {number:,}{images}")
        for group in problem.groups[:MOST_SHOWN]:
            console.print(f"    {_names(group, ' = ')}", soft_wrap=True)
        if number > MOST_SHOWN:
            console.print(f"    and {number - MOST_SHOWN:,} more")
        some = "e.g. " if number > 1 and problem.kind in DETAILED else ""
        for before, sentence in ((some, shown(problem.detail)), ("-> ", problem.advice)):
            if sentence:
                console.print(Padding(Text(before + sentence), (0, 0, 0, 2), expand=False))


def _names(names: Sequence[str], between: str = ", ") -> str:
    """The first few, for a shell."""
    more = ["..."] if names[MOST_NAMES:] else []
    return between.join([*(shlex.quote(shown(name)) for name in names[:MOST_NAMES]), *more])


def _training(look: Look) -> Iterator[str]:
    """What a study would train on, and what that takes."""
    if look.image_size is None:
        return
    size = f"{look.image_size}x{look.image_size}"
    if look.survey is None:
        yield f"Image size: {size} pixels, as the data have it."
    else:
        yield (
            f"Image size: {size} pixels for every family, the largest to which at least half of "
            f"the images need not be enlarged; {look.smaller:,} are. What is longer is cropped to "
            "its middle square."
        )
    there = free_bytes()
    free = "" if there is None else f"; {there / GB:.1f} GB are free"
    yield f"Memory: the images take {look.decoded_bytes / GB:.2g} GB decoded, once{free}."
    yield from look.time
