"""What does a study cost whose trials are short? CPU seconds an epoch, and what its slots do.

    python benchmarks/small_study.py --data-dir FOLDER [--repeats 5] [--against CMD ...]

The CNN (width 16) on 2,000 images of CIFAR-10, 8 trials of up to 5 epochs, two at a time: a whole
study from its first import to its report, with final runs and the test. A script after `--against`
does what it does and prints `"epochs": NUMBER` last; it takes turns with the project, so that a
machine that is busy slows both: read the ratios. CPU seconds are those of all processes below a
command, Ray's among them, looked up four times a second: the last moment of each is missed.
"""

import argparse
import contextlib
import ctypes
import importlib.metadata
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from steps import said

from trainables import hardware

SLOTS = 2
STUDY = [
    *("--families", "cnn", "--dataset", "cifar10", "--trials", "8", "--epochs", "5"),
    *("--grace-period", "1", "--seeds", "2", "--name", "small", "--no-dashboard"),
    *("--address", "local", "--max-concurrent", str(SLOTS), "--set", "train_images=2000"),
    *("--set", "validation_images=500", "--set", "space.cnn.width=16"),
    *("--set", "space.cnn.batch_size=32,64,128", "--set", "baseline.cnn.width=16"),
]
PHASES = (
    "from the first import to the first trial's process",
    "from there to its first epoch's end",
    "from there to the last epoch of the search",
    "from there to the last epoch of a final",
    "from there to the end: test, comparison, check, page",
)
Phases = tuple[float, ...]
EPOCHS = re.compile(r'"epochs": (\d+)')
LOOK_SECONDS = 0.25
SUBREAPER = 36  # prctl: those whose parent ends become children of this process


def main() -> None:
    """Runs the commands in turn and prints what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True, help="CIFAR-10")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", action="append", default=[], metavar="CMD")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    costs: dict[str, list[float]] = {name: [] for name in ("project", *options.against)}
    shares, phases = list[float](), list[Phases]()
    for turn in range(options.repeats):
        cost, share, phase = _project(options.data_dir)
        costs["project"].append(cost)
        shares.append(share)
        phases.append(phase)
        for command in options.against:
            printed, seconds = _run(shlex.split(command))
            costs[command].append(seconds / int(EPOCHS.findall(printed)[-1]))
        last = [round(found[-1], 2) for found in costs.values()]
        print(f"turn {turn + 1}: {last} CPU s an epoch; outside epochs {share:.0%}", flush=True)
    for name, found in costs.items():
        ratios = [ours / other for ours, other in zip(costs["project"], found, strict=True)]
        print(f"{name}: {said(found, 2)} CPU seconds an epoch; project has {said(ratios, 2)} of it")
    print(f"share of the search's slot time outside epochs: {said(shares, 2)}")
    for number, name in enumerate(PHASES):
        print(f"{name}: {said([each[number] for each in phases], 2)} s")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "ray", "optuna")]
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    print(f"n = {options.repeats}; {versions}; {hardware.here()}; {load}")


def _project(data: str) -> tuple[float, float, Phases]:
    """CPU seconds an epoch, finals counted; the slot time outside epochs; seconds of each phase."""
    with tempfile.TemporaryDirectory() as folder:
        where = ["--data-dir", data, "--results-dir", folder]
        began = pd.Timestamp.now("UTC")
        _, seconds = _run([sys.executable, "-m", "orchestrator.study", *STUDY, *where])
        ended = pd.Timestamp.now("UTC")
        epochs, trials, finals = (
            pd.read_parquet(Path(folder) / "small" / f"{name}.parquet")
            for name in ("epochs", "trials", "final_epochs")
        )
    reported = epochs["reported_at"]
    first, last = trials["started_at"].min(), reported.max()
    early = finals[finals["reported_at"] <= last]  # begun by slots that the search left idle
    trained = epochs["epoch_seconds"].sum() + early["epoch_seconds"].sum()
    share = 1 - trained / (SLOTS * (last - first).total_seconds())
    moments = [began, first, reported.min(), last, finals["reported_at"].max(), ended]
    phases = [(to - at).total_seconds() for at, to in itertools.pairwise(moments)]
    return seconds / (len(epochs) + len(finals)), share, tuple(phases)


def _run(command: list[str]) -> tuple[str, float]:
    """What a command prints, and the CPU seconds of it and of all that it starts."""
    used: dict[tuple[int, int], int] = {}
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        while process.poll() is None or _reap():
            used |= _ticks_below(os.getpid())
            time.sleep(LOOK_SECONDS)
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        sys.exit(f"{shlex.join(command)} failed:\n{text[-4000:]}")
    return text, sum(used.values()) / os.sysconf("SC_CLK_TCK")


def _reap() -> bool:
    """Takes leave of those that have ended; whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _ticks_below(ancestor: int) -> dict[tuple[int, int], int]:
    """CPU time in ticks of every process below another, by its number and start."""
    parents, found = dict[int, int](), dict[int, tuple[int, int]]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # What follows the name, which may hold anything: state, parent, ..., see proc(5).
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            found[number] = int(fields[19]), int(fields[11]) + int(fields[12])

    def below(number: int) -> bool:
        while number in parents and parents[number] != ancestor:
            number = parents[number]
        return number in parents

    return {(n, start): ticks for n, (start, ticks) in found.items() if below(n)}


if __name__ == "__main__":
    main()
