"""Precision and determinism are set by each trainer, whatever was set before."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from test_plain_training import Network, both, row_of, same_weights
from torch import Tensor, nn

from trainables import hardware
from trainables.data.dataset import LabeledImages

has_bf16 = pytest.mark.skipif(not hardware.here().bf16, reason="the processor has no bf16")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    torch.set_deterministic_debug_mode("default")


@has_bf16
def test_bf16_trains_nearly_the_same_network_with_float32_weights(
    made_up_images: LabeledImages,
) -> None:
    trainer, plain = both(made_up_images, precision="bf16", learning_rate=1e-3)
    for epoch in (1, 2, 3):
        row, exact = row_of(trainer), plain.epoch(epoch)
        assert row["validation_loss"] == pytest.approx(exact["validation_loss"], rel=0.02)
        assert row["validation_loss"] != exact["validation_loss"]
    kept = [*trainer._steps.tensors(), *trainer._model.buffers()]
    assert {tensor.dtype for tensor in kept} <= {torch.float32, torch.float64, torch.int64}


@has_bf16
def test_a_convolution_is_computed_in_bf16_and_the_logits_come_in_float32(
    made_up_images: LabeledImages,
) -> None:
    trainer, _ = both(made_up_images, precision="bf16")
    seen: dict[type[nn.Module], torch.dtype] = {}

    def note(module: nn.Module, given: Any, out: Tensor) -> None:
        del given
        seen.update(dict.fromkeys(type(module).mro(), out.dtype))

    for module in trainer._model.modules():
        module.register_forward_hook(note)
    logits = trainer._steps._logits(torch.zeros(2, 16, 16, 3, dtype=torch.uint8))
    assert (seen[nn.Conv2d], seen[nn.Linear], logits.dtype) == (
        torch.bfloat16,
        torch.bfloat16,
        torch.float32,
    )


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("tf32", "precision on a CPU must be one of fp32, bf16, but got 'tf32'"),
        ("bf16", "must go with a processor that has avx512_bf16 or amx_bf16"),
    ],
)
def test_what_the_processor_lacks_is_refused(
    made_up_images: LabeledImages,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    message: str,
) -> None:
    monkeypatch.setattr(hardware, "BF16", frozenset())
    with pytest.raises(ValueError, match=message):
        both(made_up_images, precision=precision)


def test_a_trainer_sets_what_another_had_changed(made_up_images: LabeledImages) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    trainer, plain = both(made_up_images)
    assert (row_of(trainer), torch.backends.cudnn.benchmark) == (plain.epoch(1), False)
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"


def test_reproducible_training_is_the_same_where_all_is_deterministic_anyway(
    made_up_images: LabeledImages,
) -> None:
    trainer, plain = both(made_up_images, reproducible=True)
    assert torch.get_deterministic_debug_mode() == 2
    assert row_of(trainer) == plain.epoch(1)
    assert same_weights(trainer, plain)
    both(made_up_images)
    assert torch.get_deterministic_debug_mode() == 0


def test_an_operator_that_is_not_deterministic_names_itself(
    made_up_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(network: Network, images: Tensor) -> Tensor:
        images.put_(torch.tensor([0, 0]), torch.tensor([0.0, 1.0]))
        return nn.Sequential.forward(network, images)

    monkeypatch.setattr(Network, "forward", forward)
    trainer, _ = both(made_up_images, reproducible=True)
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
        trainer.train_epoch()
