"""F12: a study is resumed as it was begun; anything else is refused with the difference."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from in_process import NO_FAULTS, Driver
from made_up_inputs import add_family, image_folder, weights_file
from made_up_record import record
from PIL import Image

from orchestrator import study
from orchestrator.config.settings import Settings, to_json
from orchestrator.config.sources import resolve
from orchestrator.plan import resume as resuming
from orchestrator.plan.preflight import CheckedStudy
from orchestrator.results import files
from orchestrator.results.lock import LOCK
from orchestrator.run import opening

SETTINGS = {
    **dict.fromkeys(("trials", "epochs", "seeds"), 3),
    "grace_period": 1,
    "families": "curve,pretrained",
    "train_fractions": "0.5,1.0",
    "dataset": "folder",
    "validation_images": 10,
    "train_images": 20,
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that was begun, its images, its weights, and its second family."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        add_family(folder / "families", patch, "pretrained", pretrained=True)
        inputs = {
            "data_dir": str(image_folder(folder / "images")),
            "weights": str(weights_file(folder / "weights.safetensors")),
        }
        driver = Driver(folder / "results", patch, {**SETTINGS, **inputs})
        driver.assignments = (*NO_FAULTS, "space.pretrained.fault=none")
        assert driver.start()
    return folder


@pytest.fixture
def folder(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, copied, in which commands run."""
    add_family(begun / "families", monkeypatch, "pretrained", pretrained=True)
    shutil.copytree(begun, tmp_path / "copy")
    path = tmp_path / "copy" / "results" / "mine" / "study.json"
    path.write_text(path.read_text().replace(str(begun), str(tmp_path / "copy")))
    with contextlib.chdir(tmp_path / "copy"):
        yield tmp_path / "copy"


def hashes(folder: Path) -> dict[str, str]:
    """The hash of each file but the lock, which remains."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


@dataclass
class Command:
    """The study command in a folder; what would have run is noted, and Ray never started."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    runs: list[CheckedStudy] = field(default_factory=list)

    def refused(self, *arguments: str) -> str:
        """The one line that it answers, before anything is written or started."""
        before = hashes(self.folder)
        assert study.main(arguments) == 2
        assert self.runs == []
        assert hashes(self.folder) == before
        error = self.capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    def accepted(self, *arguments: str) -> CheckedStudy:
        """The study that would have run; not even that is written before."""
        before = hashes(self.folder)
        assert study.main(arguments) == 0
        assert hashes(self.folder) == before
        return self.runs.pop()


@pytest.fixture
def command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    made = Command(folder, capsys)

    @contextlib.contextmanager
    def open_study(checked: CheckedStudy, *_: object) -> Iterator[None]:
        made.runs.append(checked)
        yield

    monkeypatch.setattr(opening, "open_study", open_study)
    monkeypatch.setattr(study, "run", lambda _: True)
    return made


@pytest.mark.parametrize(
    ("arguments", "rule", "difference"),
    [
        (
            "--set space.curve.skill=0.2..0.9",
            "space.curve.skill must stay",
            "0.1..1 and is 0.2..0.9",
        ),
        (
            "--set space.curve.fault=none,nan",
            "space.curve.fault must stay",
            "none and is none, nan",
        ),
        ("--set baseline.curve.skill=0.7", "baseline.curve.skill must stay", "0.5 and is 0.7"),
        ("--families curve", "families must stay", "curve,pretrained and is curve"),
        (
            "--families pretrained,curve",
            "families must stay",
            "curve,pretrained and is pretrained,curve",
        ),
        ("--dataset digits", "dataset must stay", "folder and is digits"),
        ("--set image_size=64", "image_size must stay", "32 and is 64"),
        ("--precision bf16", "precision must stay", "fp32 and is bf16"),
        ("--set reproducible=true", "reproducible must stay", "False and is True"),
        ("--seed 4", "seed must stay", "3 and is 4"),
        ("--set validation_images=12", "validation_images must stay", "10 and is 12"),
        ("--set train_images=none", "train_images must stay", "20 and is None"),
        ("--epochs 4", "epochs must stay", "3 and is 4"),
        ("--grace-period 2", "grace_period must stay", "1 and is 2"),
        ("--reduction-factor 2", "reduction_factor must stay", "3 and is 2"),
        ("--preset demo", "preset must stay", "standard and is demo"),
        ("--trials 2", "trials must not shrink", "3 and is 2"),
        ("--seeds 1", "seeds must not shrink", "3 and is 1"),
        ("--train-fractions 1.0", "train_fractions must keep all", "0.5,1 and is 1"),
        ("--train-fractions 0.25,0.5", "train_fractions must keep all", "0.5,1 and is 0.25,0.5"),
        ("--set name=other", "name must stay", "mine and is other"),
        ("--set warm_start=/results/other", "warm_start must stay", "None and is /results/other"),
    ],
)
def test_f12_another_setting_is_refused_with_the_difference(
    arguments: str, rule: str, difference: str, command: Command
) -> None:
    error = command.refused("--resume", "mine", *arguments.split())
    assert error.startswith(f"study: {rule} ")
    assert f" when a study is resumed, but was {difference}; " in error


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("--grace-period 2", "start a new study; with --warm-start it learns from this one"),
        ("--epochs 4", "start a new study"),
        ("--trials 2", "give 3 or more"),
        ("--set name=other", "leave it out"),
    ],
)
def test_f12_it_says_what_to_do(arguments: str, advice: str, command: Command) -> None:
    error = command.refused("--resume", "mine", *arguments.split())
    assert error.partition("; ")[2] == f"{advice}\n"


def test_f12_all_settings_that_must_stay_are_named_at_once(command: Command) -> None:
    flags = "--epochs 4 --seed 4 --grace-period 2 --trials 2"
    error = command.refused("--resume", "mine", *flags.split())
    assert error.startswith("study: trials must not shrink when a study is resumed, but was 3 and ")
    for rule in ("epochs", "grace_period", "seed"):
        assert f"; {rule} must stay, but was " in error
    assert error.endswith("; give 3 or more; start a new study\n")


def older(folder: Path, *, gpus: float) -> None:
    """Has the study be one from before there was a precision, on so many GPUs a trial."""
    path = folder / "results" / "mine" / "study.json"
    content = json.loads(path.read_text())
    for name in ("precision", "reproducible"):
        del content["settings"][name]
    content["cluster"]["gpus_per_trial"] = gpus
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(("gpus", "was"), [(0, "fp32"), (0.5, "tf32")])
def test_f12_a_study_older_than_precision_goes_on_with_its_devices(
    gpus: float, was: str, folder: Path, command: Command
) -> None:
    older(folder, gpus=gpus)
    assert command.accepted("--resume", "mine").settings.precision == was
    error = command.refused("--resume", "mine", "--precision", "bf16")
    assert f"precision must stay when a study is resumed, but was {was} and is bf16" in error


def test_f12_another_data_file_is_refused_with_both_hashes(folder: Path, command: Command) -> None:
    image = folder / "images" / "test" / "dark" / "01.png"
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    Image.new("RGB", (8, 8), "red").save(image)
    error = command.refused("--resume", "mine")
    assert "SHA-256 of the data file test/dark/01.png must stay when a study is resumed" in error
    assert f"but was {before} and is {hashlib.sha256(image.read_bytes()).hexdigest()}" in error


@pytest.mark.parametrize("change", ["gone", "new"])
def test_f12_a_data_file_too_few_or_too_many_is_refused(
    change: str, folder: Path, command: Command
) -> None:
    images = folder / "images" / "train" / "dark"
    if change == "gone":
        (images / "19.png").unlink()
    else:
        shutil.copyfile(images / "19.png", images / "20.png")
    error = command.refused("--resume", "mine")
    number, difference = ("19", "and is missing") if change == "gone" else ("20", "was missing and")
    assert f"SHA-256 of the data file train/dark/{number}.png must stay" in error
    assert difference in error


def test_f12_data_that_were_moved_are_asked_for_by_their_flag(
    folder: Path, command: Command
) -> None:
    moved = (folder / "images").rename(folder / "photographs")
    error = command.refused("--resume", "mine")
    assert f"{folder / 'images'} is not; say where it is now with --data-dir" in error
    command.accepted("--resume", "mine", "--data-dir", str(moved))


def test_f12_other_weights_are_refused_with_both_hashes_and_the_same_elsewhere_are_not(
    folder: Path, command: Command
) -> None:
    before = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    other = weights_file(folder / "other.safetensors", 1.0)
    arguments = ["--resume", "mine", "--weights", str(other)]
    error = command.refused(*arguments)
    now = hashlib.sha256(other.read_bytes()).hexdigest()
    assert "SHA-256 of the weights must stay when a study is resumed" in error
    assert f"but was {before} and is {now}; give the same file to --weights" in error
    shutil.copyfile(folder / "weights.safetensors", other)
    assert command.accepted(*arguments).name == "mine"


def test_f12_another_split_or_class_is_refused(folder: Path, command: Command) -> None:
    path = folder / "results" / "mine" / "study.json"
    content = json.loads(path.read_text())
    content["dataset"]["split_sha256"] = "of another split"
    path.write_text(json.dumps(content))
    error = command.refused("--resume", "mine")
    assert "SHA-256 of the split must stay when a study is resumed, but was of another" in error
    content["dataset"]["classes"] = ["dark", "bright"]
    path.write_text(json.dumps(content))
    error = command.refused("--resume", "mine")
    assert "the classes must stay when a study is resumed, but was ['dark', 'bright']" in error


def test_f12_other_code_is_refused_unless_it_is_accepted(
    folder: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "hash_code", lambda *_: "of other code")
    error = command.refused("--resume", "mine")
    before = files.read_study(folder / "results" / "mine").raw["code_sha256"]
    assert "with --accept-code-change, but SHA-256 of the code was " in error
    assert before in error
    assert "and is of other code" in error
    assert command.accepted("--resume", "mine", "--accept-code-change").resumed is not None


@pytest.mark.usefixtures("curve_family")
def test_f12_code_that_was_accepted_is_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, {"trials": 1, "epochs": 1, "grace_period": 1})
    assert driver.start()
    path = driver.folder / "study.json"
    now = files.read_study(driver.folder).raw["code_sha256"]
    path.write_text(path.read_text().replace(now, "of earlier code"))
    assert driver.resume(accept=True)
    events = files.read_table(driver.folder, "events").to_pylist()
    changed = [row["detail"] for row in events if row["kind"] == "code_changed"]
    assert changed == [f"of earlier code -> {now}"]
    runs = files.read_study(driver.folder).raw["runs"]
    assert [run["code_sha256"] for run in runs] == ["of earlier code", now]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--max-concurrent 2 --cpus-per-trial 1 --address local",
        "--set max_attempts=5 --gpus-per-trial 0.5",
        "--results-dir results --name mine",
        "--data-dir images/../images",
        "--families curve,pretrained --epochs 3 --seed 3 --precision fp32",
        "--trials 5 --seeds 4 --train-fractions 0.25,0.5,1.0",
    ],
)
def test_f12_where_it_runs_may_differ_and_more_may_be_asked_for(
    arguments: str, command: Command
) -> None:
    assert command.accepted("--resume", "mine", *arguments.split()).name == "mine"


def test_f12_a_study_that_was_begun_with_relative_paths_goes_on_from_another_folder(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = "--families pretrained --dataset folder --data-dir ./images --weights weights.safet"
    begun = command.accepted(*f"{arguments}ensors --name other".split())
    stored = to_json(begun.settings)
    path = command.folder / "results" / "mine" / "study.json"
    content = json.loads(path.read_text())
    for name in ("data_dir", "weights"):
        content["settings"][name] = stored[name]
    path.write_text(json.dumps(content))
    monkeypatch.chdir("/")
    assert command.accepted("--resume", "mine", "--results-dir", str(command.folder / "results"))


def test_f12_a_warm_start_that_an_earlier_version_kept_as_it_was_said_is_the_same(
    folder: Path,
) -> None:
    sizes = {name: getattr(Settings, name) for name in ("dataset", "trials", "epochs", "seeds")}
    study = record({"name": "mine"}, warm_start="results/other", **sizes)
    given = resolve(
        {
            "warm_start": "results/other",
            "preset": "standard",
            "precision": "fp32",
            "image_size": 32,
        },
        config=None,
        assignments=["sampler=multivariate_tpe"],
    )
    resuming.check_settings(study, given)
    with pytest.raises(ValueError, match="warm_start must stay"):
        resuming.check_settings(study, replace(given, warm_start=str(folder / "elsewhere")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--resume results/mine",
            "not a path, but got 'results/mine'; to resume it: --resume mine",
        ),
        ("--resume mine/", "not a path, but got 'mine/'; to resume it: --resume mine\n"),
        ("--resume ..", "--resume must be the name of a study, not a path, but got '..'\n"),
        ("--resume=", "--resume must be the name of a study, not a path, but got ''\n"),
        (
            "--resume mine --warm-start x",
            "must go with a new study, but got 'x' with --resume mine",
        ),
        (
            "--resume mine --name other",
            "--name must be left out with --resume, or be the same, but",
        ),
        ("--accept-code-change", "must go with --resume NAME, but that is missing"),
        ("--resume yours", "results, but got 'yours'; choose from mine\n"),
        ("--resume mine --results-dir x", "/x, but got 'mine'; there is none; is it another --res"),
        (
            "--resume empty",
            "has no study.json: it may have been killed before that; start it with "
            "--name empty without --resume\n",
        ),
        (
            "--resume headless",
            "has no study.json, though trials.parquet: its settings, spaces and hashes are nowhere "
            "else, so restore it from a copy",
        ),
    ],
)
def test_f12_what_is_no_study_to_resume_is_one_line_that_says_what_to_do(
    arguments: str, message: str, command: Command
) -> None:
    (command.folder / "results" / "empty").mkdir()
    (command.folder / "results" / "headless" / "trials.parquet").mkdir(parents=True)
    assert message in command.refused(*arguments.split())
