"""Images that look alike: in two classes, on both sides of the division into parts, or neither."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orchestrator.look.problems import NEAR, Problem, kind_of, remaining
from trainables.data.near_duplicates import MOST_BITS, MOST_LEVELS, near_pairs
from trainables.data.survey import Survey, SurveyedImage

MEASURE: Final = (
    "Look alike: difference hashes of the middle squares (8 rows of 8 bits: is a pixel brighter "
    f"than its left neighbour?) differ in at most {MOST_BITS} of 64 bits, and these pictures of "
    f"8x9 pixels by at most {MOST_LEVELS} of 255 grey levels on average. It finds copies that were "
    "saved again, resized or slightly brightened, not cut-outs or mirrored ones."
)
_TWO_CLASSES, _TWO_PARTS, _ONE_CLASS = NEAR
Group = Sequence[SurveyedImage]


def find_alike(survey: Survey, found: Sequence[Problem]) -> tuple[list[Problem], bool]:
    """Groups images that look alike, of those that are left once what was `found` is removed.

    Returns:
        Problems of three kinds at most, none of which keeps a study from running; and whether all
        images were compared that may look alike.
    """
    images = remaining(survey, found)
    if not images:
        return [], True
    near = near_pairs(np.stack([image.small for image in images]))
    # A test part that is drawn moves with the number of images.
    moves = survey.drawn and any(problem.must for problem in found)
    of_kind: dict[str, list[Group]] = defaultdict(list)
    for members in _linked(near.pairs, len(images)):
        group = [images[i] for i in members]
        of_kind[kind_of(group, NEAR, divided=not moves)].append(group)
    tested = sum(image.part == "test" for image in images)
    problems = [
        Problem(
            kind=kind,
            must=False,
            detail=_looks_again(kind) if moves else _leak(survey, kind, of_kind[kind], tested),
            groups=tuple(tuple(image.name for image in group) for group in of_kind[kind]),
        )
        for kind in filter(of_kind.get, NEAR)
    ]
    return problems, near.whole


def _looks_again(kind: str) -> str:
    """That nobody knows yet which groups lie in the test part and beside it."""
    if kind != _ONE_CLASS:
        return ""
    return (
        "A fixed fifth of each class will be the test part: look again once the rest is mended, "
        "for how many of these lie on either side of that."
    )


def _leak(survey: Survey, kind: str, groups: Sequence[Group], tested: int) -> str:
    """How many groups lie in several parts, and how many of the test images that concerns."""
    divided = [group for group in groups if len({image.part for image in group}) > 1]
    if not divided:
        return ""
    count = sum(image.part == "test" for group in divided for image in group)
    said = f"{count:,} of {tested:,} test images are among them."
    if kind == _TWO_CLASSES:
        said = f"{len(divided):,} of these lie in two parts too: {said}"
    if survey.drawn:
        said += (
            " The test part is a fixed fifth of each class, drawn by chance, and moves with the "
            "number of images."
        )
    return said


def _linked(pairs: np.ndarray, images: int) -> list[list[int]]:
    """What pairs link together, each sorted."""
    if not len(pairs):
        return []
    graph = coo_array((np.ones(len(pairs), dtype=bool), pairs.T), shape=(images, images))
    _, numbers = connected_components(graph, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for index in np.unique(pairs).tolist():
        members[int(numbers[index])].append(index)
    return [*members.values()]
