"""What a trial raised: text that any driver can read, with the line of our own code."""

import errno
import pickle

import numpy as np
import pytest
import torch

from orchestrator.search.failures import classify
from trainables.checkpoints import DiskFullError
from trainables.registry import load_family
from trainables.trial_error import TrialError, described


class OddError(Exception):
    """Cannot be read back from a pickle, and cannot even say what it is."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")

    def __str__(self) -> str:
        raise ZeroDivisionError


def raised(error: Exception) -> TrialError:
    with pytest.raises(type(error)) as caught:
        raise error
    return pickle.loads(pickle.dumps(described(caught.value)))


def test_any_error_can_be_read_by_the_driver() -> None:
    assert raised(OddError(7, "boom")).message == "OddError: OddError"
    assert raised(RuntimeError("bad \udc80 text\nmore")).message == "RuntimeError: bad ? text"
    assert len(raised(RuntimeError("x" * 10**6)).message) < 400


def test_the_place_is_the_innermost_line_of_our_own_code() -> None:
    with pytest.raises(ValueError, match="unknown family") as caught:
        load_family("no such family")
    assert described(caught.value).place.startswith("registry.py:")
    assert raised(RuntimeError("no")).place.startswith("test_trial_error.py:")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79 GiB"
        ),
        torch.AcceleratorError(
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", 2
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_f5_a_device_says_in_four_ways_that_its_memory_does_not_do(error: Exception) -> None:
    assert raised(error).kind == "out_of_memory"
    assert classify(error).kind == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [
        DiskFullError(errno.ENOSPC, "no space is left for checkpoints/cnn-001/.epoch-00001.pt.7"),
        OSError(errno.EDQUOT, "Disk quota exceeded", "logs/cnn-001.log"),
        OSError(errno.EROFS, "Read-only file system", "checkpoints/cnn-001/.epoch-00001.pt.7"),
    ],
)
def test_f9_a_disk_that_is_full_is_no_failure_of_the_trial_that_finds_it(error: OSError) -> None:
    assert classify(raised(error)).kind == "disk_full"


def test_the_hosts_memory_is_told_from_a_devices_and_from_other_errors() -> None:
    with pytest.raises(MemoryError) as caught:
        np.ones(2**59)
    assert described(caught.value).kind == "host_out_of_memory"
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**59)
    assert described(caught.value).kind == "host_out_of_memory"
    assert raised(torch.AcceleratorError("CUDA error: an illegal memory access", 700)).kind == (
        "error"
    )
