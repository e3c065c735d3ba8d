"""A winner as ONNX: the same numbers as PyTorch, from pixels, without any of this project."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from orchestrator.export.__main__ import main
from orchestrator.predict.predictor import load

ROOT = Path(__file__).parents[2]
COMMAND = "from orchestrator.export.__main__ import main; import sys; sys.exit(main(sys.argv[1:]))"

WRITES_ANOTHER = """
import types, onnx, torch
from onnx.numpy_helper import from_array, to_array
program = onnx.load({!r})
for each in program.graph.initializer:
    if each.data_type == onnx.TensorProto.FLOAT:
        each.CopyFrom(from_array(2 * to_array(each), each.name))
another = types.SimpleNamespace(save=lambda path: onnx.save(program, path))
torch.onnx.export = lambda *_, **__: another
"""


def export(*arguments: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: PyTorch's exporter fails where a trainer has run."""
    command = [sys.executable, "-c", f"{before}\n{COMMAND}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def exported(cnn_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "cnn").mkdir()
    (folder / "cnn" / "model.onnx").write_bytes(b"of an earlier study")
    done = export(cnn_study, "--onnx", "--output", folder, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"ONNX: {folder / 'cnn' / 'model.onnx'}"
    assert done.stderr == ""
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


def test_a_file_that_is_there_is_replaced_only_when_told_to_and_by_none_that_says_something_else(
    exported: Path, cnn_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, before = ("--output", exported.parents[1]), exported.read_bytes()
    assert main([str(cnn_study), "--onnx", *map(str, output)]) == 2
    assert "must be new, or replaced with --overwrite" in capsys.readouterr().err
    assert exported.read_bytes() == before
    wrong = export(
        cnn_study, "--onnx", *output, "--overwrite", before=WRITES_ANOTHER.format(str(exported))
    )
    assert wrong.returncode == 2
    assert "ONNX and PyTorch must agree on cnn within 0.0001" in wrong.stderr
    assert exported.read_bytes() == before
    assert list(exported.parent.glob("*.onnx*")) == [exported]


def test_what_is_not_installed_is_named_before_anything_is_written(
    cnn_study: Path, tmp_path: Path
) -> None:
    hidden = "import sys; from importlib import abc, machinery\n"
    hidden += "class Hide(machinery.PathFinder):\n"
    hidden += "    find_spec = classmethod(lambda c, name, path=None, target=None: None if name == "
    hidden += "'onnxscript' else machinery.PathFinder.find_spec(name, path, target))\n"
    hidden += "sys.meta_path = [Hide if f is machinery.PathFinder else f for f in sys.meta_path]"
    done = export(cnn_study, "--onnx", "--output", tmp_path, before=hidden)
    assert done.returncode == 2
    assert "onnxscript is not installed: pip install onnxscript" in done.stderr
    assert list(tmp_path.iterdir()) == []
