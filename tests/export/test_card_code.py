"""The code of a card alone gives what the study's network gave."""

import ast
import importlib
import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from in_process import Driver
from made_up_record import record
from PIL import Image
from read_export import TEST_IMAGES, code_blocks, digits

from orchestrator.export import __main__ as export
from orchestrator.export.card_code import code_of
from orchestrator.export.winners import configuration
from orchestrator.predict import predictor
from orchestrator.results import schema as results
from trainables import registry
from trainables.data.dataset import LabeledImages
from trainables.training.trainer import Trainer

PACKAGES = ("orchestrator", "trainables", "search_spaces")
OTHER_THAN_BASELINE = {
    "resnet50_scratch": {"stem": "small"},
    "resnet50_transfer": {"normalization": "imagenet", "input_size": 64},
}
# Without site, nothing puts a checkout on the path; the packages that the card needs are added.
ALONE = f"""
import importlib.util, sys
sys.path.append({sysconfig.get_path("purelib")!r})
assert not any(map(importlib.util.find_spec, {PACKAGES})), sys.path
"""
PREDICT = """
np.save("predictions.npy", predict(np.load("images.npy")))
"""


def stored_predictions(study: Path, exported: Path) -> pd.DataFrame:
    """What the exported model predicted when the study tested it."""
    seed = json.loads((exported / "config.json").read_text())["seed"]
    predictions = pd.read_parquet(study / "predictions.parquet")
    own = predictions[(predictions.role == "tuned") & (predictions.seed == seed)]
    return own.sort_values("image_index").head(TEST_IMAGES)


def test_the_winner_predicts_the_same_in_a_process_that_has_only_its_card(
    cnn_study: Path, exported: Path
) -> None:
    alone = Path(shutil.copytree(exported, exported.parent / "élsewhere, alone"))
    np.save(alone / "images.npy", digits(TEST_IMAGES))
    Image.fromarray(digits(1)[0]).save(alone / "image.png")
    network, for_a_file = code_blocks((alone / "README.md").read_text(encoding="utf-8"))
    script = "\n".join([ALONE, network, PREDICT, for_a_file])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stored = stored_predictions(cnn_study, exported)
    probabilities = np.load(alone / "predictions.npy")
    assert probabilities.argmax(axis=1).tolist() == stored.predicted.tolist()
    assert len(set(stored.predicted)) > 5
    np.testing.assert_allclose(probabilities, np.stack(stored.probabilities), atol=1e-5)
    named, probability = done.stdout.split()
    assert named == str(stored.predicted.iloc[0])
    assert float(probability) == pytest.approx(probabilities[0].max(), abs=1e-6)


def files_of_all_kinds(folder: Path) -> None:
    """Image files of noise, eight of each kind that phones, scanners and old programs make."""
    random = np.random.default_rng(0)

    def noise(*shape: int, bits: int = 8) -> np.ndarray:
        kind = np.uint8 if bits == 8 else np.uint16
        most = int(random.integers(2**bits // 4, 2**bits))
        return random.integers(0, most, (20, 30, *shape), dtype=kind)

    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "grey.png": (lambda: Image.fromarray(noise()), {}),
        "grey with alpha.png": (lambda: Image.fromarray(noise(2)), {}),
        "grey of which one is transparent.png": (
            lambda: Image.fromarray(noise() // 16),
            {"transparency": 3},
        ),
        "black and white.png": (lambda: Image.fromarray(noise() > noise()), {}),
        "grey of 16 bits.png": (lambda: Image.fromarray(noise(bits=16)), {}),
        "grey of 16 bits.tiff": (lambda: Image.fromarray(noise(bits=16)), {}),
        "grey of 16 bits, turned.png": (lambda: Image.fromarray(noise(bits=16)), {"exif": turned}),
        "with alpha.png": (lambda: Image.fromarray(noise(4)), {}),
        "palette.png": (lambda: Image.fromarray(noise(3)).quantize(16), {}),
        "transparent palette.png": (
            lambda: Image.fromarray(noise(3)).quantize(16),
            {"transparency": 3},
        ),
        "of a phone.jpg": (lambda: Image.fromarray(noise(3)), {"exif": turned}),
        "for print.jpg": (lambda: Image.fromarray(noise(4), mode="CMYK"), {}),
    }
    for part, each in (("train", 3), ("test", 1)):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for name, (make, options) in kinds.items():
                for number in range(each):
                    make().save(folder / part / label / f"{number} {name}", **options)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_card_prepares_files_of_all_kinds_as_the_study_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_of_all_kinds(tmp_path / "images")
    what = {"families": "cnn", "dataset": "folder", "data_dir": str(tmp_path / "images")}
    sizes = {"trials": 1, "epochs": 1, "grace_period": 1, "seeds": 1, "image_size": 16}
    driver = Driver(
        tmp_path / "results",
        monkeypatch,
        {**what, **sizes},
        assignments=("baseline.cnn.width=16",),
    )
    assert driver.start()
    alone = tmp_path / "exported" / "cnn"
    assert export.main([str(driver.folder), "--output", str(alone.parent)]) == 0
    card = (alone / "README.md").read_text(encoding="utf-8")
    assert "- Images are scaled and cropped to 16x16 pixels in every family." in card
    _, for_a_file = code_blocks(card)
    prepared, _, _ = for_a_file.partition("(probabilities,) =")
    files = sorted((tmp_path / "images" / "test").rglob("*.*"))
    script = (
        f"{ALONE}\nimport numpy as np\nfrom pathlib import Path\nfound = []\n"
        f"for path in {list(map(str, files))}:\n"
        "    Path('image.png').write_bytes(Path(path).read_bytes())\n"
        f"    exec({prepared!r})\n    found.append(image)\n"
        "np.save('images.npy', found)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=alone, check=True)
    tested = registry.load_dataset("folder").open(what["data_dir"], 16).read_test()
    np.testing.assert_array_equal(np.load(alone / "images.npy"), tested.images)
    stored = pd.read_parquet(driver.folder / "predictions.parquet").sort_values("image_index")
    own = stored[stored.role == stored.role.iloc[0]]
    predicted = predictor.load(driver.folder).files([tmp_path / "images" / "test"])
    assert predicted.file.tolist() == list(map(str, files))
    assert predicted["class"].tolist() == ["ab"[index] for index in own.predicted]
    np.testing.assert_allclose(
        predicted[["probability of a", "probability of b"]], np.stack(own.probabilities), atol=1e-6
    )


@pytest.mark.parametrize("name", registry.family_names())
def test_a_familys_card_makes_the_network_and_prepares_images_as_the_study_did(
    name: str,
    made_up_images: LabeledImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = registry.load_family(name)
    params = {**family.baseline, **OTHER_THAN_BASELINE.get(name, {})}
    code = code_of(family)
    assert code is not None
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert not {str(node.module).partition(".")[0] for node in imports} & set(PACKAGES)
    trainer = new_trainer(family, params, made_up_images)
    write_export(tmp_path, name, params, trainer)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    predicted = names["predict"](made_up_images.images)
    # Training computes convolutions over small maps as products, whose sums are in another order.
    expected = trainer.evaluate(made_up_images).probabilities
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)


def new_trainer(family: Any, params: dict[str, Any], data: LabeledImages) -> Trainer:
    """A network of random weights; the pre-trained family's come from the same builder."""
    weights = None
    if family.pretrained:
        state = family.standalone[-1]({**params, "num_classes": 3}).state_dict()
        weights = {key: tensor.numpy() for key, tensor in state.items()}
    module, _, name = family.trainer.partition(":")
    made: Trainer = getattr(importlib.import_module(module), name)(
        family,
        params,
        data,
        train=np.arange(40),
        validation=np.arange(40, 60),
        num_classes=3,
        weights=weights,
        seed=1,
        epochs=1,
        device="cpu",
        threads=1,
    )
    return made


def write_export(folder: Path, name: str, params: dict[str, Any], trainer: Trainer) -> None:
    """The two files beside a card, for a model of 3 classes on images of 16 pixels."""
    kept = {
        **dict.fromkeys(("trial_id", "seed", "epoch", "train_images", "weights_sha256")),
        "family": name,
        "params": params,
        "classes": ["a", "b", "c"],
    }
    row = {"parameters": 1, **{f"test_{metric}": 0.5 for metric in results.METRICS}}
    study = record({"name": "made up", "dataset": {"image_shape": [16, 16, 3]}})
    (folder / "config.json").write_text(json.dumps(configuration(study, kept, row)))
    (folder / "model.safetensors").write_bytes(trainer.weights())
