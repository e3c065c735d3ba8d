"""Largest size of a cluster, by the configuration of its autoscaler.

Ray knows it too, but only where somebody reports it to the control store
(`get_max_resources_from_cluster_config`), which neither the autoscaler of `ray up` nor KubeRay's
does. The first has a file on this machine; for the second see `kuberay`.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

COUNTED: Final = ("CPU", "GPU")
MOST: Final = 1000
"""Workers of a type that count; a group of KubeRay's that names no number has 2,147,483,647."""


def can_grow_to(workers: Sequence[Mapping[str, float]], limit: int) -> dict[str, float]:
    """The CPUs and GPUs of all workers that there may be at a time."""
    return {
        name: sum(sorted((each.get(name, 0.0) for each in workers), reverse=True)[:limit])
        for name in COUNTED
    }


def possible_workers(config: Mapping[str, Any] | None) -> tuple[list[dict[str, float]], int]:
    """The resources of each worker that may be started, and how many at a time.

    Args:
        config: Of the autoscaler; None where there is none.
    """
    if config is None:
        return [], 0
    limit = int(config.get("max_workers", 0))
    workers = [
        {each: float(amount) for each, amount in node_type.get("resources", {}).items()}
        for name, node_type in config.get("available_node_types", {}).items()
        if name != config.get("head_node_type")
        for _ in range(min(node_type.get("max_workers", limit), limit, MOST))
    ]
    return workers, limit


def file_config(gcs_address: str, proc: Path = Path("/proc")) -> dict[str, Any] | None:
    """The configuration of an autoscaler on this machine; None if there is none.

    Args:
        gcs_address: Of its cluster, as Ray has it: `10.0.0.1:6379`.
        proc: Where Linux shows processes. The autoscaler runs on the head, as the driver does; seen
            from elsewhere there is none.
    """
    file = _autoscaling_file(gcs_address, proc)
    if file is None or not file.is_file():
        return None
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return config


def _autoscaling_file(gcs_address: str, proc: Path) -> Path | None:
    """What the cluster's monitor process was given as `--autoscaling-config`."""
    for path in proc.glob("[0-9]*/cmdline"):
        arguments: list[str] = []
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            arguments = path.read_bytes().decode(errors="replace").split("\0")
        if f"--gcs-address={gcs_address}" in arguments:
            options = dict(argument.partition("=")[::2] for argument in arguments)
            if "--autoscaling-config" in options:
                return Path(options["--autoscaling-config"]).expanduser()
    return None
