"""Every command and example in the README and docs/ is run, or parsed where it needs a cloud."""

import contextlib
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click
import numpy as np
import pytest
from documented import (
    COMMANDS,
    PAGES,
    ROOT,
    Block,
    Command,
    as_module,
    blocks,
    check_settings,
    commands,
    filled,
    parser_of,
    shown_files,
    split,
    write_shown_files,
)
from foreign_studies import CLEAN, write_csv
from made_up_inputs import image_folder
from made_up_predictions import write_examples
from published_copies import publish

from orchestrator import study
from orchestrator.cli import DONE, INTERRUPTED
from orchestrator.config import flags
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.export.card_code import code_of
from orchestrator.results import fetched
from trainables.registry import load_dataset, load_family
from trainables.training.trainer import Trainer
from transfer_study import __main__ as console

# Only looked at, for the files that they name: most need a cloud or a network.
LOOKED_AT = frozenset(
    {
        *("git", "source", "export", "cd", "umask", "true", "ssh", "nano", "sed", "cp", "tail"),
        *("grep", "pip", "uv", "apt-get", "curl", "aws", "docker", "helm", "kubectl", "jq"),
        *(
            "transfer-study",
            "prometheus",
            "grafana",
            "optuna-dashboard",
            "scancel",
            "scontrol",
            "squeue",
        ),
    }
)
PYTHONS = ("python", ".venv/bin/python")
RUN_WHOLE = ("examples/analysis.py",)
FOUND = commands()
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHOWN = shown_files()
EXAMPLES = [
    block for block in BLOCKS if block.language == "python" and block.text not in SHOWN.values()
]


@pytest.fixture(scope="module")
def prepared(
    finished_study: Path, cnn_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """What the pages name, to be copied, and weights: studies, images, settings, shown files."""
    from safetensors.torch import save_file
    from torchvision.models import resnet50

    place = tmp_path_factory.mktemp("documented")
    for name in ("results/NAME", "results/A", "results/B", "results/first", "RESULTS"):
        shutil.copytree(finished_study, place / name)
    shutil.copytree(cnn_study, place / "results/flowers")  # whose network can predict
    publish(place / "results/NAME", f"file://{place}/copies")
    image_folder(place / "FOLDER")
    write_examples(place)
    write_csv(CLEAN["one model"](np.random.default_rng(0)), place / "trials.csv")
    (place / "asked.yaml").write_text("questions: [{a: cnn tuned, b: cnn baseline}]\n")
    shutil.copytree(place / "FOLDER", place / "photos")
    for block in BLOCKS:
        if block.language == "yaml":
            (place / "study.yaml").write_text(block.text, encoding="utf-8")
        elif block in EXAMPLES and "FOLDER/" in block.text:
            with contextlib.chdir(place):
                run_example(block)
    weights = tmp_path_factory.mktemp("weights") / "resnet50.safetensors"
    save_file(resnet50().half().state_dict(), weights)
    shown = tmp_path_factory.mktemp("shown")
    with pytest.MonkeyPatch.context() as patch:
        write_shown_files(shown, patch)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield place, weights


@pytest.fixture
def place(prepared: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to be in: a copy, so that no command finds what another has written."""
    folder = tmp_path / "place"
    shutil.copytree(prepared[0], folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(fetched, "cache_folder", lambda of: folder / "cache" / of.name)
    return folder


# Commands: the rule that a command is under says what is done with it.


def rule_of(words: Sequence[str]) -> str:
    """The rule for a command.

    Raises:
        LookupError: There is none.
    """
    rule = None
    match words:
        case [python, "-m", module, *rest] if python in PYTHONS:
            rule = rule_of_module(module, rest)
        case [python, "-c", _] if python in PYTHONS:
            rule = "code"
        case [python, script, *_] if python in PYTHONS and script.endswith(".py"):
            rule = "whole script" if script in RUN_WHOLE else "script"
        case ["make" | "ray" | "sbatch" as program, *_]:
            rule = program
        case [program, *_] if program in LOOKED_AT:
            rule = "looked at"
    if rule is None:
        message = f"no rule knows {' '.join(words)}"
        raise LookupError(message)
    return rule


def rule_of_module(module: str, words: Sequence[str]) -> str | None:
    """The rule for `python -m MODULE` and the words behind it."""
    if module == "orchestrator.study":
        return "planned" if is_local(words) else "settings"
    if module in {f"orchestrator.{name}" for name in COMMANDS}:
        return "sibling"
    return module if module in {"pytest", "recomputing", "orchestrator"} else None


def is_local(words: Sequence[str]) -> bool:
    """Whether a study can be planned here: with no download, and no cluster that is named."""
    if "--help" in words or "--resume" in words:
        return True
    options = flags.parse([filled(word) for word in words])
    return flags.settings_of(options).dataset != "cifar10" and options.address is None


@dataclass(frozen=True, kw_only=True)
class Means:
    """What checks need: a file of weights of a ResNet50, and pytest's own configuration."""

    weights: Path
    config: pytest.Config


@pytest.mark.parametrize("command", FOUND, ids=str)
def test_every_command_is_right(
    command: Command, prepared: tuple[Path, Path], request: pytest.FixtureRequest
) -> None:
    means = Means(weights=prepared[1], config=request.config)
    words = as_module(command.words)
    rule = rule_of(words)
    runs = rule in {"planned", "sibling", "whole script", "make"}
    place = request.getfixturevalue("place") if runs else prepared[0]
    with contextlib.chdir(place):
        CHECKS[rule]([filled(word) for word in words], means)


def run_sibling(words: Sequence[str], _: Means) -> None:
    """Runs a command on a finished study; one that serves is interrupted."""

    def interrupt(_: object) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socketserver.BaseServer.serve_forever", interrupt)
        ended = import_module(f"{words[2]}.__main__").main(words[3:])
    assert ended == (INTERRUPTED if "--serve" in words else DONE)


def show_commands(words: Sequence[str], _: Means) -> None:
    """Lists the commands."""
    with pytest.raises(SystemExit) as ended:
        console.main(words[3:])
    assert ended.value.code == 0


def plan(words: Sequence[str], means: Means) -> None:
    """Plans a study for real, up to its dry run."""
    arguments = list(words[3:])
    if "--help" in arguments:
        with pytest.raises(SystemExit) as ended:
            study.main(arguments)
        assert ended.value.code == 0
        return
    if not {"--weights", "--preset", "--resume"} & set(arguments):
        arguments += ["--weights", str(means.weights)]
    assert study.main([*arguments, "--dry-run"]) == 0


def run_script(words: Sequence[str], _: Means | None = None) -> None:
    """Runs a script of this project as a program."""
    script = ROOT / words[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words[1:]))
        patch.setattr(sys, "path", [str(script.parent), *sys.path])  # as Python itself does
        runpy.run_path(str(script), run_name="__main__")


def parse_script(words: Sequence[str], _: Means) -> None:
    """A script of this project takes the arguments."""
    parser_of(lambda: run_script(words)).parse_args(words[2:])


def check_recomputing(words: Sequence[str], _: Means) -> None:
    """It is called where it lies, on a folder; the tests of the numbers run it."""
    spec = importlib.util.find_spec("recomputing.__main__")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parents[1].relative_to(ROOT)
    called = f"cd {folder} && python -m recomputing "
    assert any(called in block.text for block in BLOCKS if block.language == "sh")
    assert Path(words[3]).is_dir()


def check_pytest(words: Sequence[str], means: Means) -> None:
    """Pytest knows the flags, the paths are there, and `-k` names tests or a family shown."""
    parser = means.config._parser
    known, unknown = parser.parse_known_and_unknown_args(list(words[3:]))
    assert not unknown
    assert all((ROOT / path).exists() for path in known.file_or_dir)
    names = " ".join([*(path.stem for path in (ROOT / "tests").rglob("test_*.py")), *SHOWN])
    assert known.keyword in names


def check_make(words: Sequence[str], means: Means) -> None:
    """There is such a target, and what it calls of this project takes the arguments."""
    targets = [word for word in words[1:] if "=" not in word]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    printed = subprocess.run(
        ["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for line in printed.splitlines():
        for called in split(line) if line.startswith(".venv/bin/python -m") else ():
            if called[2] == "orchestrator.study":
                plan(called, means)
            elif called[2] == "pytest":
                check_pytest(called, means)


def check_ray(words: Sequence[str], means: Means) -> None:
    """Ray's own command line takes it; where a page only names a command, there is one."""
    from ray.scripts.scripts import cli

    command: click.Command = cli
    context = click.Context(command, info_name="ray")
    rest = list(words[1:])
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
        context = click.Context(command, info_name=name, parent=context)
    if rest:
        command.make_context(command.name, rest, parent=context.parent)
    look_at(words, means)


def check_sbatch(words: Sequence[str], means: Means) -> None:
    """The file is there, and the study takes what follows it; what is wrapped is checked itself."""
    if "--wrap" not in words:
        look_at(words, means)
        (file,) = (word for word in words if word.endswith(".sbatch"))
        check_settings(words[words.index(file) + 1 :])


def look_at(words: Sequence[str], _: Means) -> None:
    """Files of this project that a command names are there."""
    # Where studies were run here, theirs may be named alike.
    tops = {path.name for path in ROOT.iterdir()} - {Settings.results_dir}
    for word in words[1:]:
        path = Path(word.rpartition("=")[2].removeprefix("file://"))
        if path.suffix == ".yaml" or (path.parts and path.parts[0] in tops):
            assert (ROOT / path).exists(), word


CHECKS: Mapping[str, Callable[[Sequence[str], Means], object]] = {
    "planned": plan,
    "settings": lambda words, _: check_settings(words[3:]),
    "sibling": run_sibling,
    "whole script": run_script,
    "script": parse_script,
    "code": lambda words, _: compile(words[2], "<code>", "exec"),
    "orchestrator": show_commands,
    "recomputing": check_recomputing,
    "pytest": check_pytest,
    "make": check_make,
    "ray": check_ray,
    "sbatch": check_sbatch,
    "looked at": look_at,
}


def test_a_command_that_no_rule_knows_is_noticed() -> None:
    for words in (["rm", "-rf", "results"], ["python", "-m", "orchestrator.statu", "RESULTS"]):
        with pytest.raises(LookupError, match="no rule knows"):
            rule_of(words)


def test_most_commands_of_this_project_are_run() -> None:
    counts = Counter(rule_of(as_module(command.words)) for command in FOUND)
    run = counts["planned"] + counts["sibling"] + counts["whole script"]
    assert run > counts["settings"] + counts["script"]
    assert run >= len(COMMANDS)
    assert counts["ray"] > 10


# Blocks that are no commands


def test_every_block_is_of_a_known_language() -> None:
    known = {"sh", "python", "yaml", "json", "text"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
@pytest.mark.usefixtures("place")
def test_every_example_in_python_runs(block: Block) -> None:
    run_example(block)


def run_example(block: Block) -> None:
    """Runs it as a module of its own."""
    exec(compile(block.text, str(block), "exec"), {})


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=str)
def test_every_example_of_settings_is_taken(block: Block, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(block.text, encoding="utf-8")
    assert resolve({}, config=tmp_path / "study.yaml", assignments=[]).space
    check_settings(["--config", str(tmp_path / "study.yaml")])


# Files that are shown whole


def shown(folder: str) -> list[str]:
    """The names of the families or data sets that are shown."""
    return [Path(name).stem for name in SHOWN if name.startswith(folder)]


@pytest.mark.parametrize("name", shown("families"))
@pytest.mark.usefixtures("place")
def test_a_family_that_is_shown_trains_and_can_be_exported(name: str) -> None:
    family, data = load_family(name), load_dataset("archive").open("FOLDER", 32)
    trainer = Trainer(
        family,
        family.baseline,
        data.read_training(),
        train=np.arange(24),
        validation=np.arange(24, 48),
        num_classes=len(data.classes),
        weights=None,
        seed=0,
        epochs=1,
        device="cpu",
        threads=1,
    )
    assert trainer.train_epoch()["epoch"] == 1
    assert trainer.evaluate(data.read_test()).probabilities.shape == (12, 3)
    assert code_of(family) is not None


@pytest.mark.parametrize("name", shown("datasets"))
def test_a_data_set_that_is_shown_gives_its_images_and_refuses_others(
    name: str, place: Path
) -> None:
    dataset = load_dataset(name)
    data = dataset.open("FOLDER", 32)
    for part, images in ((data.read_training(), 48), (data.read_test(), 12)):
        assert part.images.shape == (images, 32, 32, 3)
        assert set(part.labels.tolist()) == {0, 1, 2}
    assert list(data.files) == ["images.npz"]
    np.savez(place / "FOLDER" / "images.npz", classes=["red"])
    with pytest.raises(ValueError, match="has changed"):
        data.read_training()
    with pytest.raises(ValueError, match="must hold the array train_images"):
        dataset.open("FOLDER", 32).read_training()
    for folder in (None, "results"):
        with pytest.raises(ValueError, match=r"\A[^\n]*images\.npz[^\n]*\Z"):
            dataset.open(folder, 32)
