"""The two locks: what a node runs is what was tested, and has none of the developers' tools."""

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from deploy_rules import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NODES = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DEVELOPERS = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OF_NODES = [*PROJECT["dependencies"], *EXTRAS["run"], *EXTRAS["node"]]
OF_DEVELOPERS = EXTRAS["dev"]
_MARKER = re.compile(r" ; [^\\]+(?= \\)")


def packages(lock: str) -> dict[str, list[str]]:
    """Name to version, marker and hashes as the lock has them; some differ by Python's version."""
    found = re.findall(r"^([a-z0-9.-]+)==(.+\\\n(?: +--hash=\S+(?: \\)?\n)+)", lock, re.MULTILINE)
    return {name: [pinned for each, pinned in found if each == name] for name, _ in found}


def disagreements(nodes: str, developers: str) -> list[str]:
    """The packages of nodes that the developers have otherwise, or not at all.

    Developers may have one on every system that nodes have on some.
    """
    tested = packages(developers)
    everywhere = {
        name: [_MARKER.sub("", each) for each in pinned] for name, pinned in tested.items()
    }

    def is_tested(name: str, pinned: list[str]) -> bool:
        own = tested.get(name)
        return own == pinned or (
            own is not None
            and own == everywhere[name] == [_MARKER.sub("", each) for each in pinned]
        )

    return [name for name, pinned in packages(nodes).items() if not is_tested(name, pinned)]


def unmet(requirements: Iterable[str], lock: str) -> list[str]:
    """Requirements that a lock has no package for, or one of another version."""
    locked = packages(lock)

    def is_met(required: Requirement) -> bool:
        versions = [
            pinned.split()[0] for pinned in locked.get(canonicalize_name(required.name), ())
        ]
        return bool(versions) and all(version in required.specifier for version in versions)

    return [text for text in requirements if not is_met(Requirement(text))]


def test_every_package_of_the_locks_has_an_exact_version_and_hashes() -> None:
    for lock in (NODES, DEVELOPERS):
        pinned = sum(map(len, packages(lock).values()))
        assert pinned == len(re.findall(r"^\w", lock, re.MULTILINE)) > 100


def test_what_nodes_have_is_what_the_developers_have() -> None:
    assert disagreements(NODES, DEVELOPERS) == []


@pytest.mark.parametrize(
    "mistake",
    [
        lambda lock: re.sub(r"^torch==", "torch==0", lock, flags=re.MULTILINE),
        lambda lock: re.sub(r"(^torch==.*\n.*sha256:)\w", r"\1_", lock, flags=re.MULTILINE),
        lambda lock: re.sub(r"^torch==", "torch-of-another-name==", lock, flags=re.MULTILINE),
    ],
    ids=["another version", "another hash", "another package"],
)
def test_a_disagreement_is_seen(mistake: Callable[[str], str]) -> None:
    (name,) = disagreements(mistake(NODES), DEVELOPERS)
    assert name.startswith("torch")


def test_the_locks_fulfil_what_the_project_asks_for() -> None:
    assert unmet(OF_NODES, NODES) == []
    assert unmet(OF_DEVELOPERS, DEVELOPERS) == []
    assert unmet(["torch<2", "unknown"], NODES) == ["torch<2", "unknown"]


def test_nodes_have_none_of_the_developers_tools_but_what_ray_itself_needs() -> None:
    tools = {canonicalize_name(Requirement(text).name) for text in OF_DEVELOPERS}
    assert tools & packages(NODES).keys() == {"cryptography", "jsonschema"}


def test_only_developers_install_the_developers_lock() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"--require-hashes -r (\S+)", makefile) == ["requirements-dev.lock"]
    top = [ROOT / "cluster.yaml", *ROOT.glob("Dockerfile*")]
    files = [*top, *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    assert [file for file in files if "requirements-dev" in file.read_text("utf-8")] == []
    assert Path(ROOT / "deploy" / "set_up_node.sh") in files
