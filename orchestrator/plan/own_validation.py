"""Whether a stored study knows that its data have validation images of their own."""

from collections.abc import Mapping
from typing import Any

from trainables.data.dataset import OpenedDataSet


def check_own_validation(study: Mapping[str, Any], dataset: OpenedDataSet) -> None:
    """Refuses data in which a study has left out the validation images that it would use today.

    Args:
        study: The content of `study.json`.
        dataset: As it lies here.

    Raises:
        ValueError: It was begun before they were used, or they have come since.
    """
    if dataset.own_validation and not study["dataset"].get("own_validation"):
        raise ValueError(
            f"the data must be as when the study began, without validation images of their own, "
            f"but have {dataset.own_validation:,}, which would be used today (val/ of a folder was "
            "left out then): move these elsewhere to go on, or start a new study"
        )
