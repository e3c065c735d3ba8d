"""A winner as an ONNX file: from the pixels of images to the probabilities of their classes."""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from orchestrator.export.network import network_of
from orchestrator.results import files
from orchestrator.terminal import log_level
from search_spaces.baseline import Params
from trainables.training.preprocessing import preparation

if TYPE_CHECKING:
    from orchestrator.export.winners import Winner

NEEDED: Final = ("onnx", "onnxscript", "onnxruntime")
MOST_APART: Final = 1e-4
"""Of a probability, by the file and by PyTorch."""
TRIED: Final = (1, 7)
"""Images at a time on which both are asked."""


class _FromPixels(nn.Module):
    """Prepares images as training did, and says the probabilities."""

    def __init__(self, network: nn.Module, config: Params) -> None:
        super().__init__()
        self._network = network
        self._prepare = preparation(
            config["normalization"]["name"],
            edge=config["image_shape"][0],
            size=config["input_size"],
            device=torch.device("cpu"),
        )

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self._network(self._prepare(images)).float().softmax(1)
        return probabilities


def check_packages() -> None:
    """Checks that what writes such a file is installed.

    Raises:
        ValueError: Something is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"--onnx needs {', '.join(NEEDED)}, but {', '.join(missing)} is not installed: "
            f"pip install {' '.join(missing)}"
        )


def write_onnx(winner: "Winner", path: Path) -> None:
    """Writes `images`, uint8 RGB [n, edge, edge, 3], to `probabilities`, float32 [n, classes].

    What is written was asked for made-up images and has answered as PyTorch does; the file is
    whole or not there.

    Raises:
        ValueError: The network cannot be written, or the file says something else.
    """
    config = winner.config
    model = _FromPixels(network_of(winner), config).eval()
    edge, generator = config["image_shape"][0], np.random.default_rng(0)
    tried = [generator.integers(0, 256, (n, edge, edge, 3), dtype=np.uint8) for n in TRIED]
    with files.whole(path) as temporary:
        _export(model, torch.from_numpy(tried[-1]), temporary, winner.family.name)
        _check_parity(model, tried, temporary, winner.family.name)


@contextlib.contextmanager
def _as_pytorch_begins() -> Iterator[None]:
    """The exporter reads by an old name what a trainer in this process may have set by a new one.

    PyTorch then raises. On the CPU neither changes a number.
    """
    cudnn: Any = torch.backends.cudnn
    before = [(part, part.fp32_precision) for part in (cudnn.conv, cudnn.rnn)]
    for part, _ in before:
        part.fp32_precision = "tf32"
    try:
        yield
    finally:
        for part, precision in before:
            part.fp32_precision = precision


def _export(model: nn.Module, example: Tensor, path: Path, family: str) -> None:
    try:
        with (
            log_level("torch.onnx", logging.ERROR),
            warnings.catch_warnings(action="ignore"),  # of the exporter's own making
            contextlib.redirect_stdout(io.StringIO()),
            _as_pytorch_begins(),
        ):
            program = torch.onnx.export(
                model,
                (example,),
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("images")},),
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        program.save(path)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"the network of {family} cannot be written as ONNX: {reason}") from error


@torch.no_grad()
def _check_parity(model: nn.Module, tried: list[np.ndarray], path: Path, family: str) -> None:
    session = importlib.import_module("onnxruntime").InferenceSession(
        path.read_bytes(), providers=["CPUExecutionProvider"]
    )
    for images in tried:
        (found,) = session.run(None, {"images": images})
        apart = float(np.abs(found - model(torch.from_numpy(images)).numpy()).max())
        if not apart <= MOST_APART:
            raise ValueError(
                f"ONNX and PyTorch must agree on {family} within {MOST_APART:g}, but are "
                f"{apart:g} apart"
            )
