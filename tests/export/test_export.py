"""What is exported can be used without this project and says what the study says."""

import ast
import json
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
import yaml
from in_process import Driver
from made_up_inputs import FAMILIES
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from PIL import Image
from tampering import alter

from orchestrator.compare.within_study import write_comparison
from orchestrator.export import __main__ as export
from orchestrator.export.card_code import code_of
from orchestrator.export.winners import configuration
from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.run import search_phase
from orchestrator.run.session import Session
from trainables import registry
from trainables.data.dataset import LabeledImages
from trainables.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "trainables", "search_spaces")
TEST_IMAGES = 100
SMALL = {"trials": 2, "epochs": 2, "grace_period": 2, "seeds": 2}
# Enough that the winner has learned something: a constant classifier would prove little.
CNN = {**SMALL, "families": "cnn", "train_images": 400, "validation_images": 40}
FAST = (
    *("space.cnn.width=16", "space.cnn.batch_size=32", "space.cnn.learning_rate=1e-3..2e-3"),
    *("space.cnn.optimizer=adam", "baseline.cnn.width=16"),
)
# Trials that are completed, stopped, diverged and failed; the baseline falls under a cut-off.
ALL_STATES = {"trials": 10, "epochs": 4, "grace_period": 1, "reduction_factor": 2, "seed": 5}
OTHER_THAN_BASELINE = {
    "resnet50_scratch": {"stem": "small"},
    "resnet50_transfer": {"normalization": "imagenet", "input_size": 64},
}
FAILING = '''
"""Does a family without a winner keep the others from being exported?"""
import dataclasses
from trainables.families import curve
FAMILY = dataclasses.replace(curve.FAMILY, name="failing")
'''
# Without site, nothing puts a checkout on the path; the packages that the card needs are added.
ALONE = f"""
import importlib.util, sys
sys.path.append({sysconfig.get_path("purelib")!r})
assert not any(map(importlib.util.find_spec, {PACKAGES})), sys.path
"""
PREDICT = """
np.save("predictions.npy", predict(np.load("images.npy")))
"""


@pytest.fixture(scope="module")
def cnn_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished study of the real network on 100 digits, of two seeds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        driver = Driver(
            tmp_path_factory.mktemp("results"),
            monkeypatch,
            CNN,
            assignments=FAST,
        )
        assert driver.start()
    write_comparison(driver.folder, None)
    return driver.folder


@pytest.fixture(scope="module")
def exported(cnn_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The winner's folder."""
    output = tmp_path_factory.mktemp("exported")
    assert export.main([str(cnn_study), "--output", str(output)]) == 0
    return output / "cnn"


@pytest.fixture
def curve_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    return Driver(tmp_path / "results", monkeypatch, SMALL)


def digits(images: int) -> np.ndarray:
    """The first test images, uint8 [images, 32, 32, 3]."""
    return registry.load_dataset("digits").open(None, 32).read_test().images[:images]


def code_blocks(card: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)


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
    kinds: dict[str, tuple[Callable[[], Image.Image], dict[str, Any]]] = {
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
    assert "- Images are scaled and cropped to 16x16 pixels." in card
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
    np.testing.assert_array_equal(predicted, trainer.evaluate(made_up_images).probabilities)


def new_trainer(family: Any, params: dict[str, Any], data: LabeledImages) -> Trainer:
    """A network of random weights; the pre-trained family's come from the same builder."""
    weights = None
    if family.pretrained:
        state = family.standalone[-1]({**params, "num_classes": 3}).state_dict()
        weights = {key: tensor.numpy() for key, tensor in state.items()}
    return Trainer(
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


def write_export(folder: Path, name: str, params: dict[str, Any], trainer: Trainer) -> None:
    """The two files beside a card, for a model of 3 classes on images of 16 pixels."""
    record = {
        **dict.fromkeys(("trial_id", "seed", "epoch", "train_images", "weights_sha256")),
        "family": name,
        "params": params,
        "classes": ["a", "b", "c"],
    }
    row = {"parameters": 1, **{f"test_{metric}": 0.5 for metric in results.METRICS}}
    study = {"name": "made up", "dataset": {"image_shape": [16, 16, 3]}}
    (folder / "config.json").write_text(json.dumps(configuration(study, record, row)))
    (folder / "model.safetensors").write_bytes(trainer.weights())


def test_the_card_opens_with_what_the_hub_reads(exported: Path) -> None:
    _, matter, text = (exported / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(matter) == {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "cnn", "hyperparameter-study"],
        "datasets": ["digits"],
        "metrics": ["accuracy", "precision", "recall"],
    }
    assert text.startswith("\n# cnn on digits\n")


def test_the_card_has_the_test_metrics_with_their_n_and_what_they_rest_on(
    cnn_study: Path, exported: Path
) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    config = json.loads((exported / "config.json").read_text())
    final = pd.read_parquet(cnn_study / "final.parquet")
    tuned = final[final.role == "tuned"]
    own = tuned[tuned.seed == config["seed"]].iloc[0]
    mean, deviation = tuned.test_accuracy.mean(), tuned.test_accuracy.std()
    assert "On 360 test images" in card
    assert f"| accuracy | {own.test_accuracy:.4f} | {mean:.4f} | {deviation:.4f} |" in card
    assert "On the 40 validation images" in card
    study = files.read_study(cnn_study)
    for sha256 in (
        study["dataset"]["split_sha256"],
        study["code_sha256"],
        files.read_table(cnn_study, "final").schema.metadata[b"data_sha256"].decode(),
        config["weights_sha256"],
    ):
        assert f"| {sha256} |" in card
    for name, value in config["params"].items():
        assert f"| {name} | {value} |" in card
    assert "Data, digits: not stated by its source: scikit-learn's description of it" in card


def test_the_card_has_the_intervals_of_the_comparison_turned_to_its_model(
    cnn_study: Path, exported: Path
) -> None:
    assert not files.read_study(cnn_study)["choice"]["cnn"]["baseline_won"]
    pairs = pd.read_parquet(cnn_study / "comparison.parquet")
    (row,) = pairs[pairs.seed.isna() & (pairs.metric == "accuracy")].to_dict("records")
    assert (row["a_role"], row["b_role"]) == ("baseline", "tuned")
    low, high = (0 - row[name] for name in ("ci_high", "ci_low"))
    line = f"| cnn baseline | accuracy | {0 - row['difference']:+.4f} | {low:+.4f} to {high:+.4f} |"
    assert f"{line} 360 | 2 |" in (exported / "README.md").read_text(encoding="utf-8")


def test_the_configuration_says_what_the_network_is_and_what_it_is_given(
    cnn_study: Path, exported: Path
) -> None:
    config = json.loads((exported / "config.json").read_text())
    kept = json.loads((cnn_study / "winners" / "cnn" / "config.json").read_text())
    assert config["architecture"] == "cnn"
    assert config["params"] == kept["params"]
    assert config["classes"] == list("0123456789")
    assert (config["input_size"], config["image_shape"]) == (32, [32, 32, 3])
    assert config["normalization"]["standard_deviation"] == [1.0, 1.0, 1.0]
    state = torch.nn.Module.state_dict(registry.load_family("cnn").build(build_config(config)))
    sizes = [t.numel() for n, t in state.items() if "running" not in n and "num_" not in n]
    assert config["parameters"] == config["trained_parameters"] == sum(sizes)
    assert config["forward_flops_per_image"] > config["parameters"]


def build_config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config["params"], "num_classes": config["num_classes"], "input_size": 32}


def test_a_family_without_code_of_its_own_is_exported_with_a_note(
    curve_driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    assert export.main([str(curve_driver.folder)]) == 0
    folder = curve_driver.folder / "export" / "curve"
    assert f"winner: {folder}\n" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    kept = curve_driver.folder / "winners" / "curve" / "model.safetensors"
    assert (folder / "model.safetensors").read_bytes() == kept.read_bytes()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "can only be made by the project that trained it" in card
    assert code_blocks(card) == []


def test_the_card_of_a_demo_says_so(curve_driver: Driver) -> None:
    assert curve_driver.start()
    study = {**files.read_study(curve_driver.folder), "demo": ["This is the demo."]}
    (curve_driver.folder / "study.json").write_text(json.dumps(study))
    assert export.main([str(curve_driver.folder)]) == 0
    card = (curve_driver.folder / "export" / "curve" / "README.md").read_text(encoding="utf-8")
    assert "> **This is the demo.**" in card


def test_a_family_without_a_winner_is_named_and_the_others_are_exported(
    curve_driver: Driver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    families = tmp_path / "families"
    families.mkdir()
    (families / "failing.py").write_text(FAILING)
    monkeypatch.setenv("STUDY_FAMILY_PATH", os.pathsep.join([str(FAMILIES), str(families)]))
    curve_driver.settings = {**SMALL, "families": "curve,failing"}
    curve_driver.assignments += ("space.failing.fault=error", "baseline.failing.fault=error")
    assert curve_driver.start() is False
    assert export.main([str(curve_driver.folder)]) == 0
    printed = capsys.readouterr().out
    assert "failing: no winner, for none of its trials came to an end\n" in printed
    assert [path.name for path in (curve_driver.folder / "export").iterdir()] == ["curve"]


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that wrong input is answered with."""
    assert export.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_study_without_any_winner_is_refused_and_nothing_is_written(
    curve_driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    shutil.rmtree(curve_driver.folder / "winners")
    error = answer([str(curve_driver.folder)], capsys)
    assert "curve: no weights of its winner curve-00" in error
    assert not (curve_driver.folder / "export").exists()


def test_what_is_there_is_not_replaced_unless_asked(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    journal = tmp_path / "journal.log"
    journal.write_text("mine")
    arguments = [str(curve_driver.folder), "--optuna", str(journal)]
    assert f"{journal} is there" in answer(arguments, capsys)
    assert journal.read_text() == "mine"
    assert not (curve_driver.folder / "export").exists(), "half of it was exported"
    assert export.main([*arguments, "--overwrite"]) == 0
    assert len(opened(journal, "curve").trials) == 2
    assert export.main([*arguments, "--overwrite"]) == 0
    assert len(opened(journal, "curve").trials) == 2


def test_weights_that_are_not_those_that_were_kept_are_refused(
    curve_driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    kept = curve_driver.folder / "winners" / "curve"
    (kept / "model.safetensors").write_bytes(b"others")
    recorded = json.loads((kept / "config.json").read_text())["weights_sha256"]
    assert f"must have SHA-256 {recorded} as recorded" in answer([str(curve_driver.folder)], capsys)


def opened(journal: Path, family: str) -> optuna.Study:
    return optuna.load_study(
        study_name=family, storage=JournalStorage(JournalFileBackend(str(journal)))
    )


def in_optuna(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    values = (trial.params, trial.distributions, trial.intermediate_values)
    return (trial.number, trial.state, trial.value, *values)


def test_the_journal_has_what_the_search_told_optuna(
    curve_driver: Driver, awkward_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    restored = search_phase.restore_search

    def spied(session: Session) -> search_phase.Search:
        searches.append(restored(session))
        return searches[-1]

    monkeypatch.setattr(search_phase, "restore_search", spied)
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan,error",)
    curve_driver.start()
    trials = pd.read_parquet(curve_driver.folder / "trials.parquet")
    assert set(trials.status) == {"completed", "stopped", "diverged", "failed"}
    journal = awkward_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    study, told = opened(journal, "curve"), searches[0].searcher.studies["curve"]
    assert list(map(in_optuna, study.trials)) == list(map(in_optuna, told.trials))
    assert study.best_value == told.best_value
    assert [trial.user_attrs["trial_id"] for trial in study.trials] == trials.trial_id.tolist()
    assert [trial.user_attrs["role"] for trial in study.trials] == trials.role.tolist()
    baseline = study.trials[0]
    assert baseline.state == TrialState.PRUNED, "the test needs a baseline under a cut-off"
    assert {path.name for path in awkward_path.iterdir()} == {"journal.log"}


def test_the_journal_has_as_many_trials_in_each_state_as_the_table(
    curve_driver: Driver, tmp_path: Path
) -> None:
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan,error",)
    curve_driver.start()
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    trials = opened(journal, "curve").trials
    table = pd.read_parquet(curve_driver.folder / "trials.parquet").set_index("trial_id")
    rungs = pd.read_parquet(curve_driver.folder / "rungs.parquet")
    protected = set(rungs[rungs.decision == "protected"].trial_id)
    counts = table.status.where(~table.index.isin(protected), "stopped").value_counts()
    found = pd.Series([trial.state.name for trial in trials]).value_counts()
    assert found["COMPLETE"] == counts["completed"]
    assert found["PRUNED"] == counts["stopped"] + counts["diverged"]
    assert found["FAIL"] == counts["failed"]
    complete = table[(table.status == "completed") & ~table.index.isin(protected)]
    assert opened(journal, "curve").best_value == complete.validation_accuracy.max()
    first = table.loc["curve-000"].started_at
    assert trials[0].datetime_start.timestamp() == pytest.approx(first.timestamp(), abs=1e-3)


def test_a_baseline_outside_its_space_is_not_in_the_journal_and_named(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve_driver.assignments += ("space.curve.skill=0.6..0.9",)
    assert curve_driver.start()
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    assert "curve-000 is not in it: outside the space in skill\n" in (capsys.readouterr().out)
    (trial,) = opened(journal, "curve").trials
    assert trial.user_attrs["trial_id"] == "curve-001"


def test_each_table_as_csv_has_the_values_of_the_table(
    curve_driver: Driver, awkward_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curve_driver.settings = {**SMALL, **ALL_STATES}
    curve_driver.assignments = ("space.curve.fault=none,nan",)
    curve_driver.start()
    (curve_driver.folder / "comparison.parquet").unlink(missing_ok=True)
    assert export.main([str(curve_driver.folder), "--csv", str(awkward_path)]) == 0
    expected = set(results.TABLES) - {"comparison"}
    tables = {line for line in capsys.readouterr().out.splitlines() if line.startswith("table: ")}
    assert tables == {f"table: {awkward_path / name}.csv" for name in expected}
    assert {path.name for path in awkward_path.iterdir()} == {f"{name}.csv" for name in expected}
    for name in expected:
        stored = files.read_table(curve_driver.folder, name).to_pylist()
        read = pd.read_csv(awkward_path / f"{name}.csv", keep_default_na=False, dtype=str)
        assert len(read) == len(stored) > 0
        for text, row in zip(read.to_dict("records"), stored, strict=True):
            for column, value in row.items():
                assert is_same(text[column], value), (name, column, text[column], value)


def is_same(text: str, value: Any) -> bool:
    """Whether a text in a CSV file stands for a value."""
    if value is None:
        return text == ""
    if isinstance(value, list):
        return np.array_equal(np.array(json.loads(text), np.float32), np.array(value, np.float32))
    if isinstance(value, float):
        return math.isclose(float(text), value, rel_tol=1e-15)
    if isinstance(value, pd.Timestamp) or hasattr(value, "isoformat"):
        return pd.Timestamp(text) == pd.Timestamp(value)
    return text == str(value)


def test_a_search_that_runs_can_be_looked_at_before_it_has_a_winner(
    curve_driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve_driver.start()
    study = files.read_study(curve_driver.folder)
    del study["choice"]
    (curve_driver.folder / "study.json").write_text(json.dumps(study))
    second = {"trial_id": "curve-001"}
    alter("trials", second, status="running", ended_at=None)(curve_driver.folder, {})
    journal = tmp_path / "journal.log"
    assert export.main([str(curve_driver.folder), "--optuna", str(journal)]) == 0
    assert "curve: no winner yet, the search has not ended" in capsys.readouterr().out
    states = [trial.state for trial in opened(journal, "curve").trials]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]


def test_help_and_a_wrong_flag_answer_before_anything_large_is_imported() -> None:
    check = (
        "import sys; from orchestrator.export.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert not {'torch', 'ray', 'optuna', 'pyarrow'} & set(sys.modules)"
    )
    for arguments, code in ((["--help"], 0), (["results/mine", "--csv"], 2)):
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", check, *arguments], cwd=ROOT, capture_output=True, check=False
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
        assert time.monotonic() - started < 10


def test_exporting_needs_neither_torch_nor_ray(exported: Path, cnn_study: Path) -> None:
    check = (
        "import sys; from orchestrator.export.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert not {'torch', 'ray'} & set(sys.modules)"
    )
    output = exported.parent / "again"
    subprocess.run(
        [sys.executable, "-c", check, str(cnn_study), "--output", str(output)], cwd=ROOT, check=True
    )
    assert (output / "cnn" / "README.md").read_bytes() == (exported / "README.md").read_bytes()
