"""What a cluster may grow to, by the file that its autoscaler was started with on this machine.

Ray knows it too, but only where somebody reports it to the control store
(`get_max_resources_from_cluster_config`), which the autoscaler of `ray up` does not.
"""

import contextlib
from pathlib import Path
from typing import Final

import yaml

COUNTED: Final = ("CPU", "GPU")


def can_grow_to(gcs_address: str, proc: Path = Path("/proc")) -> dict[str, float]:
    """CPUs and GPUs of all workers that the autoscaler of a cluster may start, none if it has none.

    Args:
        gcs_address: Of the cluster, as Ray has it: `10.0.0.1:6379`.
        proc: Where Linux shows processes. The autoscaler runs on the head, as the driver does; seen
            from elsewhere there is none.
    """
    workers, limit = possible_workers(gcs_address, proc)
    return {
        name: sum(sorted((each.get(name, 0.0) for each in workers), reverse=True)[:limit])
        for name in COUNTED
    }


def possible_workers(
    gcs_address: str, proc: Path = Path("/proc")
) -> tuple[list[dict[str, float]], int]:
    """What each worker that may be started has, by Ray's names, and how many at a time."""
    file = _autoscaling_file(gcs_address, proc)
    if file is None or not file.is_file():
        return [], 0
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    limit = int(config.get("max_workers", 0))
    workers = [
        {each: float(amount) for each, amount in node_type.get("resources", {}).items()}
        for name, node_type in config.get("available_node_types", {}).items()
        if name != config.get("head_node_type")
        for _ in range(min(node_type.get("max_workers", limit), limit))
    ]
    return workers, limit


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
