"""Where a process's trials run, and how fast its device is."""

import socket

import pytest

from trainables import hardware, place
from trainables.training import device_speed as measured


def test_a_place_on_a_cpu_is_its_node_and_its_processor() -> None:
    found = place.here("cpu")
    assert (found.node, found.device_name) == (
        socket.gethostname(),
        hardware.here().processor or None,
    )
    assert (found.device_memory_bytes, found.driver, found.cuda, found.cudnn) == (None,) * 4
    assert found.device_speed is None


def test_the_speed_of_a_device_is_measured_once_in_a_process_and_draws_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measured, "SECONDS", 0.01)
    measured.device_speed.cache_clear()
    before = measured.torch.random.get_rng_state()
    speed = measured.device_speed("cpu", "fp32", 1)
    assert speed > 0
    assert measured.torch.random.get_rng_state().equal(before)
    monkeypatch.setattr(measured, "resnet18", None)
    assert measured.device_speed("cpu", "fp32", 1) == speed
    measured.device_speed.cache_clear()
