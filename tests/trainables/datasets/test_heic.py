"""HEIC, as phones save photographs: read where its plug-in is installed, else that is named."""

import inspect
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import encoded, error_of, write_classes

from orchestrator.look.looking import look_at
from trainables.data import decoding
from trainables.datasets import folder

HEADER = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"
# The real one is not installed here; what is behind this header is a PNG.
PLUG_IN = f"""
import io
from PIL import Image, PngImagePlugin

HEADER = {HEADER!r}

class HeifImage(PngImagePlugin.PngImageFile):
    format = "HEIF"

def register_heif_opener():
    Image.register_open(
        "HEIF",
        lambda file, name=None: HeifImage(io.BytesIO(file.read()[len(HEADER):])),
        lambda start: start.startswith(HEADER[:12]),
    )
"""


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes, each with a photograph of a phone among the others."""
    base = write_classes(tmp_path / "images", {"cat": 5, "dog": 5})
    for value, name in enumerate(("cat", "dog")):
        pixels = np.full((40, 60, 3), 200 + value, dtype=np.uint8)
        (base / name / "phone.HEIC").write_bytes(HEADER + encoded(pixels))
    return base


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "pillow_heif.py").write_text(PLUG_IN)
    module = types.ModuleType("pillow_heif")
    exec(PLUG_IN, vars(module))
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    return tmp_path / "installed"


@pytest.mark.usefixtures("plug_in")
def test_heic_is_read_in_training_and_look_alike(photographs: Path) -> None:
    data = folder.DATASET.open(str(photographs), 16)
    both = np.concatenate([data.read_training().images, data.read_test().images])
    assert {200, 201} <= set(both[:, 0, 0, 0].tolist())
    assert data.glance is not None
    assert sorted(data.glance.shorter_edges)[-2:] == [40, 40]
    look = look_at("folder", str(photographs))
    assert look.overview.formats == {"PNG": 10, "HEIF": 2}


def test_a_card_reads_heic_as_training_does(plug_in: Path, tmp_path: Path) -> None:
    content = HEADER + encoded(np.full((4, 4, 3), 77, dtype=np.uint8))
    (tmp_path / "x.heic").write_bytes(content)
    functions = [inspect.getsource(each) for each in folder.DATASET.standalone]
    paths = [path for path in sys.path if path]
    code = (
        f"import sys; sys.path += {[str(plug_in), *paths]}\n"
        "import io\nimport numpy as np\nimport numpy.typing as npt\nfrom pathlib import Path\n"
        + "\n".join(functions)
        + f"\nprint(decode(Path({str(tmp_path / 'x.heic')!r}).read_bytes(), 2, 'x').tolist())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
    ).stdout
    assert printed.strip() == str(decoding.decode(content, 2, "x").tolist())


def test_without_its_plug_in_heic_is_refused_with_its_name(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    message = error_of(folder.DATASET, photographs)
    assert "HEIC is read where the package pillow-heif is installed, which it is not" in message
    (problem,) = [p for p in look_at("folder", str(photographs)).problems if p.kind == "HEIC"]
    assert "pillow-heif" in problem.advice
    assert len(problem.groups) == 2


def test_avif_with_a_general_brand_is_not_taken_for_heic() -> None:
    content = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"
    with pytest.raises(ValueError, match="not one of JPEG"):
        decoding.decode(content, 2, "x")
