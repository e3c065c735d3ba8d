"""Trial processes kept from the search to the finals, where Tune would restart them.

Nothing public of Tune's outlives a run of its controller, hence the private names; they have no
types, hence the marks.

What processes reserve are placement groups, none of which is removed while it is being reserved.
Tune asks for one when a trial is proposed, and removes it at once where the trial is given an idle
process instead. Ray 2.60 reserves in two phases; where the removal falls between them it never
gives back what it has reserved: no trial gets that device as long as the cluster lives. (2 of 340
groups that were removed within 6 ms.)
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import ray
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.air.execution.resources.placement_group import PlacementGroupResourceManager
from ray.air.execution.resources.request import ResourceRequest
from ray.tune import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.execution.tune_controller import TuneController
from ray.util.placement_group import PlacementGroup, remove_placement_group

from orchestrator.run.ray_actors import replaced
from trainables.trial import References

LONGEST_SECONDS: Final = 1.0
"""A group that waits for longer waits for devices that are not free: none is being reserved."""
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
                made.reuse(actor, reserved)
            self._idle.clear()
            made.left = self._idle if leaves else None
            return made

        with replaced(tune, "TuneController", make):
            try:
                yield
            except BaseException:  # whatever has ended the phase may have met the idle ones as well
                for actor, reserved in self._idle:
                    ray.kill(actor)
                    remove_placement_group(reserved.placement_group)
                self._idle.clear()
                raise


class PlacementGroups(PlacementGroupResourceManager):
    """Resource manager that removes an unwanted group only once reserved or after a long wait."""

    def __init__(self, update_interval_s: float = 0.1) -> None:
        """Has none; Tune's own calls it again when all are to be forgotten."""
        super().__init__(update_interval_s)
        self._unwanted = dict[Any, tuple[PlacementGroup, float]]()

    def get_resource_futures(self) -> list[Any]:
        """Futures of the groups that are being reserved, for which Tune's loop waits."""
        self._remove_unwanted()
        return [*super().get_resource_futures(), *self._unwanted]

    def update_state(self) -> None:
        """Updates the groups once one of these futures is ready."""
        super().update_state()  # type: ignore[no-untyped-call]
        self._remove_unwanted()

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        """Marks a group that may be being reserved to be removed later."""
        if not self._request_to_staged_pgs[resource_request]:
            super().cancel_resource_request(resource_request)
            return
        group = self._request_to_staged_pgs[resource_request].pop()
        reserved = self._pg_to_staging_future.pop(group)
        del self._staging_future_to_pg[reserved], self._pg_to_request[group]
        self._unwanted[reserved] = group, time.monotonic() + LONGEST_SECONDS

    def clear(self) -> None:
        """Waits for what is being reserved, and removes every group."""
        if ray.is_initialized() and (waiting := self.get_resource_futures()):
            ray.wait(waiting, num_returns=len(waiting), timeout=LONGEST_SECONDS)
            self._remove_unwanted(everything=True)
        super().clear()  # type: ignore[no-untyped-call]

    def _remove_unwanted(self, *, everything: bool = False) -> None:
        if not self._unwanted:
            return
        futures, now = list(self._unwanted), time.monotonic()
        reserved, _ = ray.wait(futures, num_returns=len(futures), timeout=0)
        for future in futures:
            group, latest = self._unwanted[future]
            if everything or future in reserved or now > latest:
                del self._unwanted[future]
                ray.cancel(future)
                remove_placement_group(group)


class _Controller(TuneController):
    """Tune's own, but for what becomes of idle processes."""

    def __init__(
        self, size: PlacementGroupFactory, most: int, wanted: Callable[[], bool], **options: Any
    ) -> None:
        super().__init__(resource_manager_factory=PlacementGroups, **options)
        self._size, self._most, self._wanted = size, most, wanted
        self._more = 0  # idle processes that are kept besides those that Tune would keep
        self.left: list[Kept] | None = None

    def reuse(self, actor: Any, reserved: Any) -> None:
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
