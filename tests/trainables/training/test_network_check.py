"""A family's network is tried before a study starts, and its answer at each batch."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.family import Family
from trainables.training.model_size import without_memory
from trainables.training.network_check import check_logits, check_network

CONFIG = {**BASELINE, "num_classes": 3, "input_size": 8, "weights": None}


def family_of(build: Callable[[Mapping[str, Any]], Any]) -> Family:
    return Family(name="mine", build=build, search_space=from_scratch(), baseline=BASELINE)


def network(classes: int, inputs: int = 192) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes))


def test_a_network_that_says_logits_is_taken_and_the_process_is_as_before() -> None:
    def build(config: Mapping[str, Any]) -> nn.Module:
        torch.set_grad_enabled(False)
        return network(config["num_classes"])

    check_network(family_of(build), CONFIG)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c: c["width"], "build of mine must make its network, but KeyError: 'width'"),
        (lambda _: "network", "must return a torch.nn.Module, but returned a str"),
        (lambda _: network(1000), r"logits \[2, 3\], images by classes, but returned \[2, 1000\]"),
        (lambda _: network(3, 48), r"must take float32 images \[2, 3, 8, 8\], but RuntimeError"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_in_a_line(build, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check_network(family_of(build), CONFIG)
    assert "\n" not in str(caught.value)


def test_what_only_a_gpu_can_do_is_left_to_the_trials() -> None:
    class OnGpu(nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("Expected a CUDA device")

    check_network(family_of(lambda _: OnGpu()), CONFIG)


def test_what_is_no_tensor_is_no_logits() -> None:
    with pytest.raises(ValueError, match="but returned a tuple"):
        check_logits((torch.zeros(2, 3),), 2, 3)


def test_a_network_of_values_from_elsewhere_is_counted_too() -> None:
    made = without_memory(lambda: torch.zeros(2, 2) @ torch.from_numpy(torch.ones(2, 2).numpy()))
    assert made.device.type == "cpu"
