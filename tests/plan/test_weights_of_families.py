"""Weights that each family has of its own: found, tried in its network, and told all at once."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from orchestrator import study
from trainables.registry import load_family

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


def test_weights_for_a_family_without_any_are_refused(
    tmp_path: Path, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, f"cnn={files[NETWORKS[0]]}", "cnn,timm/test_resnet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "of the study, timm.test_resnet, but are for cnn" in line
