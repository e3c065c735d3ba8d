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
