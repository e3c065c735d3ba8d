"""deploy/slurm.sbatch for real: Slurm's own daemons, a study on two hosts by `ray symmetric-run`.

Run with `make cluster-test`, alone: about ten minutes. GPUs are made up, and taken out of the file
but for the test that they are looked at.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
import slurm
from harness import DEATH, StudyFolder, count
from hosts import ROOT, SHARED_AT, Hosts, wait_for
from slurm import Slurm

LOGS = ROOT / ".cluster-test" / "slurm"
TRIALS = 6
STUDY = (
    f"--families curve --dataset digits --set space.curve.fault=none --trials {TRIALS} "
    "--epochs 4 --grace-period 2 --seeds 1"
)
RESULTS = f"{SHARED_AT}/results"  # a folder in it for each study, with its own ledger
LONGER_THAN_A_START = 5.0
"""Seconds of an epoch. Shorter trials may all run on one node while the other starts processes."""
NO_GPUS = "--gpus-per-node=0 --cpus-per-task=2"
pytestmark = [
    pytest.mark.hosts,
    pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not()),
]


@pytest.fixture(scope="module")
def hosts(alone: None) -> Iterator[Hosts]:  # noqa: ARG001 (asked for to be alone)
    shutil.rmtree(LOGS, ignore_errors=True)
    with Hosts({}) as hosts:
        shutil.copytree(ROOT / "tests" / "families", hosts.shared / "families")
        yield hosts


@pytest.fixture(scope="module")
def cluster(hosts: Hosts) -> Iterator[Slurm]:
    started = Slurm(hosts)
    yield started
    started.keep_logs(LOGS)


def submit(cluster: Slurm, name: str, arguments: str = STUDY, *, epoch_seconds: float = 1.0) -> str:
    """Submits a study whose epochs take `epoch_seconds`."""
    return cluster.submit(
        name,
        arguments,
        NO_GPUS,
        STUDY_RESULTS_DIR=f"{RESULTS}/{name}",
        STUDY_FAMILY_PATH=f"{SHARED_AT}/families",
        STUDY_CURVE_LEDGER=f"{RESULTS}/{name}/ledger",
        STUDY_CURVE_EPOCH_SECONDS=f"{epoch_seconds:g}",
    )


def study_of(hosts: Hosts, name: str) -> StudyFolder:
    """A study of a job, as its folder looks from here."""
    return StudyFolder(hosts.shared / "results" / name, STUDY.split(), "auto", name=name)


def note_death(study: StudyFolder) -> None:
    """Notes in the ledger that processes were ended, so that epochs may begin again."""
    study.deaths += 1
    with study.ledger.open("a", encoding="utf-8") as ledger:
        ledger.write(f"{DEATH} {study.deaths}\n")


def note(text: str) -> None:
    """Keeps what was measured."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "measured.log").open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def ray_of(hosts: Hosts, host: str) -> list[str]:
    """The processes of Ray on a host."""
    return [command for command in hosts.processes(host).values() if "ray" in command]


def trials_on(hosts: Hosts, host: str) -> list[str]:
    """The processes on a host that train trials, or could."""
    return [command for command in hosts.processes(host).values() if "ray::" in command]


def test_a_gpu_that_does_not_compute_is_refused_before_ray_starts(cluster: Slurm) -> None:
    job = cluster.submit("no-cuda", STUDY, "--cpus-per-task=2", STUDY_RESULTS_DIR=RESULTS)
    assert cluster.wait_for_end(job, 300) == ("FAILED", "3:0"), cluster.printed("no-cuda", job)
    last = cluster.printed("no-cuda", job).strip().splitlines()[-1]
    assert last.startswith("slurm.sbatch: torch must compute on every GPU of every node")


def test_wrong_input_ends_the_job_with_the_studys_line_and_code(cluster: Slurm) -> None:
    job = submit(cluster, "wrong", "--families curv")
    assert cluster.wait_for_end(job, 300) == ("FAILED", "2:0"), cluster.printed("wrong", job)
    assert "unknown family 'curv'" in cluster.printed("wrong", job)


def test_a_study_runs_on_both_nodes_and_leaves_nothing_but_its_results(
    cluster: Slurm, hosts: Hosts
) -> None:
    began = time.monotonic()
    job = submit(cluster, "first", epoch_seconds=LONGER_THAN_A_START)
    study = study_of(hosts, "first")
    wait_for("a table", (study.folder / "trials.parquet").exists, 300, every=0.5)
    own = study.results / f".slurm-{job}"
    assert own.stat().st_mode & 0o777 == 0o700
    assert (own / "auth_token").stat().st_mode & 0o777 == 0o600
    note(f"sbatch to the first table: {time.monotonic() - began:.0f} s")
    assert cluster.wait_for_end(job, 600) == ("COMPLETED", "0:0"), cluster.printed("first", job)
    note(f"the study: {time.monotonic() - began:.0f} s")
    assert "2 nodes, 4 CPUs, 0 GPUs" in " ".join(cluster.printed("first", job).split())
    assert set(study.table("trials").node) == {"w1", "w2"}
    counted = count(study, trials=TRIALS)
    assert (counted.trials, counted.trials_lost) == (TRIALS, 0)
    assert (counted.epochs_twice, counted.epochs_missing) == (0, 0)
    assert not own.exists()
    for host in ("w1", "w2"):
        assert ray_of(hosts, host) == []
        assert hosts.run(host, "ls -d /tmp/study-*").stdout == ""


def test_a_job_whose_time_is_up_is_queued_again_and_goes_on(cluster: Slurm, hosts: Hosts) -> None:
    job = submit(cluster, "second", epoch_seconds=3)
    study = study_of(hosts, "second")
    wait_for("rows", (study.folder / "epochs.parquet").exists, 300, every=0.5)
    began = time.monotonic()
    # What Slurm itself sends two minutes before the end; a job cannot be as short as a test.
    cluster.run(f"scancel --batch --signal=USR1 {job}")
    wait_for("the queue", lambda: cluster.state(job)["Restarts"] == "1", 120, every=0.5)
    note(f"time is up to queued again: {time.monotonic() - began:.0f} s")
    assert study.study()["outcome"] == "interrupted"
    note_death(study)
    cluster.run(f"scontrol update jobid={job} starttime=now")  # Slurm waits two minutes
    assert cluster.wait_for_end(job, 900) == ("COMPLETED", "0:0"), cluster.printed("second", job)
    assert [run["outcome"] for run in study.study()["runs"]] == ["interrupted", "completed"]
    counted = count(study, trials=TRIALS)
    assert (counted.trials, counted.trials_lost) == (TRIALS, 0)
    assert (counted.epochs_twice, counted.epochs_missing, counted.begun_further_back) == (0, 0, 0)
    note(str(counted))


def test_a_lost_node_ends_neither_the_job_nor_a_trial(cluster: Slurm, hosts: Hosts) -> None:
    job = submit(cluster, "third", epoch_seconds=LONGER_THAN_A_START)
    study = study_of(hosts, "third")

    def under_way() -> bool:
        if not (study.folder / "trials.parquet").exists():
            return False
        trials = study.table("trials")
        return bool(((trials.status == "running") & (trials.node == "w2")).any())

    wait_for("a trial on w2", under_way, 300, every=0.5)
    for pid, command in hosts.processes("w2").items():
        if "raylet/raylet" in command.partition(" ")[0]:
            os.kill(pid, signal.SIGKILL)
    # A trial notices a moment later, and may begin an epoch until then.
    wait_for("the end of the trials on w2", lambda: not trials_on(hosts, "w2"), 60, every=0.2)
    note_death(study)
    assert cluster.wait_for_end(job, 900) == ("COMPLETED", "0:0"), cluster.printed("third", job)
    trials = study.table("trials")
    assert trials.status.isin(["completed", "stopped"]).all()
    assert (trials.attempts > 1).any()
    counted = count(study, trials=TRIALS)
    assert (counted.trials_lost, counted.epochs_twice, counted.epochs_missing) == (0, 0, 0)
    note(str(counted))


def test_a_job_that_somebody_queues_again_loses_an_epoch_at_most(
    cluster: Slurm, hosts: Hosts
) -> None:
    job = submit(cluster, "fourth", epoch_seconds=3)
    study = study_of(hosts, "fourth")
    wait_for("rows", (study.folder / "epochs.parquet").exists, 300, every=0.5)
    cluster.run(f"scontrol requeue {job}")  # ends all processes at once
    wait_for("the queue", lambda: cluster.state(job)["JobState"] == "PENDING", 120, every=0.5)
    note_death(study)
    cluster.run(f"scontrol update jobid={job} starttime=now")
    assert cluster.wait_for_end(job, 900) == ("COMPLETED", "0:0"), cluster.printed("fourth", job)
    assert [run["outcome"] for run in study.study()["runs"]][1:] == ["completed"]
    counted = count(study, trials=TRIALS)
    assert (counted.trials, counted.trials_lost) == (TRIALS, 0)
    assert (counted.epochs_twice, counted.epochs_missing, counted.begun_further_back) == (0, 0, 0)
    note(str(counted))
