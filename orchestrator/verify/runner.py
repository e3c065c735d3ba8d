"""Verifies a study: all checks of its tables, and of data and weights where available."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from orchestrator.verify import finals, predictions, ranges, registration, search, sources, tables
from orchestrator.verify.sources import NotAtHandError
from orchestrator.verify.tables import Check, Tables, UnusableError


def _checks_of(module: ModuleType) -> list[Check]:
    """The functions of a module that are named as checks, in their order there."""
    found = (each for name, each in vars(module).items() if name.startswith("check_"))
    return [check for check in found if check.__module__ == module.__name__]


MODULES: Final = (tables, ranges, search, finals, predictions, registration)
CHECKS: Final = [check for module in MODULES for check in _checks_of(module)]
SOURCES: Final = _checks_of(sources)
# More of the same would not help to find what is wrong.
MOST_NOTES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that must hold of a study and does not."""

    check: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verification found.

    Attributes:
        problems: Empty if the study is valid.
        notes: What could not be checked, or is valid but worth knowing.
        checks: How many checks were made.
    """

    problems: list[Problem]
    notes: list[str]
    checks: int


def verify(folder: Path, *, sources: bool) -> Verdict:
    """Checks every invariant of a study; nothing is downloaded.

    Its sources, data and weights, are hashed again where they are on this machine.

    Raises:
        ValueError: It is no study.
    """
    return verify_tables(tables.read(folder), sources=sources)


def verify_tables(study: Tables, *, sources: bool) -> Verdict:
    """Checks a study that is read; see `verify`."""
    problems: list[Problem] = []
    notes, made = [], 0
    for check in (*CHECKS, *(SOURCES if sources else ())):
        name = check.__name__.removeprefix("check_").replace("_", " ")
        found, not_made = _make(check, study)
        problems += [Problem(check=name, sentence=sentence) for sentence in _shortened(found)]
        if not_made is None:
            made += 1
        else:
            notes.append(f"{name} not checked: {not_made}")
    openings = study.study.test_openings
    if openings > 1:
        notes.append(f"the test part was opened {openings} times, for different choices")
    notes += ranges.clock_notes(study)
    if not any(problem.check == "comparison" for problem in problems):
        notes += predictions.interval_notes(study)
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


def _shortened(notes: list[str]) -> list[str]:
    more = len(notes) - MOST_NOTES
    return [*notes[:MOST_NOTES], *([f"... and {more} more"] if more > 0 else [])]
