"""How many epochs a final trains for: on fewer images for more, where steps are to be equal."""

from collections.abc import Mapping
from typing import Any


def final_epochs(settings: Mapping[str, Any], train_fraction: float) -> int:
    """The epochs of a final that is neither stopped nor diverges.

    Args:
        settings: Of a study; one that is older than `equal_steps` is without it.
        train_fraction: Share of the training images that it trains on.
    """
    epochs: int = settings["epochs"]
    if not settings.get("equal_steps"):
        return epochs
    whole: float = epochs * max(settings["train_fractions"]) / train_fraction
    return round(whole)
