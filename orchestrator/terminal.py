"""What is shown on a terminal: text that does nothing to it, and tables that fit, no name cut."""

import contextlib
import logging
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from orchestrator.cli import printable

UNKNOWN_WIDTH, LEAST_WIDTH = 80, 16
STDOUT: Final = 1
SHOW_CURSOR: Final = b"\x1b[?25h\n"


def shown(name: str) -> str:
    """A path in which bytes that are no UTF-8 can be seen."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@contextlib.contextmanager
def log_level(package: str, level: int) -> Iterator[None]:
    """A package says nothing below this level inside."""
    log = logging.getLogger(package)
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)


def show_cursor() -> None:
    """Shows the cursor that a table in motion hides, where the process ends in its midst."""
    with contextlib.suppress(OSError):
        if os.isatty(STDOUT):
            os.write(STDOUT, SHOW_CURSOR)


class Terminal(Console):
    """A console of plain text, also in notebooks: nothing is mark-up, all is `printable`."""

    def __init__(self, **options: Any) -> None:
        """Takes what a console takes."""
        super().__init__(markup=False, emoji=False, force_jupyter=False, **options)
        if self.width < LEAST_WIDTH:  # COLUMNS=0 would print nothing at all
            self.width = LEAST_WIDTH if self.width else UNKNOWN_WIDTH

    def render_str(self, text: str, **options: Any) -> Text:
        """Before its width is known."""
        return super().render_str(printable(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is text already has not been a `str` here."""
        if isinstance(renderable, Text):
            renderable = renderable.copy()
            renderable.plain = printable(renderable.plain)
        return super().render(renderable, options)


def fitting_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, left: Container[str]
) -> Group:
    """A table no wider than the terminal; where it would be, in parts, one below the other.

    Cells are wrapped between words before columns go into another part; a word alone is folded
    where it takes half the terminal, or a third of it where only so rows can be told apart. Each
    part begins with the columns that tell the rows apart. The `width` is in characters; the texts
    of columns with the titles `left` begin on the left.
    """
    columns = list(zip(titles, *rows, strict=True))
    whole = [max(map(cell_len, column)) for column in columns]
    words = [
        max([1, *(cell_len(word) for cell in column for word in cell.split())])
        for column in columns
    ]
    for share in (2, 3, 2):  # of the terminal
        least = [min(longest, width // share - 1) for longest in words]
        first = _telling_apart(rows, least, width)
        if _distinct(rows, first):
            break
    parts: list[RenderableType] = []
    for part in _parts(least, first, width):
        table = Table(box=box.SIMPLE, padding=0, show_edge=False)
        sizes = _widened([least[n] for n in part], [whole[n] for n in part], width)
        for number, size in zip(part, sizes, strict=True):
            justify: JustifyMethod = "left" if titles[number] in left else "right"
            # Left to itself, Rich breaks numbers in two, or cuts them.
            table.add_column(Text(titles[number]), width=size, overflow="fold", justify=justify)
        for row in rows:
            # As Text, so that brackets are not read as markup.
            table.add_row(*[Text(row[number]) for number in part])
        parts += [Text(), table] if parts else [table]
    return Group(*parts)


def _telling_apart(rows: Sequence[Sequence[str]], least: Sequence[int], width: int) -> int:
    """How many of the first columns it takes until no two rows are alike; one if that is many."""
    for count in range(1, len(least)):
        if sum(least[:count]) + count + max(least[count:]) > width:
            break
        if _distinct(rows, count):
            return count
    return 1


def _distinct(rows: Sequence[Sequence[str]], columns: int) -> bool:
    """Whether no two rows are alike in the first columns."""
    return len({tuple(row[:columns]) for row in rows}) == len(rows)


def _parts(least: Sequence[int], first: int, width: int) -> Iterator[list[int]]:
    """The numbers of the columns of each part, with at least one beside the first."""
    part = list(range(first))
    for number in range(first, len(least)):
        if len(part) > first and sum(least[n] + 1 for n in part) + least[number] > width:
            yield part
            part = list(range(first))
        part.append(number)
    yield part


def _widened(least: Sequence[int], whole: Sequence[int], width: int) -> list[int]:
    """The widths of columns, where those that would take the most lines get what is left."""
    sizes = list(least)
    for _ in range(min(width - (len(sizes) - 1), sum(whole)) - sum(sizes)):
        number = max(range(len(sizes)), key=lambda n: whole[n] / sizes[n])
        sizes[number] += 1
    return sizes
