"""The command that goes on with a study, from where its folder is now and by the name it has."""

import shlex
from pathlib import Path

from orchestrator.called import words_of
from orchestrator.config.settings import Settings
from orchestrator.results.lock import copy_of


def resume_command(folder: Path, *more: str) -> str:
    """The command that resumes the study in an absolute folder, or the one it is a copy of."""
    copy, elsewhere = copy_of(folder), ["--results-dir", str(folder.parent)]
    if copy is not None or folder.parent == Path(Settings.results_dir).resolve():
        elsewhere = []
    name = folder.name if copy is None else copy.address
    return shlex.join([*words_of("study"), "--resume", name, *elsewhere, *more])


def advice_for_table(folder: Path, name: str) -> str:
    """What to do where a table is missing or damaged."""
    if name == "trials":
        return "what it says is nowhere else: restore it from a copy"
    return f"restore it from a copy, or go on without what it said: {resume_command(folder)}"


def advice_for_weights(folder: Path) -> str:
    """What to do where weights that a study had kept are gone."""
    return (
        "restore them from a copy, or go on, which trains that final again: "
        f"{resume_command(folder)}"
    )
