"""What a cluster may grow to, from made-up processes and files."""

from pathlib import Path

import pytest
import yaml
from deploy_rules import AWS, read_config

from orchestrator.run.autoscaler import MOST, file_config, possible_workers
from orchestrator.run.reservation import Cluster

HERE = "10.0.0.1:6379"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine on which the cluster at HERE has an autoscaler with cluster.yaml."""
    file = tmp_path / "bootstrap.yaml"
    file.write_text(yaml.safe_dump(read_config(AWS)), encoding="utf-8")
    add_process(tmp_path, 7, f"--gcs-address={HERE}", f"--autoscaling-config={file}")
    add_process(tmp_path, 8, f"--gcs-address={HERE}", "--raylet")
    return tmp_path


def grown(address: str, proc: Path) -> dict[str, int]:
    return room(*possible_workers(file_config(address, proc)))


def room(workers: list[dict[str, float]], most: int) -> dict[str, int]:
    """How many trials on one CPU, or on one GPU, there is room for once it has grown."""
    found = Cluster(kind="running cluster", present=[], grown=workers, most_grown=most)
    return {name: found.fitting({name: 1}) for name in ("CPU", "GPU")}


def add_process(proc: Path, number: int, *arguments: str) -> None:
    folder = proc / str(number)
    folder.mkdir()
    command = "\0".join(["python", "-u", "monitor.py", *arguments, ""])
    (folder / "cmdline").write_bytes(command.encode())


def test_it_counts_no_more_workers_than_all_types_together_may_have(proc: Path) -> None:
    assert grown(HERE, proc) == {"CPU": 16, "GPU": 4}


def test_the_file_of_another_cluster_does_not_count(proc: Path) -> None:
    assert grown("10.0.0.2:6379", proc) == {"CPU": 0, "GPU": 0}


def test_a_cluster_without_autoscaler_cannot_grow(tmp_path: Path) -> None:
    add_process(tmp_path, 7, f"--gcs-address={HERE}")
    (tmp_path / "9").mkdir()  # ended between listing and reading
    assert grown(HERE, tmp_path) == {"CPU": 0, "GPU": 0}


def test_on_premises_workers_count_once_they_are_there(tmp_path: Path) -> None:
    file = tmp_path / "bootstrap.yaml"
    types = {"local.cluster.node": {"resources": {}, "node_config": {}, "max_workers": 2}}
    config = {
        "max_workers": 2,
        "head_node_type": "local.cluster.node",
        "available_node_types": types,
    }
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    add_process(tmp_path, 7, f"--gcs-address={HERE}", f"--autoscaling-config={file}")
    assert grown(HERE, tmp_path) == {"CPU": 0, "GPU": 0}


def test_a_type_without_a_number_counts_as_a_thousand_workers() -> None:
    types = {"head": {}, "gpu": {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 2**31 - 1}}
    config = {"max_workers": 2**31 - 1, "head_node_type": "head", "available_node_types": types}
    assert room(*possible_workers(config)) == {"CPU": 4 * MOST, "GPU": MOST}
