"""A study on disk: schemas, files, manifest, lock, and how they are read back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.results.study_record import Choice
    from orchestrator.results.study_results import StudyResults, load_study

__all__ = ["Choice", "StudyResults", "load_study"]


def __getattr__(name: str) -> Any:
    """What is public here, read late: it imports pyarrow, which `--help` need not wait for."""
    if name not in __all__:
        raise AttributeError(name)
    from orchestrator.results import study_results

    return getattr(study_results, name)
