"""Images that look alike, in groups: across classes, across parts, or in one class."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orchestrator.look.problems import NEAR, NEAR_CLASSES, NEAR_PARTS, Problem
from trainables.data.near_duplicates import MOST_BITS, MOST_LEVELS, near_pairs
from trainables.data.survey import SurveyedImage

MEASURE = (
    "Look alike: difference hashes of the middle squares (8 rows of 8 bits: is a pixel brighter "
    f"than its left neighbour?) differ in at most {MOST_BITS} of 64 bits, and these pictures of "
    f"8x9 pixels by at most {MOST_LEVELS} of 255 grey levels on average. It finds copies that were "
    "saved again, resized or slightly brightened, not cut-outs or mirrored ones."
)


@dataclass(frozen=True, kw_only=True)
class Alike:
    """What looks alike.

    Attributes:
        problems: Of three kinds at most; none of them keeps a study from running.
        whole: Whether all images were compared that may look alike.
    """

    problems: tuple[Problem, ...]
    whole: bool


def find_alike(images: Sequence[SurveyedImage], *, divided: bool) -> Alike:
    """Groups images that look alike.

    Args:
        images: In which no bytes stand twice.
        divided: Whether the data themselves say which images are the test part.
    """
    if not images:
        return Alike(problems=(), whole=True)
    found = near_pairs(np.stack([image.small for image in images]))
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for members in _groups(found.pairs, len(images)):
        group = [images[i] for i in members]
        groups[_kind(group, divided=divided)].append(tuple(image.name for image in group))
    problems = tuple(
        Problem(kind=kind, must=False, groups=tuple(groups[kind]))
        for kind in (NEAR_CLASSES, NEAR_PARTS, NEAR)
        if groups[kind]
    )
    return Alike(problems=problems, whole=found.whole)


def _groups(pairs: np.ndarray, images: int) -> list[list[int]]:
    """What pairs link together, each sorted."""
    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs), dtype=bool), pairs.T), shape=(images, images))
    _, numbers = connected_components(graph, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for index in np.unique(pairs).tolist():
        members[int(numbers[index])].append(index)
    return [*members.values()]


def _kind(images: Sequence[SurveyedImage], *, divided: bool) -> str:
    if len({image.label for image in images}) > 1:
        return NEAR_CLASSES
    return NEAR_PARTS if divided and len({image.part for image in images}) > 1 else NEAR
