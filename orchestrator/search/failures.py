"""Failures of attempts: kind, message and place, from the exceptions that Ray left."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import ray
import ray.cloudpickle
from ray.exceptions import (
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.tune.experiment import Trial
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.trials.trial import Failure
from trainables import memory_kills
from trainables.trial_error import described

NODE_DIED: Final = "its node has died"
"""What Ray says of an actor whose node is gone; nothing but the words tells it."""

ANSWER_SECONDS: Final = 10.0
"""The driver waits no longer for what a node says of a process that died there."""


class LostActorError(RayActorError):
    """Error of a lost actor that Ray does not raise as an actor's error.

    Attributes:
        cause: That error, such as `OutOfMemoryError`.
    """

    def __init__(self, cause: RayError) -> None:
        """Takes the error."""
        super().__init__(error_msg=str(cause))
        self.cause = cause


def failure_of(trial: Trial) -> Failure:
    """Why a trial of Tune's failed, from the exception that the driver keeps of it."""
    if trial.pickled_error_file is None:  # Tune keeps errors of tasks and of actors alone
        return Failure(kind="process_died", message=f"{trial} was lost before it began")
    error = ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return classify(error)


def ask(node_id: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Has a function answer on a node; see `answer_of`."""
    there = NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(function).options(**options).remote(*arguments)


def answer_of(reference: Any, seconds: float) -> Any:
    """A node's answer; None of one that is lost meanwhile, or takes longer."""
    with contextlib.suppress(RayError):
        return ray.get(reference, timeout=seconds)
    return None


def kills_on(node_id: str) -> int:
    """How many processes a node's kernel killed for memory; 0 if it does not answer."""
    if node_id == ray.get_runtime_context().get_node_id():
        return memory_kills.count()
    return int(answer_of(ask(node_id, memory_kills.count), ANSWER_SECONDS) or 0)


def classify(error: BaseException) -> Failure:
    """The kind, the one-line message and the place of an exception that ended an attempt.

    A task's error is told by its cause, and so is what stands for one: a process that was killed
    for memory, or whose node died, is no error of the trial's, wherever it is wrapped.
    """
    if isinstance(error, (RayTaskError, LostActorError)) and isinstance(error.cause, BaseException):
        return classify(
            error.cause
        )  # what a task's error, or one that stands for another, is about
    if not isinstance(error, RayError):
        own = described(error)
        return Failure(kind=own.kind, message=own.message, place=own.place)
    return Failure(kind=_kind(error), message=described(error).message)


def _kind(error: RayError) -> str:
    if isinstance(error, OutOfMemoryError):
        return "host_out_of_memory"
    if isinstance(error, RayActorError) and error.preempted:
        return "preempted"
    # An actor whose process dies is dead; unavailable is one whose node does not answer.
    unreachable = isinstance(error, (ActorUnavailableError, NodeDiedError))
    return "node_lost" if unreachable or NODE_DIED in str(error) else "process_died"
