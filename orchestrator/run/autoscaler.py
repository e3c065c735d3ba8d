"""Workers that a cluster may grow by: of its autoscaler's file, or of KubeRay's RayCluster.

Ray knows them too, but only where somebody reports them to the control store
(`get_max_resources_from_cluster_config`), which neither the autoscaler of `ray up` nor KubeRay's
does. The first has a file on this machine. The second has a container of its own beside the head,
so that no file of it is seen here; each round it reads them from the resource, and the head's
container may too, since all of a pod have one account.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.kuberay.node_provider import KubernetesHttpApiClient

from orchestrator.run import devices

Node = Mapping[str, Any]
"""A node, as Ray lists it."""
MOST: Final = 1000
"""Workers of a type that count; a group of KubeRay's that names no number has 2,147,483,647."""
HEAD_GROUP: Final = "headgroup"
GROUP, DEVICE_TYPE = "ray.io/node-group", "ray.io/accelerator-type"
NAME, NAMESPACE = "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE"


def possible_workers(config: Mapping[str, Any] | None) -> tuple[list[dict[str, float]], int]:
    """The resources of each worker that may be started, and how many at a time."""
    config = config or {}
    limit = int(config.get("max_workers", 0))
    workers = [
        {each: float(amount) for each, amount in node_type.get("resources", {}).items()}
        for name, node_type in config.get("available_node_types", {}).items()
        if name != config.get("head_node_type")
        for _ in range(min(node_type.get("max_workers", limit), limit, MOST))
    ]
    return workers, limit


def file_config(gcs_address: str, proc: Path = Path("/proc")) -> dict[str, Any] | None:
    """The configuration of a cluster's autoscaler on this machine; None if there is none.

    It runs on the head, as the driver does; seen from elsewhere there is none. The cluster's
    address is as Ray has it, `10.0.0.1:6379`, and `proc` where Linux shows processes.
    """
    for path in proc.glob("[0-9]*/cmdline"):
        arguments: list[str] = []
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            arguments = path.read_bytes().decode(errors="replace").split("\0")
        options = dict(argument.partition("=")[::2] for argument in arguments)
        if options.get("--gcs-address") == gcs_address and "--autoscaling-config" in options:
            file = Path(options["--autoscaling-config"]).expanduser()
            if not file.is_file():
                return None
            config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
            return config
    return None


def is_kuberay(nodes: Sequence[Node]) -> bool:
    """Whether KubeRay started the head of these nodes: its group says so."""
    return any(node["Labels"].get(GROUP) == HEAD_GROUP for node in nodes)


def kuberay_config(nodes: Sequence[Node]) -> dict[str, Any]:
    """The configuration of KubeRay's autoscaler as a file of `ray up`, by Ray's own code.

    The type of a group's GPUs is what the group's labels say, or else one of its nodes.

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
