"""The cluster: three tries to start Ray, and reservations that fit or are refused."""

import dataclasses
import signal
from collections.abc import Sequence

import pytest
import ray
from rich.console import Console

from orchestrator.config.settings import Settings
from orchestrator.run import cluster
from orchestrator.run.cluster import connect
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.opening import cluster_line
from orchestrator.run.reservation import Cluster, Reservation, fits, reserve


def a_cluster(cpus: float, gpus: float = 0.0, *, grown_gpus: float = 0.0) -> Cluster:
    return Cluster(
        kind="running cluster",
        present=[{"CPU": cpus, "GPU": gpus}],
        grown=[{"CPU": cpus, "GPU": grown_gpus}],
        most_grown=1 if grown_gpus else 0,
    )


@pytest.mark.parametrize(
    ("found", "settings", "expected"),
    [
        (a_cluster(2), Settings(), Reservation(cpus=1, gpus=0.0, max_concurrent=2)),
        (a_cluster(16, 4), Settings(), Reservation(cpus=1, gpus=1.0, max_concurrent=4)),
        (
            a_cluster(16, 1),
            Settings(gpus_per_trial=0.25),
            Reservation(cpus=1, gpus=0.25, max_concurrent=4),
        ),
        (
            a_cluster(2, 1),
            Settings(gpus_per_trial=0.25),
            Reservation(cpus=1, gpus=0.25, max_concurrent=2),
        ),
        (
            a_cluster(16, 2),
            Settings(gpus_per_trial=0.33),
            Reservation(cpus=1, gpus=1 / 3, max_concurrent=6),
        ),
        (
            a_cluster(8, 1),
            Settings(gpus_per_trial=0, cpus_per_trial=4),
            Reservation(cpus=4, gpus=0, max_concurrent=2),
        ),
        (
            a_cluster(8),
            Settings(max_concurrent=1),
            Reservation(cpus=1, gpus=0.0, max_concurrent=1),
        ),
        (a_cluster(8, grown_gpus=4), Settings(), Reservation(cpus=1, gpus=1.0, max_concurrent=4)),
    ],
)
def test_trials_reserve_what_was_asked_or_one_gpu_where_there_may_be_any(
    found: Cluster, settings: Settings, expected: Reservation
) -> None:
    assert reserve(settings, found) == expected


def test_trials_are_counted_node_by_node_and_shares_gpu_by_gpu() -> None:
    nodes = [{"CPU": 4.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 1.0}, {"CPU": 64.0}]
    found = dataclasses.replace(a_cluster(84, 3), present=nodes)
    at_a_time = [found.fitting({"CPU": 1, "GPU": 1 / n}) for n in (1, 2, 3, 7)]
    assert at_a_time == [3, 4 + 2, 4 + 3, 4 + 7]
    assert found.fitting({"CPU": 3}) == 1 + 5 + 21


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(gpus_per_trial=1), "asks for 1 GPU of 0"),
        (Settings(cpus_per_trial=4), "asks for 4 CPU of 2"),
    ],
)
def test_more_than_the_cluster_can_have_is_refused_and_never_replaced(
    settings: Settings, message: str
) -> None:
    with pytest.raises(InfrastructureError, match=message):
        reserve(settings, a_cluster(2))


L4 = {"CPU": 4.0, "GPU": 1.0, "memory": 16e9, "accelerator_type:L4": 1.0}
H100 = {"CPU": 16.0, "GPU": 2.0, "memory": 128e9, "accelerator_type:H100": 1.0}
HEAD = {"CPU": 0.0, "memory": 8e9}


def nodes(*present: dict[str, float], grown: Sequence[dict[str, float]] = ()) -> Cluster:
    return Cluster(kind="running cluster", present=present, grown=grown, most_grown=len(grown))


def test_gpus_of_one_type_are_reserved_and_those_of_another_left_alone() -> None:
    mixed = nodes(HEAD, L4, grown=[H100])
    with pytest.raises(InfrastructureError, match=r"of one type.* have H100, L4; .*--mix-devices"):
        reserve(Settings(), mixed)
    chosen = reserve(Settings(device_type="H100"), mixed)
    assert chosen.max_concurrent == 2
    assert chosen.bundle == {"CPU": 1, "GPU": 1.0, "accelerator_type:H100": 0.001}
    assert fits(chosen.bundle, H100) == 2
    assert fits(chosen.bundle, L4) == 0
    assert reserve(Settings(mix_devices=True), mixed).bundle == {"CPU": 1, "GPU": 1.0}
    assert reserve(Settings(), nodes(HEAD, L4)).bundle == {"CPU": 1, "GPU": 1.0}
    assert reserve(Settings(gpus_per_trial=0), mixed).bundle == {"CPU": 1}
    # A node that is yet to come may not say what it will have.
    assert reserve(Settings(), nodes(HEAD, L4, grown=[{"CPU": 4.0, "GPU": 1.0}])).device_type == ""
    # What has no room for a trial need not be chosen from.
    assert reserve(Settings(cpus_per_trial=8), mixed).device_type == ""


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (L4, "but got 'A100'; choose from L4"),
        ({"CPU": 4.0, "GPU": 1.0}, "but got 'A100'; choose from a type that Ray does not know"),
    ],
)
def test_a_type_that_is_not_there_is_refused_with_those_that_are(
    present: dict[str, float], message: str
) -> None:
    with pytest.raises(InfrastructureError, match=message):
        reserve(Settings(device_type="A100"), nodes(present))


def test_memory_is_reserved_node_by_node_and_limits_only_where_it_is_known() -> None:
    asked = Settings(gpus_per_trial=0.25, memory_per_trial=6.0)
    assert reserve(asked, nodes(L4)).max_concurrent == 2
    assert reserve(asked, nodes(L4)).bundle == {"CPU": 1, "GPU": 0.25, "memory": 6_000_000_000}
    assert reserve(asked, nodes(HEAD, grown=[{"CPU": 4.0, "GPU": 1.0}])).max_concurrent == 4
    with pytest.raises(
        InfrastructureError,
        match="asks for 20 GB of memory of 16 GB of memory that the largest has or could have; "
        "nodes: 4 CPU, 1 GPU and 16 GB of memory;",
    ):
        reserve(Settings(memory_per_trial=20.0), nodes(L4))


def test_a_trial_waits_where_the_nodes_together_but_none_of_them_has_room() -> None:
    there = nodes(HEAD, {"CPU": 8.0}, {"CPU": 0.0, "GPU": 1.0}, grown=[L4])
    assert "trials wait for the first node" in cluster_line(there, reserve(Settings(), there))
    assert "wait" not in cluster_line(nodes(L4), reserve(Settings(), nodes(L4)))


def test_devices_are_gpus_or_their_share_and_cpus_only_without_any() -> None:
    assert Reservation(cpus=4, gpus=0.25, max_concurrent=1).devices == 0.25
    assert Reservation(cpus=4, gpus=0, max_concurrent=1).devices == 4
    assert Reservation(cpus=4, gpus=0, max_concurrent=1).bundle == {"CPU": 4}


# The last is what Ray raises where a busy machine took longer than its 30 seconds.
@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, TimeoutError, Exception])
def test_ray_is_tried_three_times_and_then_said_to_be_missing(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str | None] = []

    def init(address: str | None = None, **_: object) -> None:
        tries.append(address)
        message = "the raylet did not answer"
        raise error(message)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster, "_must_answer", lambda _: "disabled")
    monkeypatch.setattr(cluster.time, "sleep", lambda _: None)
    console = Console(record=True, width=200)
    with pytest.raises(InfrastructureError, match="3 tries failed: the raylet did not answer"):
        connect("10.0.0.1:6379", console)
    assert tries == ["10.0.0.1:6379"] * 3
    assert "try 2 of 3" in console.export_text()


def test_the_drivers_own_handler_of_sigterm_survives_the_start_of_ray(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    monkeypatch.setattr(cluster, "_describe", lambda _: a_cluster(1))
    connect("local", Console())
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("gpus", "steps"),
    [
        (0.0, [{"accumulation": 4}]),
        (1.0, [{"accumulation": 4}]),
        (
            0.25,
            [
                {"resources": {"CPU": 2, "GPU": 1.0}},
                {"resources": {"CPU": 2, "GPU": 1.0}, "accumulation": 4},
            ],
        ),
    ],
)
def test_where_memory_did_not_do_a_trial_gets_a_whole_device_then_smaller_batches(
    gpus: float, steps: list[dict[str, object]]
) -> None:
    assert Reservation(cpus=2, gpus=gpus, max_concurrent=4).after_out_of_memory == steps
