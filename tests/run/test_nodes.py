"""What nodes compute with: one type of device to a study, unless its user says otherwise."""

import pytest

from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.nodes import Seen, check_types, seen_of
from orchestrator.run.reservation import Reservation
from trainables.hardware import Hardware

ON_GPU = Reservation(cpus=1, gpus=1.0, max_concurrent=2)
ON_CPU = Reservation(cpus=1, gpus=0.0, max_concurrent=2)
GPU_NODE = {"CPU": 4.0, "GPU": 1.0}


def node(host: str, *gpus: str, processor: str = "Xeon") -> Hardware:
    return Hardware(host=host, processor=processor, bf16=False, gpus=gpus, driver="580", cudnn="9")


HEAD = ({"CPU": 0.0}, node("head", processor="Graviton"))
SMALL, LARGE = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB"  # one type to Ray


def test_nodes_with_gpus_of_two_models_are_refused_by_name_or_taken_as_a_mix() -> None:
    nodes = [HEAD, (GPU_NODE, node("a", SMALL)), (GPU_NODE, node("b", LARGE))]
    with pytest.raises(
        InfrastructureError,
        match=rf"of one type, .*, but have {SMALL} \(a\); {LARGE} \(b\); --mix-devices",
    ):
        seen_of(nodes, "tf32", ON_GPU, mixed=False)
    assert seen_of(nodes, "tf32", ON_GPU, mixed=True).types == {SMALL, LARGE}


def test_only_nodes_with_room_for_a_trial_count() -> None:
    nodes = [HEAD, (GPU_NODE, node("a", SMALL)), ({"CPU": 8.0}, node("c", processor="EPYC"))]
    seen = seen_of(nodes, "tf32", ON_GPU, mixed=False)
    assert (seen.types, [*seen.hosts]) == ({SMALL}, ["head", "a", "c"])
    with pytest.raises(InfrastructureError, match=r"but have EPYC \(c\); Xeon \(a\)"):
        seen_of(nodes, "fp32", ON_CPU, mixed=False)


def test_what_a_kernel_does_not_tell_is_no_type() -> None:
    nodes = [(GPU_NODE, node("a")), (GPU_NODE, node("b", SMALL))]
    assert seen_of(nodes, "tf32", ON_GPU, mixed=False).types == {SMALL}


@pytest.mark.parametrize(
    ("known", "now"),
    [
        ({}, {LARGE}),
        ({SMALL: {"driver": "580"}}, {SMALL}),
        ({SMALL: {"driver": "580"}}, set()),
        ({"Xeon": {}}, {SMALL}),  # it ran on CPUs so far
    ],
)
def test_a_study_goes_on_on_its_own_type_of_gpu(
    known: dict[str, dict[str, object]], now: set[str]
) -> None:
    check_types(known, Seen(hosts={}, types=frozenset(now)))


def test_a_study_does_not_go_on_on_another_type_of_gpu() -> None:
    with pytest.raises(
        InfrastructureError,
        match=f"must stay {SMALL}, .*, but there is {LARGE}; resume it with --mix-devices",
    ):
        check_types({SMALL: {"driver": "580"}}, Seen(hosts={}, types=frozenset({SMALL, LARGE})))
