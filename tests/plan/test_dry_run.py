"""A dry run asks no network and writes nothing: it prints what can be known without."""

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import study
from orchestrator.run import own_ray
from trainables import hardware
from trainables.weights.sources import DOWNLOADS

CIFAR10 = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
IMAGENET, _ = DOWNLOADS["imagenet"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without any cache, on a machine without a network."""
    asked: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        asked.append(address)
        raise OSError

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    yield tmp_path
    assert asked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--families all", ["epochs. Finals", f"download them from {CIFAR10}", IMAGENET]),
        ("--families cnn", ["epochs. Finals", f"download them from {CIFAR10}"]),
        (
            "--families all --dataset digits",
            [
                "of 1,294 images. Finals",
                f"from {IMAGENET}",
                "3 seeds and 360 test images separate two models that differ by",
            ],
        ),
        (
            "--preset demo",
            [
                "of 1,200 images. Finals",
                "ResNet50 pre-trained for a minute",
                "1 seed and 360 test images separate two trained networks",
            ],
        ),
    ],
)
def test_what_is_in_no_cache_is_named_with_its_address_and_the_rest_of_the_plan_is_printed(
    arguments: str, said: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = ["--results-dir", str(place / "results")]
    assert study.main([*arguments.split(), *results, "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for words in (*said, "learning_rate", "Search: "):
        assert words in printed.out


@pytest.mark.parametrize(("epochs", "few_steps"), [(2, "cnn 4"), (24, "cnn 48"), (25, None)])
def test_a_training_of_few_steps_is_said_to_be_one(
    epochs: int, few_steps: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--families", "cnn", "--dataset", "digits", "--set", "train_images=110"]
    assert study.main([*given, "--epochs", str(epochs), "--grace-period", "1", "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (few_steps is None) == ("Few steps" not in shown)
    assert few_steps is None or (
        f"Few steps: a whole training takes {few_steps}. Batch norm" in shown
    )


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ("--cpus-per-trial 4096", "asks for 4096 CPU of "),
        ("--set memory_per_trial=1000000", "asks for 1e+06 GB of memory of "),
        ("--device-type nosuch", "device_type must be one of the cluster's, but got 'nosuch'"),
        ("--precision bf16 --gpus-per-trial 0", "precision bf16 on a CPU must go with"),
    ],
)
def test_what_this_machine_cannot_give_a_trial_is_said_before_any_plan(
    arguments: str,
    rule: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = dataclasses.replace(hardware.here(), bf16=False)
    monkeypatch.setattr(hardware, "here", lambda: without)
    given = ["--preset", "demo", "--address", "local", "--results-dir", str(place / "results")]
    assert study.main([*given, *arguments.split(), "--dry-run"]) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert rule in printed.err


def test_an_address_where_no_cluster_answers_is_said_before_any_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    given = ["--preset", "demo", "--address", closed, "--results-dir", str(tmp_path / "results")]
    assert study.main([*given, "--dry-run"]) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert f"a Ray cluster must answer at address {closed}" in printed.err


def test_a_cluster_that_runs_here_and_was_not_asked_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own_ray, "running_here", lambda: "127.0.0.1:6379")
    given = ["--preset", "demo", "--cpus-per-trial", "4096", "--dry-run"]
    assert study.main([*given, "--results-dir", str(place / "results")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Not checked: whether the Ray cluster that runs here")
    assert "--address auto has it asked" in out


def test_where_a_copy_is_to_be_published_is_said_not_to_be_checked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--preset", "demo", "--publish", "s3://me:secret@bucket/copies", "--dry-run"]
    assert study.main([*given, "--results-dir", str(place / "results")]) == 0
    said = capsys.readouterr().out.partition("\n")[0]
    assert said.startswith("Not checked: whether a copy can be written to s3://")
    assert "secret" not in said
