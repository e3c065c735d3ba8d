"""Clusters that a study did not start, with a token and without: named, found, one after other."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from harness import StudyFolder
from rich.console import Console

from orchestrator.run import cluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]
TINY = (
    *("--families", "curve", "--dataset", "digits", "--set", "space.curve.fault=none"),
    *("--trials", "2", "--epochs", "2", "--grace-period", "1", "--seeds", "1"),
)
START = (
    *("start", "--head", "--block", "--num-cpus", "2", "--include-dashboard", "false"),
    *("--disable-usage-stats", "--port", "0", "--dashboard-agent-listen-port", "0"),
)


@dataclass
class Started:
    """A cluster that `ray start` has begun, and the variables of its user."""

    address: str
    variables: dict[str, str]


@pytest.fixture(scope="module")
def with_a_token() -> Iterator[Started]:
    """A cluster whose user has a token and says nothing of it."""
    with tempfile.TemporaryDirectory(prefix="user-") as home:  # short, since sockets lie in it
        folder = Path(home)
        (folder / ".ray").mkdir()
        (folder / ".ray" / "auth_token").write_text("0" * 64)
        (folder / ".ray" / "auth_token").chmod(0o600)
        others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        variables = {**others, "HOME": home, "RAY_TMPDIR": home}
        running = folder / "ray" / "ray_current_cluster"
        started = start(running, variables)
        try:
            yield Started(running.read_text().strip(), variables)
        finally:
            started.terminate()  # and all that it has started
            started.wait()


def start(running: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Starts a cluster, which writes its address once it runs."""
    ray_start = [str(Path(sys.executable).with_name("ray")), *START]
    log = Path(variables["HOME"], "log")
    for _ in range(3):  # a busy machine can be too slow for Ray's 30 seconds
        port = ("--ray-client-server-port", str(a_free_port()))
        with log.open("w") as out:
            started = subprocess.Popen([*ray_start, *port], env=variables, stdout=out, stderr=out)
        while started.poll() is None:
            if running.exists() and running.read_text():
                return started
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class OfItsUser(StudyFolder):
    """A study by the user of a cluster that was started apart."""

    variables: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.variables}


def test_a_study_runs_on_a_cluster_that_asks_for_a_token_though_no_variable_says_so(
    tmp_path: Path, with_a_token: Started
) -> None:
    study = OfItsUser(tmp_path, TINY, with_a_token.address)
    study.variables = with_a_token.variables
    printed = study.finish()
    assert "Ray: running cluster, 1 node, 2 CPUs" in printed
    assert study.table("trials").status.tolist() == ["completed"] * 2
    assert set(study.table("events").kind) == {"test_opened"}


def mode_of_an_actor(address: str) -> str | None:
    """Connects as a study does, and asks what a cluster destroys that takes its driver for dead."""

    class Actor:
        def mode(self) -> str | None:
            return os.environ.get("RAY_AUTH_MODE")

    cluster.connect(address, Console(quiet=True), dashboard=False)
    try:
        return ray.get(ray.remote(num_cpus=0)(Actor).remote().mode.remote(), timeout=60)
    finally:
        cluster.disconnect()


def test_one_process_meets_clusters_with_and_without_a_token_one_after_another(
    with_a_token: Started, shared_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "RAY_TMPDIR"):
        monkeypatch.setenv(name, with_a_token.variables[name])
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    asked = [shared_cluster, "local", shared_cluster, "auto"]
    modes = [mode_of_an_actor(address) for address in asked]
    assert modes == [None, "token", None, "token"]
    assert "RAY_AUTH_MODE" not in os.environ
