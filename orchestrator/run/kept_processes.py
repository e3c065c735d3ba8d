"""Trial processes kept from the search to the finals, where Tune would restart them.

Nothing public of Tune's outlives a run of its controller, hence the private names; they have no
types, hence the marks.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.tune import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.execution.tune_controller import TuneController
from ray.util.placement_group import remove_placement_group

from orchestrator.run.placement_groups import PlacementGroups
from orchestrator.run.ray_actors import replaced
from trainables.trial import References

Kept = tuple[Any, Any]
"""The actor of an idle process, and what it has reserved."""


class KeptProcesses:
    """Trial processes that are idle between two phases; each ended its last attempt in order."""

    def __init__(self, *, keeps: bool) -> None:
        """Keeps none where an autoscaler would rather take their nodes away meanwhile."""
        self._keeps, self._idle = keeps, list[Kept]()

    @contextlib.contextmanager
    def used_by(
        self,
        references: References,
        bundle: Mapping[str, float],
        most: int,
        *,
        wanted: Callable[[], bool],
        leaves: bool,
    ) -> Iterator[None]:
        """Has a Tuner use the idle processes inside, of which it runs at `most` so many at a time.

        An idle process is kept as long as it may be `wanted`, in this phase or the next; if the
        phase `leaves` any, what is idle at its end is left to the next.
        """
        leaves = leaves and self._keeps

        def make(**options: Any) -> _Controller:
            size = PlacementGroupFactory([dict(bundle)])
            made = _Controller(size, most, wanted if self._keeps else bool, **options)
            for actor, reserved in self._idle:
                actor.refer.remote(references)
                made.take_up(actor, reserved)
            self._idle.clear()
            made.left = self._idle if leaves else None
            return made

        with replaced(tune, "TuneController", make):
            try:
                yield
            except BaseException:
                self._end()
                raise

    def _end(self) -> None:
        """Ends those that are idle: whatever has ended the phase may have met them as well."""
        for actor, reserved in self._idle:
            ray.kill(actor)
            remove_placement_group(reserved.placement_group)
        self._idle.clear()


class _Controller(TuneController):
    """Tune's own, but for what becomes of idle processes."""

    def __init__(
        self, size: PlacementGroupFactory, most: int, wanted: Callable[[], bool], **options: Any
    ) -> None:
        super().__init__(resource_manager_factory=PlacementGroups, **options)
        self._size, self._most, self._wanted = size, most, wanted
        self._more = 0  # idle processes that are kept besides those that Tune would keep
        self.left: list[Kept] | None = None

    def take_up(self, actor: Any, reserved: Any) -> None:
        """Counts an idle process as its own."""
        tracked = TrackedActor(
            uuid.uuid4().int,
            on_start=self._actor_started,
            on_stop=self._actor_stopped,
            on_error=self._actor_failed,
        )
        manager: Any = self._actor_manager
        manager._resource_manager._acquired_pgs.add(reserved.placement_group)
        manager._resource_manager._pg_to_request[reserved.placement_group] = self._size
        manager._live_actors_to_ray_actors_resources[tracked] = (actor, reserved)
        self._started_actors.add(tracked)
        self._keep()
        self._actor_cache.cache_object(self._size, tracked)

    def on_step_begin(self) -> None:
        self._keep()
        super().on_step_begin()  # type: ignore[no-untyped-call]

    def _keep(self) -> None:
        """Idle processes that have shares of a device must not starve a trial that needs it all."""
        others = any(trial.placement_group_factory != self._size for trial in self._staged_trials)
        more = self._most if self._wanted() and not others else 0
        self._actor_cache.increase_max(self._size, more - self._more)
        self._more = more

    def _cleanup_trials(self) -> None:
        manager: Any = self._actor_manager
        while self.left is not None and self._actor_cache.has_cached_object(self._size):
            tracked = self._actor_cache.pop_cached_object(self._size)
            manager._cleanup_actor_futures(tracked)
            actor, reserved = manager._live_actors_to_ray_actors_resources.pop(tracked)
            manager._resource_manager._acquired_pgs.remove(reserved.placement_group)
            manager._resource_manager._pg_to_request.pop(reserved.placement_group)
            self.left.append((actor, reserved))
        super()._cleanup_trials()  # type: ignore[no-untyped-call]
