"""What Ray has reserved comes back, whenever a trial no longer needs it."""

import time
from collections.abc import Callable, Iterator

import pytest
import ray
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.util.placement_group import placement_group_table

from orchestrator.run.kept_processes import PlacementGroups

pytestmark = pytest.mark.cluster
ONE, MORE_THAN_THERE_IS = (PlacementGroupFactory([{"CPU": cpus}]) for cpus in (1, 64))


@pytest.fixture
def groups(shared_cluster: str) -> Iterator[PlacementGroups]:
    """In a cluster of two CPUs."""
    ray.init(shared_cluster, log_to_driver=False)
    yield PlacementGroups()
    ray.shutdown()


@pytest.fixture
def states(groups: PlacementGroups) -> Callable[[], list[str]]:
    """Of the groups that were made since."""
    del groups
    before = placement_group_table()
    return lambda: [g["state"] for i, g in placement_group_table().items() if i not in before]


def at_last(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not (held := holds()) and time.monotonic() < end:
        pass
    return held


def turn(groups: PlacementGroups) -> bool:
    """One turn of Tune's loop; whether nothing is left to wait for."""
    waited_for = groups.get_resource_futures()
    if waited_for:
        ray.wait(waited_for, timeout=0.1)
        groups.update_state()
    return not waited_for


def test_a_group_is_not_removed_before_it_is_reserved(
    groups: PlacementGroups, states: Callable[[], list[str]]
) -> None:
    groups.request_resources(ONE)
    (reserved,) = groups.get_resource_futures()
    groups.cancel_resource_request(ONE)
    assert states() != ["REMOVED"]
    assert ray.get(reserved, timeout=20), "a group that is removed at once is never there"
    assert at_last(lambda: turn(groups))
    assert at_last(lambda: set(states()) == {"REMOVED"})


def test_a_group_that_no_node_can_hold_is_removed_all_the_same(
    groups: PlacementGroups, states: Callable[[], list[str]]
) -> None:
    groups.request_resources(MORE_THAN_THERE_IS)
    groups.cancel_resource_request(MORE_THAN_THERE_IS)
    assert at_last(lambda: turn(groups))
    assert at_last(lambda: set(states()) == {"REMOVED"})


def test_at_the_end_every_group_is_removed(
    groups: PlacementGroups, states: Callable[[], list[str]]
) -> None:
    for _ in range(3):
        groups.request_resources(ONE)
    groups.cancel_resource_request(ONE)
    groups.clear()
    assert at_last(lambda: set(states()) == {"REMOVED"})
    assert at_last(lambda: ray.available_resources().get("CPU") == 2)
