"""The long run: a study whose driver is killed at random moments again and again, and counted."""

import argparse
import contextlib
import dataclasses
import platform
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from harness import SOAK, StudyFolder, count
from ray.cluster_utils import Cluster

TRIALS = 12
FAULT_RATES, EPOCH_TIME_LIMIT = "error_once=0.05,kill_once=0.02,hang_once=0.01", 60
# Some drivers die before they have begun an epoch, most in the middle of their work.
EARLY_SHARE, EARLY_SECONDS, WORKING_SECONDS = 0.25, (0.2, 12.0), (0.0, 8.0)


def main() -> int:
    """Runs the soak; 0 if nothing was lost."""
    arguments = _parser().parse_args()
    epoch_seconds = max(
        0.35, 0.026 * arguments.kills
    )  # so that the kills reach from the start to the finals
    started, faults = time.monotonic(), FAULT_RATES if arguments.faults else ""
    flags = [
        *SOAK,
        "--trials",
        str(arguments.trials),
        "--set",
        f"epoch_time_limit={EPOCH_TIME_LIMIT}",
    ]
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        with _cluster(shared=not arguments.own_clusters) as address:
            study = StudyFolder(
                Path(folder), flags, address, epoch_seconds=epoch_seconds, fault_rates=faults
            )
            _kill_again_and_again(study, arguments.kills, random.Random(arguments.seed))
            usage = _finish(study)
        study.check_that_no_row_is_lost()
        counts, verdict, runs = (
            count(study, trials=arguments.trials),
            study.verify(),
            study.study()["runs"],
        )
        kinds = study.table("events").kind.value_counts().to_dict()
    say(
        f"seed {arguments.seed}, {arguments.kills} kills, {len(runs)} runs of the study, "
        f"{epoch_seconds:g} s an epoch, {(time.monotonic() - started) / 60:.1f} minutes; "
        f"Python {platform.python_version()}, ray {version('ray')}, optuna {version('optuna')}"
    )
    for name, value in dataclasses.asdict(counts).items():
        say(f"  {name.replace('_', ' ')}: {value}")
    say(f"  events: {kinds}")
    for quarter, (trials, megabytes, files) in enumerate(usage):
        used = f"{trials} trials ended, {megabytes} MB, {files} open files"
        say(f"  driver of the last run, quarter {quarter}: {used}")
    say(verdict)
    wrong = (
        *(counts.trials_lost, counts.epochs_twice, counts.epochs_missing),
        counts.begun_further_back,
    )
    return 0 if counts.trials == arguments.trials and not any(wrong) else 1


def _kill_again_and_again(study: StudyFolder, kills: int, draw: random.Random) -> None:
    for number in range(1, kills + 1):
        moment = _die_once(study, draw)
        study.check_that_no_row_is_lost()
        rows = ", ".join(f"{count} {name}" for name, count in study.rows.items())
        say(f"kill {number:3d}, {moment}: {rows or 'nothing on disk yet'}")


def _die_once(study: StudyFolder, draw: random.Random) -> str:
    """Starts a driver and kills it at a random moment; says which."""
    driver = study.start()
    early = draw.random() < EARLY_SHARE
    seconds = draw.uniform(*(EARLY_SECONDS if early else WORKING_SECONDS))
    if not early and not study.wait_for_epoch(driver, study.epochs_begun() + 1):
        sys.exit(f"the study ended after {study.deaths} kills:\n{driver.communicate()[0]}")
    time.sleep(seconds)
    if driver.poll() is not None:
        sys.exit(f"the study ended after {study.deaths} kills:\n{driver.communicate()[0]}")
    study.kill(driver)
    return f"{seconds:.1f} s after its {'start' if early else 'first epoch'}"


def _finish(study: StudyFolder) -> list[tuple[int, int, int]]:
    """Runs the last driver to its end; at five moments, the trials ended, its memory and files."""
    driver = study.start()
    of_driver, seen = Path("/proc") / str(driver.pid), []
    reader = threading.Thread(target=lambda: seen_output.append(driver.communicate()[0]))
    seen_output: list[str] = []
    reader.start()
    while reader.is_alive():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, StopIteration):
            ended = int((study.table("trials").status != "running").sum())
            status = (of_driver / "status").read_text().splitlines()
            memory = next(line for line in status if line.startswith("VmRSS"))
            seen.append(
                (ended, int(memory.split()[1]) >> 10, len(list((of_driver / "fd").iterdir())))
            )
        reader.join(timeout=5)
    if driver.returncode != 0:
        sys.exit(f"the last run ended with {driver.returncode}:\n{seen_output[0]}")
    return [seen[round(share * (len(seen) - 1) / 4)] for share in range(5)]


@contextlib.contextmanager
def _cluster(*, shared: bool) -> Iterator[str]:
    """What drivers are given as address: a cluster that outlives them, or one for each."""
    if not shared:
        yield "local"
        return
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often the driver is killed (50)")
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of the study ({TRIALS})")
    parser.add_argument(
        "--faults",
        action="store_true",
        help=f"shares of trials that have a fault of their own: {FAULT_RATES}",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument(
        "--own-clusters", action="store_true", help="each driver starts a Ray cluster of its own"
    )
    return parser


def say(text: str, end: str = "\n") -> None:
    """Prints at once, also into a file."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
