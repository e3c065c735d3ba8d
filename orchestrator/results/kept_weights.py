"""Where a study keeps the weights of its winners: the best seed's, and beside it the others'."""

from pathlib import Path
from typing import Final

MODEL: Final = "model.safetensors"
CONFIG: Final = "config.json"
WINNERS: Final = "winners"
SEEDS: Final = "seeds"


def winner_folder(folder: Path, family: str) -> Path:
    """Has the weights of a family's winner of the seed that is best on validation.

    Args:
        folder: The study's.
        family: Its name.
    """
    return folder / WINNERS / family


def seed_folders(folder: Path, family: str) -> Path:
    """Has a folder, laid out as the best seed's, for each other seed of a family's winner."""
    return winner_folder(folder, family) / SEEDS


def seed_folder(folder: Path, family: str, seed: int) -> Path:
    """Has the weights of a family's winner of one seed that is not the best."""
    return seed_folders(folder, family) / str(seed)
