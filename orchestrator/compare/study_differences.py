"""How studies differ: settings, spaces, data, split, weights, code, versions, entry by entry."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from orchestrator.analysis.section import MISSING, Section, worded
from orchestrator.results.study_record import StudyRecord
from search_spaces.dimension import describe, read_distribution
from trainables.secrets import redacted

SHOWN_OF_A_HASH = 12
LENGTH_OF_A_HASH = 64
DATA_FILE = "dataset.files."
MOST_FILES = 5
MOST_CHARACTERS = 200
"""Of a value, as that of a list of a thousand classes."""
ASPECTS = {
    "settings": "settings",
    "spaces": "search spaces",
    "baselines": "baselines",
    "dataset": "data and split",
    "weights": "weights",
    "code_sha256": "code",
    "environment": "versions",
    "cluster": "machines",
}
"""Entries of `study.json` that are held against each other, to what they are called."""
# Where a study is stored and its name are no difference; spaces and baselines stand as resolved.
NOT_COMPARED = frozenset({"settings.name", "settings.results_dir"})
RESOLVED = ("settings.space.", "settings.baseline.")


def differences_section(names: Sequence[str], studies: Sequence[StudyRecord]) -> Section:
    """A row for each entry in which not all studies are alike, and a sentence on what they share.

    The names by which the studies are shown stand in their order.
    """
    rows, alike, more_files, own = [], [], 0, ("aspect", "entry")
    families = {name: None for study in studies for name in study.settings.families}
    lone = [name for name in families if any(name not in s.settings.families for s in studies)]
    for key, aspect in ASPECTS.items():
        flat = [dict(_entries(study, key, apart_from=lone)) for study in studies]
        values = {name: [each.get(name, MISSING) for each in flat] for name in chain(*flat)}
        differing = {name: cells for name, cells in values.items() if len(set(cells)) > 1}
        files = [name for name in differing if name.startswith(DATA_FILE)]
        for name in files[MOST_FILES:]:
            del differing[name]
        more_files += len(files[MOST_FILES:])
        rows += [
            (aspect, name.removeprefix(f"{key}."), *map(_shortened, cells))
            for name, cells in differing.items()
        ]
        if values and not differing:
            alike.append(aspect)
    notes = [f"The same in all: {', '.join(alike)}."] if alike else []
    if more_files:
        notes.append(f"{more_files:,} more data files differ.")
    if lone:
        notes.append(
            f"Not all have searched {', '.join(lone)}: what these were searched in is not listed."
        )
    return worded(
        key="differs/all",
        title="What differs",
        columns=(*own, *(f"study {name}" if name in own else name for name in names)),
        rows=rows,
        notes=tuple(notes if rows else [*notes, "No recorded entry differs."]),
        place="terminal",
    )


def _entries(
    study: StudyRecord, key: str, *, apart_from: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What is compared of an entry of `study.json`, without some families: dotted name, text."""
    value = study.raw.get(key)
    if key == "spaces":
        # The values of a dimension as a user writes them.
        value = {
            family: {name: describe(read_distribution(own)) for name, own in space.items()}
            for family, space in study.spaces.items()
        }
    if key in {"spaces", "baselines"} and value:
        value = {family: own for family, own in value.items() if family not in apart_from}
    for name, text in leaves(value, key):
        if name not in NOT_COMPARED and not name.startswith(RESOLVED):
            yield name, text


def leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """What an entry of `study.json` holds as (dotted name, value as text), but what is empty."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple) and value:
        yield name, redacted(", ".join(map(str, value)))
    elif value not in (None, [], ()):  # what is empty is as what an older study does not have
        yield name, redacted(str(value))


def _shortened(text: str) -> str:
    """A hash by its beginning, as people tell them apart, and so what would fill a page."""
    is_hash = len(text) == LENGTH_OF_A_HASH and set(text) <= set("0123456789abcdef")
    if is_hash:
        return text[:SHOWN_OF_A_HASH]
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."
