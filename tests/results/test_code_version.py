"""A commit is recorded of a checkout alone, and a version of an installed package: in real ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.results.code_version import DISTRIBUTION, PACKAGES, git_commit, package_version

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
from orchestrator.results import code_version
assert code_version.__file__.startswith({where!r}), code_version.__file__
print(code_version.git_commit(), code_version.package_version())
"""


def git(repository: Path, *arguments: str) -> str:
    """Runs git as somebody, whatever the machine's settings are."""
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *somebody, *arguments], cwd=repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's own repository, with a commit and a virtual environment that it ignores."""
    folder = tmp_path / "own"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("print('mine')\n")
    (folder / ".gitignore").write_text(".venv\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "mine")
    return folder


def copied(to: Path) -> Path:
    """The three packages as they are installed."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, to / package, ignore=ignored)
    return to


def recorded(where: Path, **environment: str) -> list[str]:
    """Commit and version of the packages there, as a study records them."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(where=str(where))],
        cwd=where.parent,
        env={**os.environ, "PYTHONPATH": str(where), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_of_an_installed_package_the_version_is_recorded_and_never_the_users_commit(
    repository: Path,
) -> None:
    packages = copied(repository / ".venv/lib/python3/site-packages")
    assert recorded(packages) == ["None", "None"]
    metadata = packages / f"{DISTRIBUTION.replace('-', '_')}-9.8.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 9.8\n")
    assert recorded(packages) == ["None", "9.8"]


@pytest.mark.parametrize("folder", [".", "vendored"])
def test_untracked_packages_have_no_commit_and_those_of_a_larger_repository_not_its(
    repository: Path, folder: str
) -> None:
    packages = copied(repository / folder)
    assert recorded(packages) == ["None", "None"]
    if folder != ".":
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "-m", "vendored")
        assert recorded(packages) == ["None", "None"]


def test_a_checkouts_commit_is_recorded_and_whether_files_differ(repository: Path) -> None:
    packages = copied(repository)
    git(packages, "add", ".")
    git(packages, "commit", "--quiet", "-m", "ours")
    commit = git(packages, "rev-parse", "HEAD")
    assert recorded(packages, GIT_DIR="/nowhere") == [commit, "None"]
    (packages / "orchestrator" / "study.py").write_text("")
    assert recorded(packages) == [f"{commit}-dirty", "None"]


def test_this_checkouts_commit_is_its_own() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    assert str(git_commit()).removesuffix("-dirty") == git(ROOT, "rev-parse", "HEAD")
    assert package_version() is None
