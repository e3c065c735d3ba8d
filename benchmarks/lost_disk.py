"""What does it cost to lose a head with its disk? A published study is killed, and goes on.

    python benchmarks/lost_disk.py [--kills 3] [--seed 0] [-- FLAGS OF THE STUDY]

A study on the digits publishes to S3 as moto's server has it, over HTTP (`pip install s3fs
'moto[server]'`). At a random moment the driver and all its Ray get SIGKILL, the results folder is
removed, and `--resume s3://bucket/copies/mine` goes on in another. In the end rows are counted, and
`python -m orchestrator.verify` looks at the folder and at the address.

What a kill costs a trial is counted twice. The epochs that it had on disk and that do not lie at
the address are exact. The seconds from when its newest checkpoint there was written, or its attempt
began, to the kill, are the most that it can have been computed for in vain, with what it held in
memory, and with the start of its process.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import fsspec
import pandas as pd

from orchestrator.results import fetched
from trainables import checkpoints, hardware

ADDRESS = "s3://bucket/copies"
STUDY = (
    *("--families", "cnn", "--dataset", "digits", "--trials", "4", "--epochs", "24"),
    *("--grace-period", "8", "--seeds", "1"),
)
TABLES = ("epochs", "final_epochs")
# When the study is killed: so long after its first checkpoint, drawn anew.
SECONDS = (15.0, 60.0)
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What a kill took along.

    Attributes:
        epochs: On disk, and not at the address.
        seconds: Of the trial that lost most; see the module.
        age: Of the manifest.
    """

    epochs: int
    seconds: float
    age: float


def main() -> int:
    """Kills, resumes and counts; 0 where a kill costs a minute at most and nothing else."""
    options = _parser().parse_args()
    draw, lost = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="lost-disk-") as top, _server(Path(top)):
        flags = [*(options.flags or STUDY), "--name", "mine", "--publish", ADDRESS]
        for number in range(options.kills + 1):
            results = Path(top) / f"head-{number}"
            what = ["--resume", f"{ADDRESS}/mine"] if number else flags
            driver = _start(what, results)
            if number == options.kills:
                break
            lost.append(_kill(driver, results / "mine", draw.uniform(*SECONDS)))
            print(f"kill {number + 1}: {lost[-1]}", flush=True)
            shutil.rmtree(results)
        sound = driver.wait() == 0
        print((results.parent / f"{results.name}.log").read_text())
        sound &= _verified(str(results / "mine")) and _verified(f"{ADDRESS}/mine")
        sound &= _counted(results / "mine")
    print(
        f"seed {options.seed}, {options.kills} kills; {hardware.here().processor}, load "
        f"{os.getloadavg()[0]:.1f}; " + ", ".join(f"{n} {version(n)}" for n in ("ray", "s3fs"))
    )
    return 0 if sound and all(each.seconds <= LIMIT_SECONDS for each in lost) else 1


def _start(what: Sequence[str], results: Path) -> subprocess.Popen[bytes]:
    more = ["--results-dir", str(results), "--address", "local", "--no-dashboard"]
    command = [sys.executable, "-m", "orchestrator.study", *what, *more]
    with (results.parent / f"{results.name}.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _kill(driver: subprocess.Popen[bytes], folder: Path, seconds: float) -> Lost:
    """Waits for this head's first checkpoint and so long after it; kills, and compares."""
    began = time.time()
    while not any(_written(p) > began for p in folder.glob("checkpoints/*/epoch-*.json")):
        if driver.poll() is not None:
            sys.exit(f"the study ended too early: {folder.parent}.log")
        time.sleep(0.1)
    time.sleep(seconds)
    if driver.poll() is not None:
        sys.exit("the study ended before it was killed")
    processes = _below(driver.pid)
    killed = time.time()
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    driver.wait()
    with tempfile.TemporaryDirectory() as other:
        snapshot = fetched.bring_back(f"{ADDRESS}/mine", Path(other) / "mine")
        copy = Path(other) / "mine"
        here, there, done = _epochs(folder), _epochs(copy), _done(copy)
        seconds = [
            min(killed, _ended(folder, trial)) - _kept_until(copy, folder, trial)
            for trial in here.keys() - done
            if _attempt_began(copy, folder, trial) > began  # else this head had not come to it
        ]
    return Lost(
        epochs=sum(len(known - there.get(trial, set())) for trial, known in here.items()),
        seconds=round(max(seconds, default=0.0), 1),
        age=round(killed - snapshot.published_at, 1),
    )


def _epochs(folder: Path) -> dict[str, set[int]]:
    """Trial to the epochs that are known of it, by a table or by a checkpoint."""
    known: dict[str, set[int]] = {}
    for name in TABLES:
        if (folder / f"{name}.parquet").exists():
            for row in pd.read_parquet(folder / f"{name}.parquet").itertuples():
                known.setdefault(row.trial_id, set()).add(row.epoch)
    for path in folder.glob("checkpoints/*/epoch-*.json"):
        known.setdefault(path.parent.name, set()).update(
            row["epoch"] for row in json.loads(path.read_text())["rows"]
        )
    return known


def _done(folder: Path) -> set[str]:
    """The trials that have ended, and the finals that were tested."""
    trials = pd.read_parquet(folder / "trials.parquet")
    done = set(trials.loc[trials["status"] != "running", "trial_id"])
    if (folder / "final.parquet").exists():
        done |= set(pd.read_parquet(folder / "final.parquet")["trial_id"])
    return done


def _ended(folder: Path, trial: str) -> float:
    """When a trial had ended, since the epoch; never where it had not."""
    rows = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    ended = rows["ended_at"].get(trial)
    return float("inf") if ended is None or pd.isna(ended) else ended.timestamp()


def _kept_until(there: Path, here: Path, trial: str) -> float:
    """When the newest checkpoint at the address was written, or this head's attempt began."""
    states = sorted((there / "checkpoints" / trial).glob("epoch-*.pt"))
    return max([_attempt_began(there, here, trial), *map(_written, states)])


def _attempt_began(there: Path, here: Path, trial: str) -> float:
    """When the last attempt at a trial began; its claim is gone here once it has ended."""
    return max(_written(at / "checkpoints" / trial / checkpoints.CLAIM) for at in (there, here))


def _written(path: Path) -> float:
    """When a file was written, since the epoch; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _counted(folder: Path) -> bool:
    """Prints what the tables have twice or lack; whether that is nothing."""
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    rows = pd.concat(pd.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    twice = int(rows.duplicated(["trial_id", "epoch"]).sum())
    last = rows.groupby("trial_id")["epoch"].agg(["max", "nunique"])
    missing = int((last["max"] - last["nunique"]).sum())
    missing += int((trials["epochs_run"] - last["max"].reindex(trials.index)).abs().sum())
    names = [f"{trials.index[0].rpartition('-')[0]}-{n:03d}" for n in range(len(trials))]
    print(f"{len(trials)} trials, {len(rows)} epochs: {twice} twice, {missing} missing")
    return twice == missing == 0 and trials.index.tolist() == names


def _verified(results: str) -> bool:
    done = subprocess.run([sys.executable, "-m", "orchestrator.verify", results], check=False)
    return done.returncode == 0


def _below(pid: int) -> list[int]:
    """A process and all that come from it, the oldest first."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


@contextlib.contextmanager
def _server(top: Path) -> Iterator[None]:
    """Moto's S3 in a process of its own, with a bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up-too",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(top / "cache"),
    }
    with (top / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        fsspec.filesystem("s3").mkdir("bucket")
        yield
    finally:
        server.terminate()
        server.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=3, help="how often a head is lost (3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("flags", nargs="*", help="of the study, after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
