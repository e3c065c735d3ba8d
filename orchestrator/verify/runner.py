"""Verifies a study: all checks of its tables, and of data and weights where available."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.verify import finals, predictions, registration, search
from orchestrator.verify import tables as verification
from orchestrator.verify.sources import SOURCES, NotAtHandError
from orchestrator.verify.tables import Check, Tables, UnusableError

CHECKS: Final[tuple[Check, ...]] = (
    *verification.CHECKS,
    *search.CHECKS,
    *finals.CHECKS,
    *predictions.CHECKS,
    *registration.CHECKS,
)
# More of the same would not help to find what is wrong.
MOST_SENTENCES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that must hold of a study and does not.

    Attributes:
        check: What must hold.
        sentence: Where it does not.
    """

    check: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verification found.

    Attributes:
        problems: Empty if the study is sound.
        notes: What could not be checked, or is sound but worth knowing.
        checks: How many checks were made.
    """

    problems: list[Problem]
    notes: list[str]
    checks: int


def verify(folder: Path, *, sources: bool) -> Verdict:
    """Checks every invariant of a study; nothing is downloaded.

    Args:
        folder: The study's.
        sources: Also hash data and weights again, where they lie on this machine.

    Raises:
        ValueError: It is no study.
    """
    tables = verification.read(folder)
    problems: list[Problem] = []
    notes, made = [], 0
    for check in (*CHECKS, *(SOURCES if sources else ())):
        name = check.__name__.removeprefix("check_").replace("_", " ")
        found, not_made = _make(check, tables)
        problems += [Problem(check=name, sentence=sentence) for sentence in _shortened(found)]
        if not_made is None:
            made += 1
        else:
            notes.append(f"{name} not checked: {not_made}")
    openings = tables.study.test_openings
    if openings > 1:
        notes.append(f"the test part was opened {openings} times, for different choices")
    return Verdict(problems=problems, notes=notes, checks=made)


def _make(check: Check, tables: Tables) -> tuple[list[str], str | None]:
    """What a check finds, and why it could not be made; it may have found something before."""
    found: list[str] = []
    try:
        found.extend(check(tables))
    except (UnusableError, NotAtHandError) as error:
        return found, str(error)
    except Exception as error:  # noqa: BLE001 (anything may be in a damaged study)
        text = " ".join(str(error).split())
        found.append(f"what is there cannot be checked: {type(error).__name__}: {text}")
    return found, None


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - MOST_SENTENCES
    return sentences if more <= 0 else [*sentences[:MOST_SENTENCES], f"... and {more} more"]
