"""Images that look alike, in groups: across classes, across parts, or in one class."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orchestrator.look.problems import NEAR, Problem, kind_of
from trainables.data.near_duplicates import MOST_BITS, MOST_LEVELS, near_pairs
from trainables.data.survey import SurveyedImage

MEASURE = (
    "Look alike: difference hashes of the middle squares (8 rows of 8 bits: is a pixel brighter "
    f"than its left neighbour?) differ in at most {MOST_BITS} of 64 bits, and these pictures of "
    f"8x9 pixels by at most {MOST_LEVELS} of 255 grey levels on average. It finds copies that were "
    "saved again, resized or slightly brightened, not cut-outs or mirrored ones."
)


def find_alike(images: Sequence[SurveyedImage], *, divided: bool) -> tuple[list[Problem], bool]:
    """Groups images that look alike.

    Args:
        images: In which no bytes stand twice.
        divided: Whether the data themselves say which images are the test part.

    Returns:
        Problems of three kinds at most, none of which keeps a study from running; and whether all
        images were compared that may look alike.
    """
    if not images:
        return [], True
    found = near_pairs(np.stack([image.small for image in images]))
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for members in _groups(found.pairs, len(images)):
        group = [images[i] for i in members]
        groups[kind_of(group, NEAR, divided=divided)].append(tuple(image.name for image in group))
    problems = [
        Problem(kind=kind, must=False, groups=tuple(groups[kind]))
        for kind in NEAR
        if kind in groups
    ]
    return problems, found.whole


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
