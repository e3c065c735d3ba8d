"""Weights that each family has of its own: found, tried in its network, and told all at once."""

import re
from pathlib import Path

import pytest
from safetensors.torch import save_file

from orchestrator import study
from trainables.registry import load_family
from trainables.weights.names import by_family

NETWORKS = ("timm/test_resnet", "torchvision/shufflenet_v2_x0_5")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A file of the right weights for each network."""
    found = {}
    for name in NETWORKS:
        family = load_family(name)
        made = family.standalone[0]({**family.fixed, "num_classes": 7, "input_size": 48})
        found[name] = tmp_path / f"{family.name}.safetensors"
        save_file({key: each.contiguous() for key, each in made.state_dict().items()}, found[name])
    return found


def plan(folder: Path, weights: str, families: str = ",".join(NETWORKS)) -> int:
    return study.main(
        [
            *("--families", families, "--dataset", "digits", "--dry-run", "--epochs", "1"),
            *("--results-dir", str(folder / "results"), "--weights", weights),
        ]
    )


def test_each_family_is_planned_with_its_own(
    tmp_path: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    named = ",".join(f"{name}={file}" for name, file in files.items())
    assert plan(tmp_path, named) == 0
    assert "timm.test_resnet" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_files_of_other_networks_are_one_answer(
    tmp_path: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = NETWORKS
    assert plan(tmp_path, f"{one}={files[other]},{other}={files[one]}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    for name, file in ((one, files[other]), (other, files[one])):
        assert f"{file} does not fit {load_family(name).name}: " in line


OF_ONE_SIZE = """from optuna.distributions import CategoricalDistribution
from search_spaces.baseline import BASELINE
from search_spaces.dimension import Dimension
from search_spaces.spaces import from_scratch
from trainables.family import Family

def build(config):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, config["num_classes"]))

SIZES = Dimension(values=CategoricalDistribution((32, 48)), meaning="edge in pixels")
FAMILY = Family(
    name="of_one_size",
    build=build,
    search_space={**from_scratch(), "input_size": SIZES},
    baseline={**BASELINE, "dropout": 0.5, "input_size": 32},
)
"""


def test_a_network_of_ones_own_is_tried_at_each_size_of_its_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "of_one_size.py").write_text(OF_ONE_SIZE)
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(tmp_path))
    assert plan(tmp_path, "imagenet", "of_one_size") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the network of of_one_size must take float32 images [2, 3, 48, 48], but" in line


def test_weights_for_a_family_without_any_are_refused(
    tmp_path: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, f"cnn={files[NETWORKS[0]]}", "cnn,timm/test_resnet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "of the study, timm.test_resnet, but are for cnn" in line


def test_weights_that_no_family_uses_are_said_not_to_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, "gone.safetensors", "cnn") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"Weights: no family of this study uses any, so .+ is not read", said)


@pytest.mark.parametrize("text", ["imagenet_v2", "timm/test_resnet=imagenet_v2"])
def test_a_resnet50s_weights_are_not_downloaded_for_another_network(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, text, "timm/test_resnet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the weights 'imagenet_v2' are a ResNet50's, not timm.test_resnet's" in line


def test_the_demos_weights_go_with_its_preset_for_one_family_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, "resnet50_transfer=demo", "resnet50_transfer") == 2
    assert "must go with --preset demo" in capsys.readouterr().err


def test_more_files_than_fit_into_a_path_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200) / ("y" * 200)
    named = {f"family{number}": f"{folder}/{'z' * 200}{number}.pth" for number in range(9)}
    assert by_family(",".join(f"{name}={file}" for name, file in named.items())) == named


def test_what_is_said_of_a_model_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["--set", "space.timm/test_resnt.learning_rate=1e-4"]
    arguments = ["--families", "cnn", "--dataset", "digits", "--dry-run", *said]
    assert study.main([*arguments, "--results-dir", str(tmp_path)]) == 2
    assert "unknown model timm/test_resnt; " in capsys.readouterr().err


def test_images_of_one_size_are_not_said_to_have_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--families", "cnn", "--dataset", "digits", "--dry-run", "--image-size", "64"]
    assert study.main([*arguments, "--results-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "image_size must be left out, or be 32, " in line
