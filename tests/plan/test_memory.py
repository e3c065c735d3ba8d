"""Images and predictions that the memory cannot hold are refused before any is decoded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_inputs import image_folder

from orchestrator import study
from orchestrator.config.settings import Settings
from orchestrator.plan import memory
from orchestrator.plan.memory import fed_to_gpu, free_bytes, gpu_bytes
from trainables import device_memory

ROOT = Path(__file__).parents[2]
GIB = 2**30
MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\nSwapFree: 0 kB\n"
ONE = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file {0}\ntotal_inactive")
TWO = ("memory.max", "memory.current", "active_file {0}\ninactive")


def machine(root: Path, cgroup: str, groups: dict[str, tuple[object, int, int]]) -> Path:
    """Files as Linux shows them: of each control group its limit, its use, and that by files."""
    for name, content in (("proc/meminfo", MEMINFO), ("proc/self/cgroup", cgroup)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    for group, (limit, used, by_files) in groups.items():
        folder = root / "sys/fs/cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        names = ONE if group.startswith("memory") else TWO
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{used}\n")
        stat = f"anon 1\n{names[2]}_file {{0}}\n".format(by_files // 2)
        (folder / "memory.stat").write_text(stat)
    return root


@pytest.mark.parametrize(
    ("cgroup", "groups", "free"),
    [
        ("0::/\n", {}, 8),
        ("0::/a/b\n", {"a": (6 * GIB, 3 * GIB, GIB), "a/b": ("max", GIB, 0)}, 4),
        ("0::/a/b\n", {"a": (12 * GIB, 0, 0), "a/b": (4 * GIB, 3 * GIB, 0)}, 1),
        ("0::/\n", {".": (2 * GIB, GIB, GIB)}, 2),
        ("0::/a\n", {"a": (2 * GIB, 3 * GIB, 0)}, 0),
        ("4:cpu:/x\n3:memory:/x/y\n", {"memory/x/y": (3 * GIB, GIB, 0)}, 2),
        ("3:memory:/seen/outside\n", {"memory": (3 * GIB, GIB, 0)}, 2),
        ("3:memory:/\n0::/\n", {"memory": (2**63 - 4096, GIB, 0)}, 8),
    ],
)
def test_what_is_free_is_what_the_machine_and_each_control_group_leave(
    cgroup: str,
    groups: dict[str, tuple[object, int, int]],
    free: int,
    tmp_path: Path,
) -> None:
    assert free_bytes(machine(tmp_path, cgroup, groups)) == free * GIB


def test_a_system_that_does_not_tell_is_not_guessed_at(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
    machine(tmp_path, "0::/a\n", {"a": ("nonsense", 0, 0)})
    assert free_bytes(tmp_path) is None


def test_a_process_in_a_control_group_has_no_more_than_that(small_cgroup: Path) -> None:
    program = (
        f"import os, pathlib; pathlib.Path({str(small_cgroup)!r}, 'cgroup.procs')"
        ".write_text(str(os.getpid())); from orchestrator.plan.memory import free_bytes; "
        "print(free_bytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < GIB // 2


@pytest.mark.usefixtures("curve_family")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "image_size=200000"), "48 images of 200000x200000 pixels 5760.0 GB"),
        (("--seeds", "1000"), "comparing 2,000 final runs on 8 test images of 2 cla"),
    ],
)
def test_what_cannot_fit_is_one_line_with_both_amounts_and_what_to_change(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "--seeds" in arguments:  # as many as may be asked for do fit here
        monkeypatch.setattr(memory, "free_bytes", lambda: 2**10)
    images = ("--dataset", "folder", "--data-dir", str(image_folder(tmp_path / "images")))
    results = ("--results-dir", str(tmp_path / "results"))
    assert study.main(["--families", "curve", *images, *results, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("study: images and predictions must fit into the free memory, ")
    assert said in line
    assert "take fewer images or smaller ones (--image-size N" in line
    assert not (tmp_path / "results").exists()


def tool_of_gpus(place: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """What `nvidia-smi` is on the path."""
    place.mkdir(exist_ok=True)
    tool = place / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)


def test_a_plan_says_that_images_do_not_fit_the_gpu_and_refuses_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    curve_family: None,
) -> None:
    del curve_family
    monkeypatch.setattr(device_memory, "PART_BYTES", 1_000_000)
    tool_of_gpus(tmp_path / "bin", monkeypatch, 'test "$1" = --query-gpu=memory.total && echo 8')
    images = ("--dataset", "folder", "--data-dir", str(image_folder(tmp_path / "images")))
    arguments = ["--families", "curve", *images, "--image-size", "200", "--dry-run"]
    assert study.main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "Data: 0.0048 GB of images would take more than half of the 0.00839 GB of a GPU's memory "
        "that a trial has: images stay on the host and are fed in parts of 1 MB."
    ) in said
    assert study.main([*arguments, "--gpus-per-trial", "0"]) == 0
    assert "are fed in parts" not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "images", "parts"),
    [
        ({}, 9, None),
        ({}, 13, "128 MB"),
        ({"gpus_per_trial": 0.5}, 7, "128 MB"),
        ({"gpus_per_trial": 0.01}, 1, "64 MB"),
        ({"gpus_per_trial": 0.0}, 13, None),
    ],
)
def test_the_smallest_gpu_and_the_share_of_it_decide(
    given: dict[str, float],
    images: int,
    parts: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool_of_gpus(tmp_path, monkeypatch, "echo 81559; echo 24414")  # 25.6 GB
    said = fed_to_gpu(Settings(**given), images * 1_000_000_000)
    assert (said is None) == (parts is None)
    assert parts is None or said.endswith(f"in parts of {parts}.")


@pytest.mark.parametrize("program", ["exit 9", "echo '[N/A]'", "true"])
def test_a_gpu_that_does_not_tell_its_memory_is_not_guessed_at(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool_of_gpus(tmp_path, monkeypatch, program)
    assert gpu_bytes() == []
    assert fed_to_gpu(Settings(), 1 << 40) is None
