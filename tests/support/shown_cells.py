"""What sections show: the cells of each by its key."""

from collections.abc import Iterable

from orchestrator.analysis.section import Section


def cells(sections: Iterable[Section]) -> dict[str, list[tuple[str, ...]]]:
    """Rows of text by key, of the sections that say something."""
    shown = {each.key: each.cells() for each in sections if each.says_something}
    assert "nan" not in str(shown).lower()
    return shown
