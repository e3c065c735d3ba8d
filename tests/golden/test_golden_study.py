"""Two studies give the tables and the words that they gave before, digest by digest.

Where a change is meant: `make golden ARGS=--renew-golden`, and say in the commit why.
"""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import FAMILIES
from digests import ROOT, digests_of
from in_process import Driver

HERE = Path(__file__).parent


def _processor() -> str:
    """What decides how a network's floats are rounded."""
    known = Path("/proc/cpuinfo")
    fields = r"^(?:model name|cpu family|model|stepping)\s*: (.*)"
    names = re.findall(fields, known.read_text() if known.exists() else "", re.MULTILINE)[:4]
    name = " ".join(names) or platform.processor()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def check(name: str, digests: dict[str, str], request: pytest.FixtureRequest) -> None:
    """Compares with what is stored, or stores it."""
    path = HERE / f"{name}.json"
    if request.config.getoption("--renew-golden"):
        path.write_text(json.dumps(digests, indent=1) + "\n")
    assert digests == json.loads(path.read_text())


@pytest.mark.timeout(900)
def test_a_study_in_this_process_gives_the_same_tables_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    settings = {"trials": 9, "epochs": 4, "grace_period": 1, "seeds": 2, "seed": 6}
    driver = Driver(tmp_path, monkeypatch, {**settings, "train_fractions": "0.5,1.0"})
    driver.assignments = ("space.curve.fault=none,nan,error_once",)
    assert driver.start(order=6)
    check("in_process", digests_of(driver.folder, tmp_path / "copy"), request)


@pytest.mark.cluster
@pytest.mark.demonstration
@pytest.mark.timeout(1800)
def test_the_demonstration_gives_the_same_tables_and_words(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    stored, here = json.loads((HERE / "demonstration.json").read_text())["on"], _processor()
    if stored != here and not request.config.getoption("--renew-golden"):
        pytest.skip(f"kept for {stored}; this is {here}, whose networks round otherwise")
    command = [
        *(sys.executable, "-m", "orchestrator.study", "--families", "all", "--preset", "demo"),
        *("--max-concurrent", "1", "--cpus-per-trial", "1", "--address", "local"),
        *("--set", "train_images=240", "--set", "validation_images=60"),  # less to train
        *("--results-dir", str(tmp_path), "--name", "demo"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    digests = digests_of(tmp_path / "demo", tmp_path / "copy")
    check("demonstration", {"on": here, **digests}, request)
