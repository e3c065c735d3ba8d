"""Version of the code that a study runs: a hash of its files, the commit or the release."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from orchestrator.called import IS_INSTALLED, NAMESPACE, PACKAGES
from trainables import registry

DISTRIBUTION: Final = "transfer-study"


def code_sha256(families: Sequence[str], dataset: str) -> str:
    """SHA-256 over the Python files of the three packages and of what is outside, with names."""
    root = Path(__file__).resolve().parents[2]
    inside = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    own = sorted(registry.family_file(name) for name in families)
    own.append(registry.dataset_file(dataset))
    named = [(str(path.relative_to(root)), path) for path in inside]
    named += [(path.name, path) for path in own if path not in set(inside)]
    digest = hashlib.sha256()
    for name, path in named:
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def git_commit() -> str | None:
    """The commit of this project's checkout, `-dirty` where files differ; None outside one.

    A repository that merely holds an installed copy, such as a user's own with a virtual
    environment in it, is none of this project: it must have these files, at its top level.
    """
    here = Path(__file__).resolve()
    top = _git("rev-parse", "--show-toplevel")
    if top != str(here.parents[2]) or _git("ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*")


def package_version() -> str | None:
    """The version of the installed package that these files are of; None in a checkout."""
    here = Path(__file__).resolve()
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return None
    inside = Path(NAMESPACE if IS_INSTALLED else "", PACKAGES[0], "results", here.name)
    own = Path(str(installed.locate_file(inside))).resolve()
    return installed.version if own == here else None


def _git(*arguments: str) -> str | None:
    """What git says where this file is, whatever repository the environment names."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command, here = ["git", *arguments], Path(__file__).resolve().parent
    try:
        answer = subprocess.check_output(
            command, cwd=here, env=environment, stderr=subprocess.DEVNULL, text=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return answer.strip() or None
