"""The command: data and weights are looked for before anything is started; plans are printed."""

from pathlib import Path

import pytest
from made_up_inputs import image_folder
from rich.console import Console

from orchestrator import study
from orchestrator.config.sources import resolve
from orchestrator.plan import families as planning
from orchestrator.plan import summary

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ["--dataset", "digits", "--families", "cnn"]


def run(arguments: list[str], results: Path) -> int:
    return study.main([*arguments, "--results-dir", str(results), "--name", "mine"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--weights", "no/such.pth"],
            "weights must be imagenet, imagenet_v2, or a file that exists, but",
        ),
        (["--dataset", "folder", "--families", "cnn"], "--data-dir"),
        (["--dataset", "folder", "--data-dir", "{empty}", "--families", "cnn"], "{empty}"),
        (["--dataset", "cifar10", "--data-dir", "{empty}", "--families", "cnn"], "{empty}"),
    ],
)
def test_f15_missing_data_or_weights_are_one_line_and_exit_2_and_nothing_is_written(
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


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*DIGITS, "--trials", "4", "--dry-run"], tmp_path / "results") == 0
    printed = capsys.readouterr().out
    assert "cnn: How far does a small convolutional network get" in printed
    assert "Search: 4 trials, 65 to 200 epochs of 1,294 images" in " ".join(printed.split())
    assert "learning_rate" in printed
    assert not (tmp_path / "results").exists()


def test_the_demo_says_so_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--preset", "demo", "--dry-run"], tmp_path) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("This is the demo: it shows what a study does")
    assert "The baseline deviates: input_size is 32, the standard is 48." in printed


@pytest.mark.parametrize(
    ("more", "said", "not_said"),
    [
        (
            [],
            "Size: 1,200 training images, 2 trials a family, 2 epochs and 1 seed stand in for "
            "45,000 images, 32 trials, 50 epochs and 3 seeds.",
            "nothing",
        ),
        (
            ["--trials", "1", "--epochs", "3", "--seeds", "2", "--set", "train_images=240"],
            "Size: 240 training images, 1 trial a family, 3 epochs and 2 seeds stand in for",
            "1,200",
        ),
        (["--families", "cnn"], "digits, enlarged", "ResNet50 pre-trained"),
        (
            ["--families", "cnn", "--dataset", "folder", "--data-dir", "{images}"],
            "Size: 36 training images",
            "digits",
        ),
    ],
)
def test_the_demo_says_its_own_sizes_and_what_it_uses(
    more: list[str],
    said: str,
    not_said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = str(image_folder(tmp_path / "images"))
    more = [images if text == "{images}" else text for text in more]
    smaller = ["--set", "validation_images=4"] if images in more else []
    arguments = ["--preset", "demo", "--dry-run", *more, *smaller]
    assert run(arguments, tmp_path / "results") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert not_said not in printed


def test_the_plan_warns_of_a_baseline_outside_its_narrowed_space() -> None:
    settings = resolve(
        {"families": "cnn"}, config=None, assignments=["space.cnn.learning_rate=1e-3..1e-2"]
    )
    console = Console(record=True, width=200, quiet=False)
    summary.print_plan(console, planning.plan_families(settings), settings, train_images=9)
    assert "lies outside the narrowed space in learning_rate" in console.export_text()


def test_a_fourth_family_is_one_file_of_about_twenty_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(ROOT / "examples" / "families"))
    assert (
        run(["--dataset", "digits", "--families", "resnet18_scratch", "--dry-run"], tmp_path) == 0
    )
    assert "resnet18_scratch: Is a ResNet18 enough" in " ".join(capsys.readouterr().out.split())
