"""How studies differ: settings, spaces, data, split, weights, code, versions, entry by entry."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import json_to_distribution

from orchestrator.analysis.section import MISSING, Section, worded
from orchestrator.results.study_record import StudyRecord
from search_spaces.dimension import describe

SHOWN_OF_A_HASH = 12
LENGTH_OF_A_HASH = 64
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

    Args:
        names: By which the studies are shown.
        studies: In the same order.
    """
    flat = [dict(_entries(study)) for study in studies]
    rows, alike = [], []
    for key, aspect in ASPECTS.items():
        entries = dict.fromkeys(
            name for each in flat for name in each if name == key or name.startswith(f"{key}.")
        )
        values = {name: [each.get(name, MISSING) for each in flat] for name in entries}
        differing = {name: cells for name, cells in values.items() if len(set(cells)) > 1}
        rows += [
            (aspect, name.removeprefix(f"{key}."), *map(_shortened, cells))
            for name, cells in differing.items()
        ]
        if values and not differing:
            alike.append(aspect)
    sentences = [f"The same in all: {', '.join(alike)}."] if alike else []
    if not rows:
        sentences.append("No recorded entry differs.")
    return worded(
        key="differs/all",
        title="What differs",
        columns=("aspect", "entry", *names),
        rows=tuple(rows),
        notes=tuple(sentences),
        place="terminal",
    )


def _entries(study: StudyRecord) -> Iterator[tuple[str, str]]:
    """What is compared as (dotted name, value as text)."""
    spaces = {
        family: {name: _described(value) for name, value in space.items()}
        for family, space in study.spaces.items()
    }
    for key in ASPECTS:
        value = spaces if key == "spaces" else study.raw.get(key)
        for name, text in _leaves(key, value):
            if name not in NOT_COMPARED and not name.startswith(RESOLVED):
                yield name, text


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple) and value:
        yield name, ", ".join(map(str, value))
    elif value not in (None, [], ()):  # what is empty is as what an older study does not have
        yield name, str(value)


def _described(distribution: Mapping[str, object]) -> str:
    """A dimension's values as a user writes them."""
    return str(describe(json_to_distribution(json.dumps(distribution))))


def _shortened(text: str) -> str:
    """A hash by its beginning, as people tell them apart."""
    is_hash = len(text) == LENGTH_OF_A_HASH and set(text) <= set("0123456789abcdef")
    return text[:SHOWN_OF_A_HASH] if is_hash else text
