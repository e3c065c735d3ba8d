"""Whether a stored study knows that its data have validation images of their own."""

from orchestrator.results.study_record import StudyRecord
from trainables.data.dataset import OpenedDataSet


def check_own_validation(study: StudyRecord, dataset: OpenedDataSet) -> None:
    """Refuses data in which a study has left out the validation images that it would use today.

    Args:
        study: The study.
        dataset: As it lies here.

    Raises:
        ValueError: It was begun before they were used, or they have come since.
    """
    if dataset.own_validation and not study.dataset.own_validation:
        raise ValueError(
            f"the data must be as when the study began, without validation images of their own, "
            f"but have {dataset.own_validation:,}, which would be used today (val/ of a folder was "
            "left out then): move these elsewhere to go on, or start a new study"
        )
