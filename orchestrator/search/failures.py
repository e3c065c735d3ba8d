"""Why an attempt failed, read from what Ray left of it."""

from pathlib import Path

import ray.cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial

from orchestrator.trials.trial import DISK_FULL, Failure
from trainables.checkpoints import DiskFullError


def failure_of(trial: Trial) -> Failure:
    """Why Tune's trial failed, from the exception that the driver keeps of it."""
    error = ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return classify(error)


def classify(error: BaseException) -> Failure:
    """The kind and the one line of an exception that ended an attempt."""
    if isinstance(error, RayTaskError):
        cause = error.cause if isinstance(error.cause, BaseException) else error
        return _raised(cause)
    if isinstance(error, OutOfMemoryError):
        return Failure(kind="host_out_of_memory", message=_first_line(error))
    if isinstance(error, RayActorError):
        kind = "preempted" if error.preempted else "process_died"
        return Failure(kind=kind, message=_first_line(error))
    if isinstance(error, RayError):
        message = f"{type(error).__name__}: {_first_line(error)}"
        return Failure(kind="process_died", message=message)
    return _raised(error)


def _raised(error: BaseException) -> Failure:
    """What the trial's own code raised."""
    if isinstance(error, DiskFullError):
        return Failure(kind=DISK_FULL, message=_first_line(error))
    # PyTorch's, of a device; by its name, since the driver need not import it.
    kind = "out_of_memory" if type(error).__name__ == "OutOfMemoryError" else "error"
    return Failure(kind=kind, message=f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
