"""A winner as ONNX: the same numbers as PyTorch, from pixels, without any of this project."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from orchestrator.export import onnx as onnx_export
from orchestrator.export.__main__ import main
from orchestrator.predict.predictor import load


@pytest.fixture(scope="module")
def exported(cnn_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    assert main([str(cnn_study), "--onnx", "--output", str(folder)]) == 0
    return folder / "cnn" / "model.onnx"


@pytest.mark.parametrize("images", [1, 3, 40])
def test_the_file_says_of_any_number_of_images_what_predict_says(
    exported: Path, cnn_study: Path, images: int
) -> None:
    winner = load(cnn_study)
    shape = (images, winner.image_size, winner.image_size, 3)
    pixels = np.random.default_rng(images).integers(0, 256, shape, dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported)
    (found,) = session.run(["probabilities"], {"images": pixels})
    assert found.shape == (images, len(winner.classes))
    np.testing.assert_allclose(found, winner(pixels), atol=1e-5)


def test_a_file_that_is_there_is_replaced_only_when_told_to(
    exported: Path, cnn_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(exported.parents[1])]
    before = exported.read_bytes()
    assert main([str(cnn_study), "--onnx", *output]) == 2
    assert "must be new, or replaced with --overwrite" in capsys.readouterr().err
    assert exported.read_bytes() == before
    assert main([str(cnn_study), "--onnx", *output, "--overwrite"]) == 0


def test_a_file_that_says_something_else_is_not_left(
    cnn_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(onnx_export, "MOST_APART", -1.0)  # nothing agrees so well
    assert main([str(cnn_study), "--onnx", "--output", str(tmp_path)]) == 2
    assert "ONNX and PyTorch must agree on cnn within -1" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.onnx*"))


def test_what_is_not_installed_is_named_before_anything_is_written(
    cnn_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(onnx_export, "NEEDED", ("onnx", "no_such_package"))
    assert main([str(cnn_study), "--onnx", "--output", str(tmp_path)]) == 2
    message = "no_such_package is not installed: pip install no_such_package"
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
