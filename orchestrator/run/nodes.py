"""Whether the nodes of a cluster can run a study's trials, asked before anything is written."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.run.cluster import InfrastructureError
from trainables import node_check

# A node that has to start a process first answers within this time, also a busy one.
ANSWER_SECONDS: Final = 120.0


def check_nodes(folder: Path) -> None:
    """Asks each other node that is there now; those that join later are asked by their trials.

    Args:
        folder: The study's, absolute; it need not exist.

    Raises:
        InfrastructureError: A node has other versions than the driver, or another folder there.
    """
    here = ray.get_runtime_context().get_node_id()
    alive = [n["NodeID"] for n in ray.nodes() if n["Alive"]]  # type: ignore[no-untyped-call]
    others = [node_id for node_id in alive if node_id != here]
    if not others:
        return
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.NamedTemporaryFile(prefix=".shared-", dir=existing) as file:
        asked = [_ask(node_id, Path(file.name)) for node_id in others]
        answers = [_answer(reference) for reference in asked]
    wrong = [answer for answer in answers if answer]
    if wrong:
        raise InfrastructureError("; ".join(sorted(wrong)))


def _ask(node_id: str, file: Path) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(node_check.complaint).options(**options).remote(node_check.software(), file)


def _answer(reference: Any) -> str:
    """A node that is lost meanwhile runs no trials, and complains of nothing."""
    with contextlib.suppress(ray.exceptions.RayError):
        return str(ray.get(reference, timeout=ANSWER_SECONDS))
    return ""
