"""What frozen networks know before a search: asked, printed, kept, and shown beside the search."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_up_inputs import image_folder
from made_up_record import record
from safetensors.torch import save_file
from sklearn.neighbors import KNeighborsClassifier

from orchestrator import study
from orchestrator.analysis.selection import probe_sections
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.training.probe import probe

NAME = "timm/test_resnet"


def weights_of(name: str) -> dict[str, torch.Tensor]:
    family = load_family(name)
    torch.manual_seed(0)
    given = {**family.fixed, "num_classes": 5, "input_size": 32}
    state: dict[str, torch.Tensor] = family.standalone[0](given).state_dict()
    return state


def test_what_a_probe_finds_is_what_other_code_finds_of_the_same_features(
    made_up_images: LabeledImages,
) -> None:
    family = load_family(NAME)
    weights = {name: each.numpy() for name, each in weights_of(NAME).items()}
    train, validation = np.arange(30), np.arange(30, 60)
    params = {**family.baseline, "input_size": None}
    found = probe(
        family, params, made_up_images, train=train, validation=validation, num_classes=3,
        weights=weights, device="cpu",
    )  # fmt: skip
    network = family.build(
        {**params, "input_size": 32, "num_classes": 3, "weights": weights, "dropout": 0.0}
    ).eval()
    with torch.no_grad():
        images = torch.from_numpy(made_up_images.images).permute(0, 3, 1, 2) / 255
        features = network.global_pool(network.forward_features(images)).numpy()
    nearest = KNeighborsClassifier(10, metric="cosine")
    nearest.fit(features[train], made_up_images.labels[train])
    known = nearest.score(features[validation], made_up_images.labels[validation])
    assert found["knn_accuracy"] == pytest.approx(known, abs=1 / 30)
    assert 0 <= found["linear_accuracy"] <= 1
    assert found["seconds"] > 0


def test_a_plan_says_what_each_pretrained_network_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file({name: each.contiguous() for name, each in weights_of(NAME).items()}, weights)
    data = image_folder(tmp_path / "images")
    arguments = [
        *("--families", f"cnn,{NAME}", "--weights", str(weights), "--dataset", "folder"),
        *("--data-dir", str(data), "--results-dir", str(tmp_path / "results")),
        *("--image-size", "32", "--set", "validation_images=8", "--dry-run", "--probe"),
    ]
    assert study.main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Probe: frozen, ") == 1
    assert "Probe: frozen, timm.test_resnet is right on " in said
    assert "of 8 validation images" in said
    assert study.main([*arguments, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["probe"]
    assert found["family"] == "timm.test_resnet"
    assert (found["train_images"], found["validation_images"]) == (32, 8)
    assert f"{found['linear_accuracy']:.1%} of 8" in said


def test_a_report_has_the_probe_beside_what_the_search_found() -> None:
    probed = {
        "family": "a",
        "linear_accuracy": 0.5,
        "knn_accuracy": 0.25,
        "seconds": 1.0,
        "train_images": 1000,
        "validation_images": 500,
    }
    trials = pd.DataFrame(
        [
            {"family": "a", "validation_accuracy": 0.625},
            {"family": "a", "validation_accuracy": 0.75},
            {"family": "b", "validation_accuracy": None},
        ]
    )
    (section,) = probe_sections(record({"probe": [probed]}), trials)
    assert section.cells() == [("a", "50.00%", "25.00%", "75.00%")]
    assert list(probe_sections(record(), trials)) == []
