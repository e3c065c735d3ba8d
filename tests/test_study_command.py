"""The command: wrong input is one line and exit code 2, before anything is started or written."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator import planning, study
from orchestrator.settings import resolve

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ["--dataset", "digits", "--families", "cnn"]


def run(arguments: list[str], results: Path) -> int:
    return study.main([*arguments, "--results-dir", str(results), "--name", "mine"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "vgg"], "unknown family 'vgg'; choose from cnn, resnet50_scratch"),
        (["--epochs", "0"], "epochs must be at least 1, but got 0"),
        (["--epochs", "3"], "grace_period must be at most epochs, but got grace_period=5"),
        (["--set", "space.cnn.learning_rate=1e-2..1e-5"], "must have low <= high"),
        (["--set", "space.cnn.depth=3"], "unknown dimension space.cnn.depth; choose from"),
        (["--set", "space.vgg.width=16"], "unknown family 'vgg'"),
        (["--dataset", "mnist"], "unknown data set 'mnist'; choose from"),
        (["--weights", "no/such.pth"], "the weights file must exist, but"),
        (["--dataset", "folder", "--families", "cnn"], "--data-dir"),
        (["--dataset", "folder", "--data-dir", "{empty}", "--families", "cnn"], "{empty}"),
        (["--dataset", "cifar10", "--data-dir", "{empty}", "--families", "cnn"], "{empty}"),
        ([*DIGITS, "--set", "train_images=99999"], "train_images"),
        ([*DIGITS, "--set", "validation_images=99999"], "validation_images"),
        (["--config", "no/such.yaml"], "--config must be a readable YAML file"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2_and_nothing_is_written(
    arguments: list[str],
    message: str,
    awkward_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [text.replace("{empty}", str(awkward_path)) for text in arguments]
    assert run(filled, tmp_path / "results") == 2
    error = capsys.readouterr().err
    assert message.replace("{empty}", str(awkward_path)) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_a_name_that_is_taken_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.json").write_text("{}")
    assert run([*DIGITS], tmp_path) == 2
    assert "holds a study already" in capsys.readouterr().err


def test_wrong_names_are_answered_before_torch_ray_or_pandas_is_imported() -> None:
    program = (
        "import sys\n"
        "from orchestrator.study import main\n"
        "assert main(['--families', 'vgg']) == 2\n"
        "print([m for m in ('torch', 'torchvision', 'ray', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*DIGITS, "--trials", "4", "--dry-run"], tmp_path / "results") == 0
    printed = capsys.readouterr().out
    assert "cnn: How far does a small convolutional network get" in printed
    assert "Search: 4 trials, 65 to 200 epochs of 1294 images" in " ".join(printed.split())
    assert "learning_rate" in printed
    assert not (tmp_path / "results").exists()


def test_the_demo_says_so_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--preset", "demo", "--dry-run"], tmp_path) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("This is the demo: it shows what a study does")
    assert "The baseline deviates: input_size is 32, the standard is 48." in printed


def test_the_plan_warns_of_a_baseline_outside_its_narrowed_space() -> None:
    settings = resolve(
        {"families": "cnn"}, config=None, assignments=["space.cnn.learning_rate=1e-3..1e-2"]
    )
    console = Console(record=True, width=200, quiet=False)
    planning.print_plan(console, planning.plan_families(settings), settings, train_images=9)
    assert "lies outside the narrowed space in learning_rate" in console.export_text()


def test_a_fourth_family_is_one_file_of_about_twenty_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(ROOT / "examples" / "families"))
    assert (
        run(["--dataset", "digits", "--families", "resnet18_scratch", "--dry-run"], tmp_path) == 0
    )
    assert "resnet18_scratch: Is a ResNet18 enough" in " ".join(capsys.readouterr().out.split())
