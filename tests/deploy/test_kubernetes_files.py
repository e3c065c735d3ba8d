"""The files for Kubernetes, without one: what Ray's own code for KubeRay reads, and every mistake.

BROKEN changes a file for every rule of it, to show that the rule sees the mistake it is there for.
"""

from typing import Any

import pytest
from deploy_rules import REMOVED, Config, Place, broken, problems, read_config, without
from kubernetes_rules import (
    CLAIM,
    CLAIM_RULES,
    DOCKERFILE_RULES,
    IGNORED,
    ROOT,
    STUDY,
    STUDY_RULES,
    copied,
    ray_cluster,
    read_text,
    sent,
)

RULES = {STUDY: STUDY_RULES, CLAIM: CLAIM_RULES}
CLUSTER = ("spec", "rayClusterSpec")
HEAD = (*CLUSTER, "headGroupSpec")
WORKER = (*CLUSTER, "workerGroupSpecs", 0)
POD = ("template", "spec")
CONTAINER = (*POD, "containers", 0)
LIMITS = ("resources", "limits")

BROKEN: list[tuple[str, str, Place, object]] = [
    (STUDY, "every key and value", ("spec", "backofLimit"), 1),
    (STUDY, "every key and value", ("spec", "submissionMode"), "K8SJobMode"),
    (STUDY, "every key and value", ("metadata", "name"), "Transfer_Study"),
    (STUDY, "every key and value", (*HEAD, "rayStartParams", "num-cpus"), 0),
    (STUDY, "every key and value", (*WORKER, "groupName"), REMOVED),
    (STUDY, "every key and value", (*WORKER, *POD, "toleration"), []),
    (STUDY, "every key and value", (*HEAD, *CONTAINER, "lifecycle", "preStopp"), {}),
    (STUDY, "Ray's version", (*CLUSTER, "rayVersion"), "2.52.0"),
    (STUDY, "all nodes have one image", (*WORKER, *CONTAINER, "image"), "rayproject/ray:2.60.0"),
    (STUDY, "the image has a place", (*WORKER, *CONTAINER, "image"), without("0.1.0", "latest")),
    (STUDY, "token authentication", (*CLUSTER, "authOptions"), REMOVED),
    (STUDY, "token authentication", (*CLUSTER, "authOptions", "mode"), "disabled"),
    (STUDY, "the dashboard is not open", (*HEAD, "serviceType"), "LoadBalancer"),
    (STUDY, "the dashboard is not open", (*HEAD, "serviceType"), REMOVED),
    (STUDY, "the head's service has two ports", (*HEAD, *CONTAINER, "ports"), REMOVED),
    (STUDY, "no trial is placed", (*HEAD, "rayStartParams"), {}),
    (STUDY, "no trial is placed", (*HEAD, *CONTAINER, *LIMITS, "nvidia.com/gpu"), "1"),
    (STUDY, "autoscaler v2 is on", (*CLUSTER, "enableInTreeAutoscaling"), REMOVED),
    (STUDY, "autoscaler v2 is on", (*CLUSTER, "autoscalerOptions", "version"), REMOVED),
    (STUDY, "idle workers are", (*CLUSTER, "autoscalerOptions", "idleTimeoutSeconds"), REMOVED),
    (STUDY, "workers start from none", (*WORKER, "minReplicas"), 1),
    (STUDY, "workers start from none", (*WORKER, "replicas"), REMOVED),
    (STUDY, "workers start from none", (*WORKER, "maxReplicas"), REMOVED),
    (STUDY, "every worker has one GPU", (*WORKER, *CONTAINER, *LIMITS, "nvidia.com/gpu"), "8"),
    (STUDY, "every worker has one GPU", (*WORKER, *CONTAINER, *LIMITS, "nvidia.com/gpu"), REMOVED),
    (STUDY, "a worker whose CUDA", (*WORKER, *POD, "initContainers"), REMOVED),
    (STUDY, "a worker whose CUDA", (*WORKER, *POD, "initContainers", 0, "resources"), {}),
    (STUDY, "a node gets what it asks", (*WORKER, *CONTAINER, *LIMITS, "cpu"), "4"),
    (STUDY, "trials run at normal niceness", (*WORKER, *CONTAINER, "env"), REMOVED),
    (STUDY, "all pods mount the claim", (*WORKER, *CONTAINER, "volumeMounts"), REMOVED),
    (STUDY, "all pods mount the claim", (*HEAD, *POD, "volumes"), REMOVED),
    (STUDY, "what is downloaded", (*HEAD, *CONTAINER, "env", 2, "value"), "/home/study/.cache"),
    (STUDY, "no pod runs as root", (*WORKER, *POD, "securityContext"), REMOVED),
    (STUDY, "no pod runs as root", (*HEAD, *POD, "securityContext", "runAsUser"), 1001),
    (STUDY, "a driver that is started", ("spec", "entrypoint"), without("/first/study.json")),
    (STUDY, "a driver that is started", ("spec", "entrypoint"), without("--resume", "--name")),
    (STUDY, "a driver that is started", ("spec", "entrypoint"), without("then exec", "exec")),
    (STUDY, "a driver that is started", ("spec", "entrypoint"), without("--name first", "")),
    (STUDY, "what is restarted", ("spec", "backoffLimit"), REMOVED),
    (STUDY, "what is restarted", ("spec", "submitterConfig"), REMOVED),
    (STUDY, "a head that is to end", (*HEAD, *CONTAINER, "lifecycle"), REMOVED),
    (STUDY, "a head that is to end", ("spec", "jobId"), "second"),
    (STUDY, "a head that is to end", (*HEAD, *CONTAINER, "env", 1, "value"), "3"),
    (STUDY, "a head that is to end", (*HEAD, *POD, "terminationGracePeriodSeconds"), REMOVED),
    (STUDY, "the cluster ends", ("spec", "shutdownAfterJobFinishes"), REMOVED),
    (CLAIM, "every key is one", ("spec", "storageClass"), "nfs"),
    (CLAIM, "many machines write", ("spec", "accessModes"), ["ReadWriteOnce"]),
    (CLAIM, "the kind of storage", ("spec", "storageClassName"), REMOVED),
]
BROKEN_DOCKERFILE = [
    ("every instruction is one", "COPY trainables", "COPPY trainables"),
    ("every instruction says", "USER 1000", "USER"),
    ("the base image has a fixed", "3.11.18-slim-bookworm AS", "3.11-slim AS"),
    ("the base image has a fixed", "FROM python:3.11.18-slim-bookworm\n", "FROM python\n"),
    ("every command is valid bash", "install --no-cache-dir", "install 'no-cache-dir"),
    ("packages come from the lock", "--require-hashes ", ""),
    ("packages come from the lock", "--only-binary :all: ", ""),
    ("packages come from the lock", "--requirement /requirements.lock", "'ray[default,tune]'"),
    ("no tool that installs", " --without-pip", ""),
    ("no tool that installs", "useradd", "apt-get install -y gcc && useradd"),
    ("all that is copied exists", "COPY trainables", "COPY tranables"),
    ("only what runs is copied", "COPY trainables", "COPY tests trainables"),
    ("all packages are found", "PYTHONPATH=/opt/study", "PYTHONPATH=/opt"),
    ("all packages are found", "COPY trainables /opt/study/trainables", "COPY trainables /opt/"),
    ("ray and python are on the path", "PATH=/opt/study-env/bin:$PATH", "PATH=$PATH"),
    ("byte code is there", "RUN python -m compileall -q /opt/study", ""),
    ("byte code is there", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"),
    ("it does not run as root", "USER 1000", "USER root"),
    ("it does not run as root", "USER 1000\n", ""),
    ("it is given the driver", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES=all OTHER"),
]


@pytest.mark.parametrize("name", RULES)
def test_a_file_breaks_no_rule(name: str) -> None:
    assert problems(read_config(name), RULES[name]) == []


@pytest.mark.parametrize(("name", "rule", "path", "value"), BROKEN)
def test_a_mistake_is_seen(name: str, rule: str, path: Place, value: object) -> None:
    found = problems(broken(read_config(name), path, value), RULES[name])
    assert [text for text in found if text.startswith(rule)]


def test_the_dockerfile_breaks_no_rule() -> None:
    assert [rule for rule, holds in DOCKERFILE_RULES.items() if not holds(read_text())] == []


@pytest.mark.parametrize(("rule", "text", "instead"), BROKEN_DOCKERFILE)
def test_a_mistake_in_the_dockerfile_is_seen(rule: str, text: str, instead: str) -> None:
    changed = without(text, instead)(read_text())
    found = [each for each, holds in DOCKERFILE_RULES.items() if not holds(changed)]
    assert [each for each in found if each.startswith(rule)]


def test_every_rule_is_shown_to_see_its_mistake() -> None:
    for name, rules in RULES.items():
        starts = tuple(rule for file, rule, _, _ in BROKEN if file == name)
        assert [rule for rule in rules if not rule.startswith(starts)] == []
    starts = tuple(rule for rule, _, _ in BROKEN_DOCKERFILE)
    assert [rule for rule in DOCKERFILE_RULES if not rule.startswith(starts)] == []


def test_what_is_sent_to_the_build_is_what_is_copied() -> None:
    assert sorted(sent(read_text(IGNORED))) == sorted(ROOT / name for name in copied(read_text()))


def autoscaling(study: Config) -> Any:
    """What autoscaler v2 makes of the RayCluster, by the code that KubeRay has it run."""
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    config = _derive_autoscaling_config_from_ray_cr(ray_cluster(study))
    return AutoscalingConfig(config, skip_content_hash=True)


def test_rays_autoscaler_reads_workers_from_none_and_a_head_without_cpu() -> None:
    config = autoscaling(read_config(STUDY))
    types = config.get_node_type_configs()
    assert {name: (t.min_worker_nodes, t.max_worker_nodes) for name, t in types.items()} == {
        "headgroup": (0, 1),
        "gpu": (0, 4),
    }
    assert types["headgroup"].resources["CPU"] == 0
    assert types["gpu"].resources == {"CPU": 3, "GPU": 1, "memory": 12 * 2**30}
    assert config.get_idle_timeout_s() == 600


def test_rays_autoscaler_refuses_a_worker_whose_cpus_nobody_names() -> None:
    study = broken(read_config(STUDY), (*WORKER, *CONTAINER, "resources"), {})
    with pytest.raises(ValueError, match="failed to detect `CPU` resources for group gpu"):
        autoscaling(study)
