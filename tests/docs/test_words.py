"""Names are the field's words, not the dialect that the project once had."""

import re
import tokenize
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("orchestrator", "trainables", "search_spaces")
OLD: Final = re.compile(
    "standing|tally|pace|told|deciding|searched|relabel|chapters?|luck|optimism|efforts?|protected|"
    "closed|halted|given_up|owed|go_on_with|take_up|stand_in|sentences|flaw|complaint|refuses|"
    "own_words|sound|at_hand|lies|heeded|rests_on|hanging|ended_after"
)
"""Whole words of names; `_` ends one."""
STORED: Final = {
    *("closed", "halted", "HALTED", "own_words", "pace", "PACE", "pace_from"),  # study.json, events
    "protected",  # rungs.parquet
    *("given_up", "optimism", "search_optimism", "final_optimism", "standing"),  # --json
}
"""Names of what files and programs read; they stay."""


def names() -> set[str]:
    """Every name in the packages' code, and of their files."""
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        found.add(path.stem)
        with tokenize.open(path) as file:
            found |= {
                token.string
                for token in tokenize.generate_tokens(file.readline)
                if token.type == tokenize.NAME
            }
    return found


def test_no_name_is_of_the_old_dialect_but_stored_ones() -> None:
    old = re.compile(rf"(?<![a-z])({OLD.pattern})(?![a-z])", re.IGNORECASE)
    assert {name for name in names() if old.search(name)} == STORED
