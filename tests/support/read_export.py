"""What is read of an export: the code of its card, and its journal of trials."""

import re
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from trainables import registry

ROOT = Path(__file__).resolve().parents[2]
TEST_IMAGES = 100
SMALL = {"trials": 2, "epochs": 2, "grace_period": 2, "seeds": 2}


def digits(images: int) -> np.ndarray:
    """The first test images, uint8 [images, 32, 32, 3]."""
    return registry.load_dataset("digits").open(None, 32).read_test().images[:images]


def code_blocks(card: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)


def opened(journal: Path, family: str) -> optuna.Study:
    return optuna.load_study(
        study_name=family, storage=JournalStorage(JournalFileBackend(str(journal)))
    )
