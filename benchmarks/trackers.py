"""What do trackers cost a study, alive and killed in its middle, and what do they miss of it?

    python benchmarks/trackers.py [--repeats 3] [--epoch-seconds 0.5]

The same study of a family whose curve is a formula runs again and again: without trackers, with all
four, and with all four killed with SIGKILL once a third of its trials have begun. Killed are a real
`mlflow server` with its workers, which is not started again before the study has ended, the service
of Weights & Biases, and each process that sends. Needs mlflow (all of it), tensorboard, trackio and
wandb. Compared are the rows of the studies, and the seconds from the first line of a study to its
end and to that of the command. In the end `export --track` sends what is missing, twice, and what
each tracker has is read back: each row there, once.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from trainables import hardware

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "support"))
ARMS = ("none", "alive", "killed")
PACKAGES = ("mlflow", "tensorboard", "trackio", "wandb")
TRIALS = 12
STUDY = (
    *("--families", "curve", "--dataset", "digits", "--trials", str(TRIALS), "--epochs", "4"),
    *("--grace-period", "1", "--seeds", "2", "--max-concurrent", "1"),
    *("--set", "space.curve.fault=none", "--address", "local", "--no-dashboard"),
)
# What differs from run to run of the very same study.
CLOCKS = (
    *("study", "node", "device_seconds", "started_at", "ended_at", "reported_at", "at"),
    *("epoch_seconds", "images_per_second", "train_seconds", "device_memory_peak_bytes"),
)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run of the study.

    Attributes:
        folder: The study's.
        seconds: From its start to its end.
        after: From there to the end of the command.
    """

    folder: Path
    seconds: float
    after: float


class Server:
    """A real `mlflow server`, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Takes where it keeps its files, and a free port."""
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--port", str(self._port)),
            *("--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db", "--workers", "1"),
            *("--artifacts-destination", str(self._folder / "artifacts")),
        ]
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            time.sleep(0.2)

    def kill(self) -> None:
        """Kills it, with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def main() -> int:
    """Runs all; 0 where the rows are the same and every one of them is in each tracker, once."""
    options = _parser().parse_args()
    ran: dict[str, list[Ran]] = {arm: [] for arm in ARMS}
    sound = True
    with tempfile.TemporaryDirectory(prefix="trackers-") as top:
        for number in range(options.repeats):
            for arm in ARMS:
                place = Path(top) / f"{arm}-{number}"
                place.mkdir()
                one = _run(arm, place, options.epoch_seconds)
                ran[arm].append(one)
                print(f"{arm}: {one.seconds:.1f} s, {one.after:.1f} s after it", flush=True)
                same = _rows(one.folder) == _rows(ran["none"][0].folder)
                print(f"  rows the same as without: {same}", flush=True)
                sound &= same
    for arm in ARMS:
        for what in ("seconds", "after"):
            values = [getattr(each, what) for each in ran[arm]]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{arm}, {what}: {statistics.mean(values):.1f} +- {spread:.1f}, n={len(values)}")
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", *PACKAGES))
    print(f"{hardware.here().processor}, load {os.getloadavg()[0]:.1f}; {versions}")
    return 0 if sound else 1


def _run(arm: str, place: Path, epoch_seconds: float) -> Ran:
    """Runs one study; of one with trackers all must be found in them in the end."""
    os.environ.update(
        STUDY_FAMILY_PATH=str(ROOT / "tests" / "families"),
        STUDY_CURVE_EPOCH_SECONDS=str(epoch_seconds),
        TRACKIO_DIR=str(place / "trackio"),
        WANDB_DIR=str(place),
        WANDB_MODE="offline",
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    server, folder = Server(place), place / "results" / "mine"
    track = f"mlflow={server.uri},tensorboard={place}/runs,trackio=project,wandb"
    if arm == "none":
        with _study(place) as driver:
            driver.wait()
        return _ran(folder)
    server.start()
    try:
        with _study(place, "--track", track) as driver:
            if arm == "killed":
                _kill_in_the_middle(driver, folder, server)
            driver.wait()
        one = _ran(folder)
        if arm == "killed":
            server.start()
        for _ in range(2):
            export = ("-m", "orchestrator.export", str(folder), "--track", track)
            subprocess.run([sys.executable, *export], check=True, stdout=subprocess.DEVNULL)
        _check_all_there(place, folder, server.uri)
    finally:
        server.kill()
    print("\n".join(f"  {line}" for line in _said(place)), flush=True)
    return one


@contextlib.contextmanager
def _study(place: Path, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    where = ("--results-dir", str(place / "results"), "--name", "mine")
    command = [sys.executable, "-m", "orchestrator.study", *STUDY, *where, *more]
    with (place / "study.log").open("w") as log:
        driver = subprocess.Popen(command, stdout=log, stderr=log)
    yield driver
    if driver.returncode != 0:
        sys.exit((place / "study.log").read_text())


def _kill_in_the_middle(driver: "subprocess.Popen[bytes]", folder: Path, server: Server) -> None:
    while driver.poll() is None and _begun(folder) < TRIALS / 3:
        time.sleep(0.2)
    server.kill()
    children = _children()
    senders = [
        pid for pid in children.get(driver.pid, []) if "track.follower" in _command_line(pid)
    ]
    services = [pid for sender in senders for pid in children.get(sender, [])]
    for pid in (*services, *senders):
        os.kill(pid, signal.SIGKILL)
    print(f"  killed: mlflow server, {len(services)} service, {len(senders)} senders", flush=True)


def _begun(folder: Path) -> int:
    path = folder / "trials.parquet"
    return len(pd.read_parquet(path)) if path.exists() else 0


def _children() -> Mapping[int, list[int]]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    return children


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _ran(folder: Path) -> Ran:
    study = json.loads((folder / "study.json").read_text())
    started, ended = (datetime.fromisoformat(study[name]) for name in ("started_at", "ended_at"))
    after = time.time() - ended.timestamp()
    return Ran(folder=folder, seconds=(ended - started).total_seconds(), after=after)


def _rows(folder: Path) -> dict[str, str]:
    """Each table's rows as text, without what clocks say."""
    rows = {}
    for path in sorted(folder.glob("*.parquet")):
        table = pd.read_parquet(path)
        table = table.drop(columns=[name for name in CLOCKS if name in table])
        rows[path.name] = table.to_csv(index=False)
    return rows


def _said(place: Path) -> list[str]:
    lines = (place / "study.log").read_text().splitlines()
    names = ("Sending", "Sent", "Not all", "mlflow", "tensorboard", "trackio", "wandb")
    return [line.replace(str(place), "") for line in lines if line.startswith(names)]


def _check_all_there(place: Path, folder: Path, uri: str) -> None:
    """Reads all trackers back.

    Raises:
        AssertionError: A row is missing, another, or there twice.
    """
    # TRACKIO_DIR is read when Trackio is imported, so that another process must.
    code = f"import trackers; trackers.read_back({str(place)!r}, {str(folder)!r}, {uri!r})"
    paths = [str(ROOT), str(ROOT / "tests" / "support"), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def read_back(place: str, folder: str, uri: str) -> None:
    """Compares what each tracker has with the study's rows; see `_check_all_there`."""
    import numpy as np
    from in_trackers import expected_points, in_mlflow, in_tensorboard, in_trackio, in_wandb

    from orchestrator.track.tracked_study import read_tracked

    study = read_tracked(Path(folder))
    for name, found in (
        ("mlflow", in_mlflow(uri)),
        ("tensorboard", in_tensorboard(Path(place) / "runs")),
        ("trackio", in_trackio("project")),
        ("wandb", in_wandb(Path(place))),
    ):
        bits = np.float32 if name == "tensorboard" else float
        points = 0
        for run in study.runs:
            expected = expected_points(run, summary=name != "wandb")
            assert found[run.name].points == {k: [float(bits(v))] for k, v in expected.items()}
            points += len(expected)
        print(f"  {name} has each of {points} numbers of {len(study.runs)} runs once", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epoch-seconds", type=float, default=0.5)
    return parser


if __name__ == "__main__":
    sys.exit(main())
