"""What a cluster has, and what of it each trial of a study reserves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from orchestrator.config.rules import trials_on_a_gpu
from orchestrator.config.settings import Settings
from orchestrator.run import devices
from orchestrator.run.cluster_watch import Endpoint
from orchestrator.run.infrastructure import InfrastructureError

ACCUMULATION: Final = 4
"""Parts of a batch that a quarter of the memory for activations does for."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A connected cluster.

    Attributes:
        kind: `new local cluster` or `running cluster`, for people.
        present: The resources of each node that is there, by Ray's names.
        grown: The same of each worker that the autoscaler may start.
        most_grown: How many of them at a time.
        unknown_growth: Why it cannot be said what it may grow to; empty if it can.
        dashboard: `host:port` of the Ray dashboard; empty if it does not run.
        endpoints: Host and port of the processes without which nothing goes on: the control store,
            and the Ray of this node.
        session: The folder of its logs and sockets where it was started here; else None.
    """

    kind: str
    present: Sequence[Mapping[str, float]]
    grown: Sequence[Mapping[str, float]] = ()
    most_grown: int = 0
    unknown_growth: str = ""
    dashboard: str = ""
    endpoints: Sequence[Endpoint] = ()
    session: Path | None = None

    @property
    def cpus(self) -> float:
        """CPUs of all nodes at present."""
        return sum(node.get("CPU", 0.0) for node in self.present)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes at present."""
        return sum(node.get("GPU", 0.0) for node in self.present)

    @property
    def may_have_gpus(self) -> bool:
        """Whether it has any, or will once it has grown."""
        workers = self.grown if self.most_grown else ()
        return any(node.get("GPU") for node in (*self.present, *workers))

    def fitting(self, asked: Mapping[str, float]) -> int:
        """How many trials fit on its nodes at a time, now or once it has grown."""
        now = sum(fits(asked, node) for node in self.present)
        then = sorted((fits(asked, node) for node in self.grown), reverse=True)
        return max(now, sum(then[: self.most_grown]))


def fits(asked: Mapping[str, float], node: Mapping[str, float]) -> int:
    """How many trials fit on one node; a share of a GPU is on one of them.

    A node that is not there yet may not say how much memory it will have: that limits nothing.
    """
    return min(
        math.floor(node.get("GPU", 0.0)) * round(1 / amount)
        if name == "GPU"
        else math.floor(node.get(name, 0.0) / amount)
        for name, amount in asked.items()
        if name != "memory" or "memory" in node
    )


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Resources that each trial reserves, and how many trials run at a time.

    Attributes:
        cpus: CPUs, and torch threads.
        gpus: 1, a share 1/n of one, or 0.
        device_type: Of the GPU, as Ray names it; empty: any.
        memory: Bytes of a node's memory; 0: as it comes.
    """

    cpus: int
    gpus: float
    max_concurrent: int
    device_type: str = ""
    memory: int = 0

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cuda" if self.gpus else "cpu"

    @property
    def devices(self) -> float:
        """Number of GPUs, or of CPUs without GPUs: the devices that device-seconds count."""
        return self.gpus or self.cpus

    @property
    def bundle(self) -> dict[str, float]:
        """The resources in Ray's names, without what is nothing."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        if self.device_type:
            asked[f"{devices.PREFIX}{self.device_type}"] = devices.SHARE
        return {name: amount for name, amount in asked.items() if amount}

    @property
    def after_out_of_memory(self) -> list[dict[str, Any]]:
        """A trial's changed configuration, attempt by attempt, after its device ran out of memory.

        A whole device where it had a share, then batches in parts.
        """
        whole = {"resources": {**self.bundle, "GPU": 1.0}} if 0 < self.gpus < 1 else {}
        parts = {**whole, "accumulation": ACCUMULATION}
        return [whole, parts] if whole else [parts]


def reserve(settings: Settings, cluster: Cluster) -> Reservation:
    """Determines what a trial reserves: as asked, else one CPU, and one GPU where there may be any.

    Raises:
        InfrastructureError: A trial asks for more than any node has or could have, the GPUs are of
            several types, or not of the one that is asked for, or nobody can say whether there
            will be any.
    """
    gpus = settings.gpus_per_trial
    if gpus is None and cluster.unknown_growth and not cluster.may_have_gpus:
        raise InfrastructureError(_unknown_growth(cluster))
    if gpus is None:
        gpus = 1.0 if cluster.may_have_gpus else 0.0
    elif gpus:
        gpus = 1 / trials_on_a_gpu(gpus)  # a share as it was meant, not as it was written
    cpus, memory = settings.cpus_per_trial or 1, int(devices.GB * (settings.memory_per_trial or 0))
    reserved = Reservation(cpus=cpus, gpus=gpus, memory=memory, max_concurrent=0)
    asked = reserved.bundle
    # Where nobody can say what there will be, the user's word counts.
    said = (settings.max_concurrent or 0) if cluster.unknown_growth else 0
    if not cluster.fitting(asked) and not said:
        problem = _unknown_growth(cluster) if cluster.unknown_growth else _too_large(asked, cluster)
        raise InfrastructureError(problem)
    try:
        with_room = (
            [node for node in nodes if fits(asked, node)]
            for nodes in (cluster.present, cluster.grown)
        )
        asks_for_gpus = gpus or settings.device_type is not None
        kind = devices.choose(settings, *with_room) if asks_for_gpus else ""
    except ValueError as error:
        raise InfrastructureError(str(error)) from error
    reserved = replace(reserved, device_type=kind)
    fitting = max(cluster.fitting(reserved.bundle), said)
    return replace(reserved, max_concurrent=min(settings.max_concurrent or fitting, fitting))


def _unknown_growth(cluster: Cluster) -> str:
    """What to name where no device for a trial is there, and nobody can say which will be."""
    return (
        f"this cluster of KubeRay's has {cluster.cpus:g} CPUs and {cluster.gpus:g} GPUs now, and "
        f"what it may grow to cannot be read ({cluster.unknown_growth}); name --gpus-per-trial 0 "
        "for a study on CPUs, or --gpus-per-trial 1 to wait for GPU workers; and --max-concurrent, "
        "how many trials there will be room for"
    )


def _too_large(asked: Mapping[str, float], cluster: Cluster) -> str:
    """What a trial asks for and what the nodes have: it needs one node, and cannot be spread."""
    sizes = [*cluster.present, *cluster.grown]
    most = {name: max(size.get(name, 0.0) for size in sizes) for name in asked}
    missing = [
        f"{devices.in_words({name: amount})} of {devices.in_words({name: most[name]})}"
        for name, amount in asked.items()
        if amount > most[name]
    ]
    listed = {devices.in_words({n: size.get(n, 0.0) for n in asked}) for size in sizes}
    what = " and ".join(missing) or f"{devices.in_words(asked)} together"
    return (
        f"a trial must fit on one node, but asks for {what} that the largest has or could have; "
        f"nodes: {'; '.join(sorted(listed))}; `ray status` says which there are"
    )
