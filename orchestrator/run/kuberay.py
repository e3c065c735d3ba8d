"""Largest size of a cluster that KubeRay runs, by its RayCluster resource.

KubeRay's autoscaler has a container of its own beside the head, so that no file of it is seen here,
and neither version 1 nor 2 tells the control store which workers there may be. Each round it reads
them from the resource; the head's container may too, since all of a pod have one account.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

from orchestrator.run import devices

Node = Mapping[str, Any]
"""A node, as Ray lists it."""
HEAD_GROUP: Final = "headgroup"
GROUP, DEVICE_TYPE = "ray.io/node-group", "ray.io/accelerator-type"
NAME, NAMESPACE = "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE"


def runs(nodes: Sequence[Node]) -> bool:
    """Whether KubeRay started the head of these nodes: its group says so."""
    return any(node["Labels"].get(GROUP) == HEAD_GROUP for node in nodes)


def autoscaling_config(nodes: Sequence[Node]) -> dict[str, Any]:
    """The configuration of KubeRay's autoscaler as a file of `ray up`, by Ray's own code.

    The type of a group's GPUs is what the group's labels say, or else one of its nodes.

    Args:
        nodes: Of the cluster, as Ray lists them.

    Raises:
        OSError: The resource cannot be read from here, or Ray's autoscaler does not take it.
    """
    if not os.environ.get(NAME) or not os.environ.get(NAMESPACE):
        raise OSError(f"{NAME} and {NAMESPACE} are not set, so that this is no pod of KubeRay's")
    client = KubernetesHttpApiClient(os.environ[NAMESPACE])
    resource = client.get(f"rayclusters/{os.environ[NAME]}")
    spec = resource["spec"]
    groups = spec.setdefault("workerGroupSpecs", [])
    if not spec.get("enableInTreeAutoscaling"):
        for group in groups:  # nobody adds to them
            group["maxReplicas"] = group.get("replicas", 1)
    try:
        config: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(resource)
    except ValueError as error:
        raise OSError(f"RayCluster {os.environ[NAME]}: {' '.join(str(error).split())}") from error
    known = {node["Labels"].get(GROUP): devices.type_of(node["Resources"]) for node in nodes}
    for name, node_type in config["available_node_types"].items():
        kind = node_type["labels"].get(DEVICE_TYPE) or known.get(name)
        if kind:
            node_type["resources"][f"{devices.PREFIX}{kind}"] = 1
    return config
