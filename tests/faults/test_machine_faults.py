"""Machines that fail for real: memory, frozen processes, dead nodes, lost and absent clusters."""

import os
import queue
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from harness import ROOT, StudyFolder
from ray.cluster_utils import Cluster
from ray.exceptions import RayActorError
from rich.console import Console
from small_disk import mounted

from orchestrator.config.settings import Settings
from orchestrator.results.going_on import resume_command
from orchestrator.run import cluster, cluster_watch
from orchestrator.run.cluster_watch import descendants, start_of
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.nodes import Waiting
from orchestrator.run.ray_actors import Overdue
from orchestrator.run.reservation import Reservation, reserve
from orchestrator.search.failures import classify

pytestmark = pytest.mark.cluster
FAMILIES = os.pathsep.join(map(str, (ROOT / "tests/families", ROOT / "tests/faults/families")))
FLAGS = (
    *("--families", "machine", "--dataset", "digits", "--trials", "2", "--epochs", "4"),
    *("--grace-period", "4", "--seeds", "1"),
)


class Study(StudyFolder):
    """A study of the family `machine`, with more in its environment."""

    def __init__(self, folder: Path, fault: str, address: str, **variables: str) -> None:
        flags = (*FLAGS, "--set", f"space.machine.fault={fault}")
        super().__init__(folder, flags, address, epoch_seconds=0.3)
        self.variables = variables

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "STUDY_FAMILY_PATH": FAMILIES, **self.variables}

    def states(self) -> list[tuple[Any, ...]]:
        rows = self.table("trials")[["status", "stop_reason", "attempts"]].to_dict("records")
        return [(row["status"], row["stop_reason"], row["attempts"]) for row in rows]

    def kinds(self) -> list[str]:
        return self.table("events").kind.tolist()


def memory_bytes(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


FAILED = ("failed", "host_out_of_memory", 2)


def test_f6_what_rays_memory_monitor_kills_is_one_trial_which_is_tried_once_more(
    tmp_path: Path,
) -> None:
    if memory_bytes("MemAvailable") < 2**33:
        pytest.skip("8 GB of free memory are needed, of which 3 are filled")
    used = memory_bytes("MemTotal") - memory_bytes("MemAvailable") + 3 * 2**30
    study = Study(
        tmp_path,
        "fill",
        "local",
        RAY_memory_usage_threshold=str(used / memory_bytes("MemTotal")),
        RAY_memory_monitor_refresh_ms="100",
    )
    study.finish()
    baseline, filling = study.states()
    assert (baseline[0], filling) == ("completed", FAILED)
    assert "tuner_restarted" not in study.kinds()


def test_f6_what_the_kernel_kills_for_memory_is_told_from_other_dead_processes(
    tmp_path: Path, small_cgroup: Path
) -> None:
    study = Study(tmp_path, "kernel", "local", STUDY_MACHINE_CGROUP=str(small_cgroup))
    study.finish()
    baseline, killed = study.states()
    assert (baseline[0], baseline[2], killed) == ("completed", 1, FAILED)
    assert "exit 137" in study.table("trials").error.iloc[1]


def test_f9_a_disk_that_a_trial_finds_full_ends_the_study_which_goes_on_once_there_is_space(
    tmp_path: Path,
) -> None:
    with mounted(tmp_path / "small", 2**23) as small:
        study = Study(small, "disk", "local", STUDY_MACHINE_DISK=str(small))
        driver = study.start()
        printed, _ = driver.communicate()
        assert driver.returncode == 3, printed
        assert "study: the disk is full: " in printed.splitlines()[-1]
        assert printed.endswith(f"go on: {resume_command(study.folder)}\n")
        kept = printed.partition("Ray's logs are kept: ")[2].splitlines()[0]
        assert list(Path(kept).glob("gcs_server*"))
        shutil.rmtree(Path(kept).parent)
        (small / "others").unlink()
        study.variables = {}
        assert {state for state, *_ in study.states()} <= {"running", "completed"}
        assert "Ray's logs" not in study.finish()
        assert {state for state, *_ in study.states()} == {"completed"}
        study.verify()


@dataclass
class TwoNodes:
    """A cluster of two nodes of one CPU, and this process connected to it."""

    cluster: Any
    second: Any
    connected: Any

    def actor(self) -> tuple[Any, int]:
        """One on the second node, and its process."""
        actor = ray.remote(Frozen).options(num_cpus=1, resources={"second": 1}).remote()
        return actor, ray.get(actor.pid.remote())


class Frozen:
    """An actor that stops its own process, or sleeps."""

    def pid(self) -> int:
        return os.getpid()

    def freeze(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def sleep(self) -> None:
        time.sleep(3600)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    second = cluster.add_node(num_cpus=1, resources={"second": 1})
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/support"), str(ROOT / "tests/faults")])
    connected = ray.init(
        address=cluster.address,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": paths}},
    )
    yield TwoNodes(cluster, second, connected)
    ray.shutdown()
    cluster.shutdown()


class ATrial:
    """What the callback reads of Tune's."""

    def __init__(self, actor: Any) -> None:
        self.config = {"trial_id": "cnn-001"}
        self.temporary_state = SimpleNamespace(ray_actor=actor)


def test_f7_a_frozen_process_of_another_node_is_ended_and_gives_its_devices_back(
    two_nodes: TwoNodes,
) -> None:
    actor, pid = two_nodes.actor()
    frozen, began = actor.freeze.remote(), start_of(pid)
    while "T (stopped)" not in Path(f"/proc/{pid}/status").read_text():
        assert ray.wait([frozen], timeout=0.1)[0] == []
    now, overdue = iter([0.0, *range(1, 90, 5)]), set[str]()
    callback = Overdue(12.0, overdue, lambda _: None, lambda _: 0, lambda: next(now))
    callback.on_trial_start(trial=ATrial(actor))
    while not overdue:
        callback.on_step_begin(trials=[])
    with pytest.raises(RayActorError) as caught:
        ray.get(frozen, timeout=30)
    assert classify(caught.value).kind == "process_died"
    asked = time.monotonic()
    while start_of(pid) == began or ray.available_resources().get("CPU") != 2:
        assert time.monotonic() - asked < 30


def test_f17_a_trial_larger_than_any_node_is_refused_though_the_nodes_together_have_it(
    two_nodes: TwoNodes,
) -> None:
    found = cluster._describe(two_nodes.connected)
    assert (found.cpus, len(found.present)) == (2, 2)
    assert reserve(Settings(), found).max_concurrent == 2
    with pytest.raises(InfrastructureError, match=r"asks for 2 CPU of 1 .*nodes: 1 CPU"):
        reserve(Settings(cpus_per_trial=2), found)


def test_f17_a_study_waits_for_a_node_no_longer_than_it_says(two_nodes: TwoNodes) -> None:
    del two_nodes
    said: list[str] = []
    busy = Reservation(cpus=1, gpus=0, max_concurrent=1)
    Waiting(busy, Settings(wait_for_nodes_minutes=1), said.append)(3600)
    missing = Reservation(cpus=1, gpus=1, max_concurrent=1)
    waiting = Waiting(missing, Settings(wait_for_nodes_minutes=1), said.append)
    waiting(31)
    waiting(36)
    assert said == [
        "Waiting for room: the nodes that could run a trial are in use",
        "Waiting up to 1 minutes for a node with 1 CPU and 1 GPU",
    ]
    with pytest.raises(InfrastructureError, match="wait_for_nodes_minutes, 1, but none"):
        waiting(60)


def test_f3_a_trial_whose_node_dies_has_lost_a_node(two_nodes: TwoNodes) -> None:
    actor, _ = two_nodes.actor()
    running = actor.sleep.remote()
    two_nodes.cluster.remove_node(two_nodes.second, allow_graceful=False)
    with pytest.raises(RayActorError) as unreachable:
        ray.get(running, timeout=60)
    while len([node for node in ray.nodes() if node["Alive"]]) > 1:
        pass
    with pytest.raises(RayActorError) as dead:
        ray.get(actor.pid.remote(), timeout=60)
    assert [classify(each.value).kind for each in (unreachable, dead)] == ["node_lost"] * 2


def accept_and_close(server: socket.socket) -> None:
    server.accept()[0].close()


@pytest.mark.parametrize(
    ("listens", "why"), [(False, "Connection refused"), (True, "what listens there is no Ray")]
)
def test_f18_an_address_where_no_cluster_answers_is_refused_at_once(
    listens: bool, why: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if listens:
            threading.Thread(target=accept_and_close, args=[server], daemon=True).start()
        else:
            server.close()
        began = time.monotonic()
        with pytest.raises(InfrastructureError, match=f"{address}, but {why}"):
            cluster.connect(address, Console())
        assert time.monotonic() - began < 15


def test_f18_a_process_that_is_frozen_counts_as_one_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_watch, "PROBE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel takes its connections
        place = server.getsockname()
        assert cluster_watch._is_gone(place) == cluster_watch.SILENT
    assert cluster_watch._is_gone(place) == cluster_watch.REFUSALS


def test_f18_a_local_rays_folder_that_is_tidied_away_is_a_lost_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_watch, "PAUSE_SECONDS", 0.01)
    (tmp_path / "sockets").mkdir()
    socket = tmp_path / "sockets" / "raylet"
    socket.touch()
    said = queue.SimpleQueue[str]()
    watch = cluster_watch.Watch([], said.put, tmp_path)
    with watch.running():
        while socket not in watch._files:
            assert said.empty()
        socket.unlink()
        assert said.get(timeout=10) == f"{socket}, which it needs, was removed"


@pytest.mark.parametrize(
    "address", ["nonsense", "ray://127.0.0.1:10001", "http://here:8265", "a:0"]
)
def test_f18_what_is_no_address_is_refused_and_named(address: str) -> None:
    with pytest.raises(InfrastructureError, match=f"must be host:port .*{address}"):
        cluster.connect(address, Console())


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@pytest.mark.parametrize("process", ["gcs_server", "raylet"])
def test_f18_a_cluster_that_is_lost_ends_the_study_with_the_command_to_go_on(
    process: str, tmp_path: Path
) -> None:
    study = Study(tmp_path, "none", "local")
    study.epoch_seconds = 600
    driver = study.start()
    assert study.wait_for_epoch(driver, 1), driver.communicate()[0]
    below = {pid: start_of(pid) for pid in descendants(driver.pid)}
    os.kill(next(pid for pid in below if name_of(pid) == process), signal.SIGKILL)
    killed = time.monotonic()
    printed, _ = driver.communicate(timeout=60)
    assert driver.returncode == 3, printed
    assert time.monotonic() - killed < 30
    last = printed.splitlines()[-1]
    assert "the Ray cluster was lost" in last
    assert f"orchestrator.study --resume mine --results-dir {tmp_path}" in last
    assert "Traceback" not in printed
    assert "raylet)" not in printed
    while any(start_of(pid) == began for pid, began in below.items()):
        assert time.monotonic() - killed < 60, {pid: name_of(pid) for pid in below}
    assert study.study()["outcome"] == "interrupted"
    assert "cluster_lost" in study.kinds()
