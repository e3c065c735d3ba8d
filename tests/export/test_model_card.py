"""What the card of a winner says, and the configuration beside it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from in_process import Driver
from read_export import code_blocks

from orchestrator.export import __main__ as export
from orchestrator.results import files
from trainables import registry


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
    study = files.read_study(cnn_study).raw
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
    assert not files.read_study(cnn_study).raw["choice"]["cnn"]["baseline_won"]
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
    study = {**files.read_study(curve_driver.folder).raw, "demo": ["This is the demo."]}
    (curve_driver.folder / "study.json").write_text(json.dumps(study))
    assert export.main([str(curve_driver.folder)]) == 0
    card = (curve_driver.folder / "export" / "curve" / "README.md").read_text(encoding="utf-8")
    assert "> **This is the demo.**" in card
