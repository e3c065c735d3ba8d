"""Folders of the weights of a study's winners: the best seed's, and beside it the others'."""

from pathlib import Path
from typing import Final

MODEL: Final = "model.safetensors"
CONFIG: Final = "config.json"
WINNERS: Final = "winners"
SEEDS: Final = "seeds"


def winner_folder(folder: Path, family: str) -> Path:
    """Folder of the weights of a family's winner, of the seed that is best on validation."""
    return folder / WINNERS / family


def seed_folders(folder: Path, family: str) -> Path:
    """Parent folder of the weights of the other seeds of a family's winner, a folder for each."""
    return winner_folder(folder, family) / SEEDS


def seed_folder(folder: Path, family: str, seed: int) -> Path:
    """Folder of the weights of a family's winner of one seed that is not the best."""
    return seed_folders(folder, family) / str(seed)
