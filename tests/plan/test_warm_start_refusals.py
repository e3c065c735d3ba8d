"""A warm start from a study whose accuracies do not compare is refused with the difference."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from in_process import NO_FAULTS, Driver
from made_up_inputs import add_family, image_folder, weights_file
from PIL import Image
from tampering import drop, truncated

from orchestrator import study
from orchestrator.plan.preflight import CheckedStudy
from orchestrator.run import opening

Start = Callable[..., CheckedStudy]


@dataclass
class Command:
    """Starts a new study with a warm start from `source`, as far as its checks go."""

    source: Path
    families: Path
    inputs: Path
    capsys: pytest.CaptureFixture[str]
    started: list[CheckedStudy]

    def run(self, arguments: str) -> int:
        defaults = (
            "--families curve,pretrained --dataset folder --data-dir {inputs}/images --epochs 2 "
            "--grace-period 1 --weights {inputs}/weights.safetensors --warm-start {source} "
            "--results-dir {inputs}/results --name new "
        )
        text = (defaults + arguments).format(inputs=self.inputs, source=self.source)
        return study.main(text.split())

    def refused(self, arguments: str) -> str:
        """The one line that it answers, before anything is written or started."""
        assert self.run(arguments) == 2
        assert self.started == []
        assert not (self.inputs / "results").exists()
        printed = self.capsys.readouterr()
        assert "Search: " not in printed.out
        assert printed.err.count("\n") == 1
        return printed.err

    def accepted(self, arguments: str) -> str:
        """What it prints of the study that would have run."""
        assert self.run(arguments) == 0
        assert not (self.inputs / "results").exists()
        assert self.started.pop().warm_start is not None
        return " ".join(self.capsys.readouterr().out.split())


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study in `other/source`, its images, its weights, and its second family."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        add_family(folder / "families", patch, "pretrained", pretrained=True)
        settings = {
            **dict.fromkeys(("trials", "epochs"), 2),
            **dict.fromkeys(("grace_period", "seeds"), 1),
            "families": "curve,pretrained",
            "dataset": "folder",
            "seed": 0,
            "data_dir": str(image_folder(folder / "images")),
            "weights": str(weights_file(folder / "weights.safetensors")),
        }
        driver = Driver(folder / "other", patch, settings, name="source")
        driver.assignments = (*NO_FAULTS, "space.pretrained.fault=none")
        assert driver.start()
    return folder


@pytest.fixture
def command(
    begun: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """All of it copied."""
    inputs = shutil.copytree(begun, tmp_path / "copy")
    add_family(begun / "families", monkeypatch, "pretrained", pretrained=True)
    made = Command(inputs / "other" / "source", begun / "families", inputs, capsys, [])

    @contextlib.contextmanager
    def open_study(checked: CheckedStudy, *_: object) -> Iterator[None]:
        made.started.append(checked)
        yield

    monkeypatch.setattr(opening, "open_study", open_study)
    monkeypatch.setattr(study, "run", lambda _: True)
    return made


def test_a_study_on_the_same_data_is_learned_from_and_said_so(command: Command) -> None:
    assert "Warm start: 4 trials of source" in command.accepted("")


def test_what_is_left_out_is_said(command: Command) -> None:
    drop("epochs", trial_id="curve-001", epoch=1)(command.source, {})
    assert "Warm start: 3 trials of source; 1 others do not count here" in command.accepted("")


@pytest.mark.parametrize(
    "arguments",
    [
        "--trials 9 --grace-period 2 --reduction-factor 2 --seeds 5",
        "--families curve --weights {inputs}/none.safetensors",
        "--families pretrained",
        "--set space.curve.skill=0.4..1.0",
        "--set baseline.curve.skill=0.7",
    ],
)
def test_the_search_itself_may_be_another(arguments: str, command: Command) -> None:
    command.accepted(arguments)


def test_weights_do_not_count_for_families_that_the_other_study_has_not(
    command: Command,
) -> None:
    for number in (0, 1):
        drop("trials", trial_id=f"pretrained-00{number}")(command.source, {})
    weights_file(command.inputs / "other.safetensors", 1.0)
    assert "Warm start: 2 trials" in command.accepted("--weights {inputs}/other.safetensors")


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ("--epochs 3", "epochs is 2 in {source} and 3 here"),
        ("--seed 7", "SHA-256 of the split is "),
        ("--set validation_images=10", "SHA-256 of the split is "),
        ("--set train_images=20", "SHA-256 of the split is "),
        ("--set image_size=16", "image shape is [32, 32, 3] in {source} and [16, 16, 3] here"),
        ("--train-fractions 0.5", "train_fraction is 1.0 in {source} and 0.5 here"),
        ("--dataset digits --data-dir none", "dataset is folder in {source} and digits here"),
        ("--weights {inputs}/other.safetensors", "SHA-256 of the weights is "),
    ],
)
def test_accuracies_that_do_not_compare_are_refused(
    arguments: str, difference: str, command: Command
) -> None:
    weights_file(command.inputs / "other.safetensors", 1.0)
    error = command.refused(arguments)
    assert "must name a study whose accuracies compare with this one's, but " in error
    assert difference.format(source=command.source) in error


def test_other_data_files_are_refused(command: Command) -> None:
    image = command.inputs / "images" / "test" / "dark" / "01.png"
    Image.new("RGB", (8, 8), "red").save(image)
    assert "but SHA-256 of the data file test/dark/01.png is " in command.refused("")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--warm-start {inputs}", "must name the folder of a study, but "),
        ("--warm-start {inputs}/none", "must name the folder of a study, but "),
        ("--set space.curve.skill=0.9999..1.0 --families curve", "in these spaces, but "),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(
    arguments: str, message: str, command: Command
) -> None:
    assert message in command.refused(arguments)


def test_tables_that_cannot_be_read_are_refused(command: Command) -> None:
    truncated("epochs.parquet")(command.source, {})
    assert "--warm-start must name a study that can be read, but " in command.refused("")
    (command.source / "trials.parquet").unlink()
    assert "trials.parquet must exist in a study's folder, but " in command.refused("")
