"""A dry run asks no network and writes nothing: it prints what can be known without."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import study
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
