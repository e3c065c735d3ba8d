"""Fault handling for Ray actors: Tune goes on where one is lost; one that hangs is ended."""

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Final

import ray
from ray import tune
from ray.air._internal import usage
from ray.air.execution import _internal
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.execution import class_cache, tune_controller
from ray.tune.experiment import Trial

from orchestrator.search.failures import LostActorError

GRACE_SECONDS: Final = 5.0
"""After its limit a process has this long to end itself and to say where it was."""
FIRST_WORD_SECONDS, WORD_SECONDS = 30.0, 5.0
"""Where no trial runs for longer than a process takes to start, it is looked into so often."""
LOOK_SECONDS: Final = 5.0
"""So often it is looked up whether a trial has begun another epoch."""
LONGEST_STEP_SECONDS: Final = 10.0
"""A step of Tune's takes less; a longer one means that this machine slept, trials and all."""


class ActorManager(_internal.RayActorManager):
    """Tune's actor manager, which takes each error of Ray's as the end of one actor.

    Tune's own ends the whole run where it is neither an actor's nor a task's, as when the memory
    monitor has killed a trial. Nothing public is called then, hence the private method.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        super()._actor_task_failed(tracked_actor_task, as_actor_error(exception))

    def _actor_start_failed(self, tracked_actor: Any, exception: Exception) -> None:
        super()._actor_start_failed(tracked_actor, as_actor_error(exception))


def as_actor_error(error: Exception) -> Exception:
    """The error in a form that Tune attributes to one trial."""
    if isinstance(error, RayError) and not isinstance(error, (RayActorError, RayTaskError)):
        return LostActorError(error)
    return error


def name_epochs(trial: Trial) -> None:
    """Has the Ray dashboard, and the process's title, name each epoch after its trial and attempt.

    An actor keeps the name that it was made with, and makes many attempts.
    """
    actor: Any = trial.temporary_state.ray_actor
    name = f"{trial.config['trial_id']}/attempt-{trial.config['attempt']}"
    actor.train = _NamedMethod(actor, "train", name)


class _NamedMethod:
    """A method of an actor whose calls have a name; Tune calls it without one."""

    def __init__(self, actor: Any, method: str, name: str) -> None:
        """Takes the actor, which must not be kept alive by what it holds: its process would be."""
        self._actor, self._method, self._name = weakref.ref(actor), method, name

    def remote(self, *arguments: Any) -> Any:
        actor: Any = self._actor()
        method = type(actor).__getattr__(actor, self._method)  # its own, which this one hides
        return method.options(name=self._name).remote(*arguments)


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Has a name in one of Ray's modules mean something else inside, where no option does."""
    own = vars(module)[name]
    vars(module)[name] = value
    try:
        yield
    finally:
        vars(module)[name] = own


def one_at_a_time() -> AbstractContextManager[None]:
    """Has the loss of an actor end that actor alone inside."""
    return replaced(tune_controller, "RayActorManager", ActorManager)


def without_keys() -> AbstractContextManager[None]:
    """Keeps cloud keys out of Tune's runtime environments inside: Ray writes these into logs."""
    names = {n for n in class_cache.ENV_VARS_TO_PROPAGATE if not n.startswith("AWS_")}
    return replaced(class_cache, "ENV_VARS_TO_PROPAGATE", names)


def callbacks_uncounted() -> AbstractContextManager[None]:
    """Keeps Tune from importing trackers inside, which it does to count uses of callbacks.

    Where MLflow and Weights & Biases are installed that takes a start four seconds, and the count
    goes nowhere: a study sends no usage statistics.
    """
    return replaced(usage, "tag_callbacks", lambda _: False)


class Overdue(tune.Callback):
    """Watchdog that ends overdue processes of trials, and a phase that no node can run.

    It does so from outside, on whichever node.

    A process ends itself at its limit, unless it is stopped or the file is not there that it says
    so in. The clock counts what Tune's loop lives through, so that no trial is late because the
    whole machine slept.
    """

    def __init__(
        self,
        limit: float,
        overdue: set[str],
        waiting: Callable[[float], None],
        epoch_began: Callable[[str], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the seconds that an epoch may take, and what gets the ids of trials that took more.

        `waiting` is called now and then, with the seconds for which no trial has run; `epoch_began`
        gives another number for a trial's id once it has begun another epoch.
        """
        self._most, self._overdue, self._clock = limit + GRACE_SECONDS, overdue, clock
        self._waiting, self._idle_since, self._next_word = waiting, 0.0, FIRST_WORD_SECONDS
        self._lived, self._last_step = 0.0, clock()
        self._epoch_began, self._last_look = epoch_began, 0.0
        self._heard: dict[Trial, float] = {}
        self._epochs: dict[Trial, int] = {}

    def on_step_begin(self, *_: Any, **info: Any) -> None:
        """Ends overdue processes; Tune then sees an actor that died."""
        self._hear_of_next(info["trials"])
        now = self._clock()
        self._lived += min(now - self._last_step, LONGEST_STEP_SECONDS)
        self._last_step = now
        if self._heard:
            self._idle_since, self._next_word = self._lived, FIRST_WORD_SECONDS
        elif self._lived - self._idle_since > self._next_word:
            self._next_word += WORD_SECONDS
            self._waiting(self._lived - self._idle_since)
        if self._lived - self._last_look >= LOOK_SECONDS:
            self._last_look, before = self._lived, self._epochs
            self._epochs = {t: self._epoch_began(t.config["trial_id"]) for t in self._heard}
            # Those that are not reported yet count as well: a report may have several.
            for trial, epoch in self._epochs.items():
                if epoch != before.get(trial, epoch):
                    self._heard[trial] = self._lived
        for trial in [t for t, heard in self._heard.items() if self._lived - heard > self._most]:
            del self._heard[trial]
            self._overdue.add(trial.config["trial_id"])
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)

    def _hear_of_next(self, trials: list[Trial]) -> None:
        """A process that is to run another trial may hang in that: its first epoch has begun.

        Tune has one trial at a time that waits to start, the newest.
        """
        newest = trials[-1] if trials else None
        if newest and newest.status == Trial.PENDING and newest.temporary_state.ray_actor:
            self._heard.setdefault(newest, self._lived)

    def on_trial_start(self, *_: Any, **info: Any) -> None:
        """Starts the time limit of the trial's next stretch of epochs."""
        self._heard[info["trial"]] = self._lived

    on_trial_result = on_trial_start

    def on_trial_complete(self, *_: Any, **info: Any) -> None:
        """Removes the time limit of a trial that has ended."""
        self._heard.pop(info["trial"], None)

    on_trial_error = on_trial_complete
