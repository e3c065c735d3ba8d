"""The look of every figure and of the page: colours by family, light and dark, and symbols."""

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

FAMILY_COLOURS: Final = (
    ("#0067a8", "#5cb3ee"),
    ("#c2500a", "#f29a56"),
    ("#007a5a", "#3cc79d"),
    ("#a0457f", "#e08cc0"),
    ("#7a6a00", "#d6bf3c"),
    ("#5a5fc0", "#9ea4f5"),
)
"""Of each family in light and dark, in the order of the study; after Okabe and Ito (2008), with the
lightness moved so that each has a contrast of 4.5 or more on its background."""
INK: Final[Mapping[str, tuple[str, str]]] = {
    "background": ("#ffffff", "#14171c"),
    "surface": ("#f5f6f8", "#1d2128"),
    "ink": ("#1b1f24", "#e7eaee"),
    "muted": ("#57606a", "#a3acb8"),
    "rule": ("#dde1e6", "#333a44"),
    "warning": ("#8a4b00", "#f0b35e"),
    "warning-surface": ("#fff6e5", "#2b2416"),
}
"""Everything that is no family, in light and dark."""
SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "cross", "star")
"""Of each family, so that no figure rests on colour alone; names as Plotly has them."""


class Look(TypedDict):
    """How the marks of a family look: the name of their colour, and their symbol."""

    colour: str
    symbol: str


def family_looks(families: Sequence[str]) -> dict[str, Look]:
    """Family to how its marks look."""
    return {
        name: Look(colour=f"family-{i % len(FAMILY_COLOURS)}", symbol=SYMBOLS[i % len(SYMBOLS)])
        for i, name in enumerate(families)
    }


def colours(*, dark: bool) -> dict[str, str]:
    """Every name of a colour with its value."""
    pairs = {**INK, **{f"family-{i}": pair for i, pair in enumerate(FAMILY_COLOURS)}}
    return {name: pair[dark] for name, pair in pairs.items()}
