"""A share of a GPU: as large a part of its memory, and no further."""

import sys

import pytest
import torch

from trainables import device_memory
from trainables.trial_error import described


def test_a_trial_with_a_share_of_a_gpu_has_that_share_of_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = list[float]()
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)
    for share in (0.0, 1.0, 0.25, 1 / 3):
        device_memory.take_share(share)
    assert limits == [0.25, 1 / 3]


def test_a_trainer_without_pytorch_gets_no_limit_and_no_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    device_memory.take_share(0.25)
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("share", "free", "reserved", "limit"),
    [(1.0, 16, 0, 8), (0.25, 16, 0, 2), (1.0, 6, 0, 3), (1.0, 6, 4, 5), (0.25, 1, 1, 1)],
)
def test_images_may_take_half_of_what_the_trial_can_have_of_its_gpu(
    share: float, free: int, reserved: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 16))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: reserved)
    assert device_memory.limit_of_images("cuda", share) == limit


def test_a_cpu_and_a_library_of_its_own_set_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_memory.limit_of_images("cpu") is None
    monkeypatch.delitem(sys.modules, "torch")
    assert device_memory.limit_of_images("cuda") is None


def test_why_images_are_fed_is_said_in_numbers() -> None:
    limit = 8_000_000_000
    said = device_memory.why_fed(15_052_800_000, limit, device_memory.part_bytes(limit))
    assert said == (
        "15.1 GB of images would take more than half of the 16 GB of a GPU's memory that a trial "
        "has: images stay on the host and are fed in parts of 128 MB"
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_f5_a_trial_that_takes_more_than_its_share_runs_out_of_memory() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        device_memory.take_share(0.125)
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(total // 4, dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert described(caught.value).kind == "out_of_memory"
