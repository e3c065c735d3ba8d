"""Growth on Kubernetes, read as Ray's own autoscaler for KubeRay reads it, from a stand-in."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_rules import read_config
from kubernetes_api import TOKEN, Api, serving
from kubernetes_rules import STUDY, ray_cluster
from ray.autoscaler._private.kuberay import node_provider
from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

from orchestrator.config.settings import Settings
from orchestrator.run import cluster, devices
from orchestrator.run.autoscaler import kuberay_config, possible_workers
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.reservation import Cluster, Reservation, reserve

GPU_WORKER = {"CPU": 3.0, "GPU": 1.0, "memory": 12.0 * 2**30}
HEAD = {"Labels": {"ray.io/node-group": "headgroup"}, "Resources": {"CPU": 0.0}}
NODES = [HEAD]
ELSEWHERE = "10.0.0.1:6379"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Kubernetes' API with the cluster of study.yaml, as the head's pod finds it."""
    found = Api(ray_cluster(read_config(STUDY)))
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr(node_provider, "IN_CLUSTER_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(node_provider, "IN_CLUSTER_CA_CERT_PATH", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("RAY_CLUSTER_NAME", found.cluster["metadata"]["name"])
    monkeypatch.setenv("RAY_CLUSTER_NAMESPACE", found.cluster["metadata"]["namespace"])
    with serving(found, tmp_path) as address:
        url = functools.partial(node_provider.url_from_resource, kubernetes_host=address)
        monkeypatch.setattr(node_provider, "url_from_resource", url)
        yield found


def test_it_reads_what_rays_autoscaler_reads(api: Api) -> None:
    metadata = api.cluster["metadata"]
    read = AutoscalingConfigProducer(metadata["name"], metadata["namespace"])()
    assert kuberay_config(NODES) == read
    assert possible_workers(read) == ([GPU_WORKER] * 4, 4)


def test_each_group_counts_with_what_it_may_have(api: Api) -> None:
    (gpu,) = api.cluster["spec"]["workerGroupSpecs"]
    many = {**gpu, "groupName": "many", "maxReplicas": 1, "resources": {"CPU": "8", "GPU": "4"}}
    wide = {**gpu, "groupName": "wide", "maxReplicas": 1, "numOfHosts": 2}
    api.cluster["spec"]["workerGroupSpecs"] = [gpu, many, wide]
    workers, most = possible_workers(kuberay_config(NODES))
    assert workers == [GPU_WORKER] * 4 + [{**GPU_WORKER, "CPU": 8.0, "GPU": 4.0}] + [GPU_WORKER] * 2
    assert most == 7


def test_where_no_autoscaler_runs_a_group_has_the_workers_that_it_names(api: Api) -> None:
    del api.cluster["spec"]["enableInTreeAutoscaling"]
    api.cluster["spec"]["workerGroupSpecs"][0]["replicas"] = 2
    assert possible_workers(kuberay_config(NODES)) == ([GPU_WORKER] * 2, 2)


def test_a_cluster_of_a_head_alone_cannot_grow(api: Api) -> None:
    del api.cluster["spec"]["workerGroupSpecs"]
    assert possible_workers(kuberay_config(NODES)) == ([], 0)


def test_the_type_of_a_groups_gpus_is_that_of_its_nodes_or_of_its_labels(api: Api) -> None:
    (gpu,) = api.cluster["spec"]["workerGroupSpecs"]
    labels = {"ray.io/accelerator-type": "H100"}
    api.cluster["spec"]["workerGroupSpecs"] = [gpu, {**gpu, "groupName": "big", "labels": labels}]
    node = {"CPU": 3.0, "GPU": 1.0, "accelerator_type:L4": 1.0}
    nodes = [HEAD, {"Labels": {"ray.io/node-group": "gpu"}, "Resources": node}]
    workers, _ = possible_workers(kuberay_config(nodes))
    assert [devices.type_of(worker) for worker in workers] == ["L4"] * 4 + ["H100"] * 4
    workers, _ = possible_workers(kuberay_config(NODES))
    assert [devices.type_of(worker) for worker in workers] == [""] * 4 + ["H100"] * 4


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda api, _: setattr(api, "allowed", False), "403 Client Error: Forbidden"),
        (lambda api, _: api.cluster["metadata"].update(name="another"), "404 Client Error"),
        (lambda _, path: (path / "token").write_text("stale"), "401 Client Error"),
        (lambda _, path: (path / "token").unlink(), "No such file"),
        (
            lambda api, _: api.cluster["spec"]["workerGroupSpecs"][0].update(
                template={"spec": {"containers": [{}]}}
            ),
            "failed to detect `CPU` resources for group gpu",
        ),
    ],
)
def test_what_cannot_be_read_is_no_growth_and_the_reason_is_kept_in_one_line(
    api: Api, tmp_path: Path, damage: object, reason: str
) -> None:
    assert callable(damage)
    damage(api, tmp_path)
    workers, most, unknown = cluster._growth(ELSEWHERE, NODES)
    assert (list(workers), most) == ([], 0)
    assert reason in unknown
    assert "\n" not in unknown


@pytest.mark.usefixtures("api")
def test_a_pod_that_joined_by_itself_does_not_know_its_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_CLUSTER_NAME")
    assert "no pod of KubeRay's" in cluster._growth(ELSEWHERE, NODES)[2]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("nodes", "started_here"),
    [
        (NODES, True),  # a Ray of a study's own in such a pod has the pod's variables
        ([{"Labels": {"ray.io/node-group": "gpu"}}, {"Labels": {}}], False),
    ],
)
def test_another_cluster_than_kuberays_does_not_grow_by_its_resource(
    nodes: list[dict[str, dict[str, str]]], started_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_started_here", lambda: started_here)
    assert cluster._growth(ELSEWHERE, nodes) == ([], 0, "")


@pytest.fixture(autouse=True)
def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster was there before the driver."""
    monkeypatch.setattr(cluster, "_started_here", lambda: False)


def on_kuberay(gpus: float = 0.0, unknown_growth: str = "403 Forbidden") -> Cluster:
    return Cluster(
        kind="running cluster",
        present=[{"CPU": 4 * gpus, "GPU": gpus}],
        unknown_growth=unknown_growth,
    )


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(max_concurrent=2),  # on what, nobody has said
        Settings(gpus_per_trial=0),  # the head has no CPU for trials
        Settings(gpus_per_trial=1),
    ],
)
def test_a_cluster_without_gpu_of_which_nothing_is_known_gives_no_silent_study_on_cpus(
    settings: Settings,
) -> None:
    with pytest.raises(InfrastructureError) as refused:
        reserve(settings, on_kuberay())
    message = str(refused.value)
    assert "cannot be read (403 Forbidden); name --gpus-per-trial 0" in message
    assert "--max-concurrent" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("found", "settings", "expected"),
    [
        (
            on_kuberay(),
            Settings(gpus_per_trial=1, max_concurrent=3),
            Reservation(cpus=1, gpus=1.0, max_concurrent=3),
        ),
        (
            on_kuberay(),
            Settings(gpus_per_trial=0, max_concurrent=2),
            Reservation(cpus=1, gpus=0, max_concurrent=2),
        ),
        (on_kuberay(2), Settings(), Reservation(cpus=1, gpus=1.0, max_concurrent=2)),
        (
            on_kuberay(2),
            Settings(max_concurrent=4),
            Reservation(cpus=1, gpus=1.0, max_concurrent=4),
        ),
    ],
)
def test_what_the_user_says_of_a_cluster_that_cannot_be_read_counts(
    found: Cluster, settings: Settings, expected: Reservation
) -> None:
    assert reserve(settings, found) == expected
