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
