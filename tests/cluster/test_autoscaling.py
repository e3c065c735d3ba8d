"""Autoscaler v2 with the worker types of cluster.yaml: pending trials start nodes, spot ones first.

The nodes are Ray's own stand-ins, raylets on one host, so this shows what the autoscaler decides,
and that a study begins without any worker; not that AWS gives the machines.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from deploy_rules import AWS, COMMAND_LISTS, read_config
from hosts import ROOT, SHARED_AT, Hosts, wait_for
from on_premises import SMALL, home_files

LOGS = ROOT / ".cluster-test" / "autoscaling"
HEAD_ID = "f" * 51 + "00000"
SPOT, ON_DEMAND = "gpu_spot", "gpu_on_demand"
ENVIRONMENT = {
    "PATH": "$HOME/study-env/bin:$PATH",
    "PYTHONPATH": str(ROOT),
    "RAY_AUTH_MODE": "disabled",
    "RAY_FAKE_CLUSTER": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "STUDY_FAMILY_PATH": str(ROOT / "tests" / "families"),
    "STUDY_CURVE_EPOCH_SECONDS": "2",
}
OF_THE_HEAD = {
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
}
STUDY = (
    "python -m orchestrator.study --families curve --dataset digits --epochs 4 --grace-period 2 "
    f"--set space.curve.fault=none --seeds 1 --results-dir {SHARED_AT}/results"
)
pytestmark = pytest.mark.hosts


def config() -> dict:
    """The worker types of cluster.yaml, as small as one host bears them; spot has one."""
    aws = read_config(AWS)
    small = {
        "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 100_000_000},
        "node_config": {},
    }
    spot, on_demand = (aws["available_node_types"][name] for name in (SPOT, ON_DEMAND))
    return {
        **{name: [] for name in (*COMMAND_LISTS, "cluster_synced_files", "rsync_exclude")},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "rsync_filter": [],
        "cluster_name": "scaling",
        "max_workers": 2,
        "upscaling_speed": aws["upscaling_speed"],
        "idle_timeout_minutes": 0.25,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "auth": {},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {**small, "resources": {"CPU": 0}, "max_workers": 0},
            SPOT: {**spot, **small, "max_workers": 1},
            ON_DEMAND: {**on_demand, **small, "max_workers": 2},
        },
    }


def on_the_head(command: str, **more: str) -> str:
    exports = " ".join(f'{name}="{value}"' for name, value in {**ENVIRONMENT, **more}.items())
    return f"export {exports}; cd /tmp; {command}"


@pytest.fixture(scope="module")
def host(alone: None) -> Iterator[Hosts]:  # noqa: ARG001 (asked for to be alone)
    """Hosts, on whose head Ray runs with autoscaler v2 and no worker."""
    shutil.rmtree(LOGS, ignore_errors=True)
    with Hosts(home_files()) as hosts:
        (hosts.shared / "scaling.yaml").write_text(yaml.safe_dump(config()), encoding="utf-8")
        start = (
            f"ray start --head --port=6379 --num-cpus=0 --num-gpus=0 {SMALL} "
            f"--include-dashboard=false --autoscaling-config={SHARED_AT}/scaling.yaml"
        )
        for tries_left in (1, 0):  # a busy machine can be too slow for Ray's 30 seconds
            started = hosts.run("head", on_the_head(start, **OF_THE_HEAD))
            if started.returncode == 0 or not tries_left:
                break
            hosts.run("head", on_the_head("ray stop --force"))
        assert started.returncode == 0, started.stdout + started.stderr
        yield hosts
        hosts.keep_logs(LOGS)


def raylets(hosts: Hosts) -> dict[str, int]:
    """Node type to process of the workers that are there."""
    found = {}
    for pid, command in hosts.processes("head").items():
        if "raylet/raylet" in command.partition(" ")[0]:
            pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            found[dict(p.partition("=")[::2] for p in pairs).get("RAY_NODE_TYPE_NAME", "head")] = (
                pid
            )
    found.pop("head", None)
    return found


def start_study(hosts: Hosts, arguments: str) -> str:
    """Starts a study on the head; the name of its log in the shared folder."""
    name = arguments.split()[1]
    printed = f"{SHARED_AT}/{name}.log"
    command = f"{STUDY} {arguments} > {printed} 2>&1; echo exit code $? >> {printed}"
    hosts.run("head", on_the_head(f"nohup bash -c '{command}' > /dev/null 2>&1 &"))
    return f"{name}.log"


def printed(hosts: Hosts, log: str) -> str:
    path = hosts.shared / log
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_pending_trial_starts_a_spot_node_and_idle_nodes_are_ended(host: Hosts) -> None:
    assert raylets(host) == {}
    log = start_study(host, "--name one --trials 2 --max-concurrent 1")
    wait_for("a node", lambda: bool(raylets(host)), 300, every=0.2)
    assert set(raylets(host)) == {SPOT}
    wait_for("the end of the study", lambda: "exit code" in printed(host, log), 600, every=1)
    assert "exit code 0" in printed(host, log), printed(host, log)
    said = " ".join(printed(host, log).split())
    assert "0 GPUs; 1 trial at a time, each on 1 CPU and 1 GPU" in said
    assert "trials wait for the first node that the autoscaler starts" in said
    wait_for("the end of the idle nodes", lambda: not raylets(host), 300, every=1)


def test_what_spot_has_not_comes_on_demand_and_a_lost_spot_node_costs_no_row(host: Hosts) -> None:
    log = start_study(host, "--name two --trials 6")
    wait_for("both nodes", lambda: set(raylets(host)) == {SPOT, ON_DEMAND}, 300, every=0.5)
    folder = host.shared / "results" / "two"
    wait_for("rows", (folder / "epochs.parquet").exists, 300, every=0.5)
    time.sleep(3)  # into an epoch
    os.kill(raylets(host)[SPOT], signal.SIGKILL)
    wait_for("the end of the study", lambda: "exit code" in printed(host, log), 900, every=1)
    assert "exit code 0" in printed(host, log), printed(host, log)
    assert "2 trials at a time, each on 1 CPU and 1 GPU" in " ".join(printed(host, log).split())
    trials = pd.read_parquet(folder / "trials.parquet")
    epochs = pd.read_parquet(folder / "epochs.parquet")
    assert trials.status.isin(["completed", "stopped"]).all()
    for trial_id, rows in epochs.groupby("trial_id"):
        run = trials.set_index("trial_id").epochs_run[trial_id]
        assert rows.epoch.tolist() == list(range(1, run + 1))
    wait_for("the end of the idle nodes", lambda: not raylets(host), 300, every=1)
