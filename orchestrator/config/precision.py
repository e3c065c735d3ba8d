"""The precision a study computes with: as set, else by its device; one for all its trials."""

from collections.abc import Mapping
from typing import Any

from trainables.hardware import PRECISIONS


def default_precision(device: str) -> str:
    """What trials compute with on `cuda` or `cpu` where nothing is set: what PyTorch does."""
    return PRECISIONS[device][0]


def stored_precision(study: Mapping[str, Any]) -> str:
    """What a stored study computed with; one older than the setting had its device's default.

    Args:
        study: Its `study.json`.
    """
    named = study["settings"].get("precision")
    gpus = (study.get("cluster") or {}).get("gpus_per_trial")
    return str(named or default_precision("cuda" if gpus else "cpu"))
