"""`ray up` for real, on three hosts on this machine: a study on two workers, one of which dies.

Run with `make cluster-test`, alone: about five minutes. The tests share one cluster and build on
each other, so they run in their order. Logs and what was measured are kept in `.cluster-test/`.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from harness import DEATH, StudyFolder, count
from hosts import ADDRESSES, ROOT, SHARED_AT, Hosts, wait_for
from on_premises import OnPremises, home_files
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.run.metrics import METRICS

LOGS = ROOT / ".cluster-test" / "ray-up"
TRIALS = 12
STUDY = (
    f"--families curve --dataset digits --set space.curve.fault=none --trials {TRIALS} "
    f"--epochs 6 --grace-period 2 --seeds 2 --results-dir {SHARED_AT}/results"
)
pytestmark = pytest.mark.hosts


@dataclass(frozen=True)
class Cluster:
    """The running cluster: its hosts, and the user's side of it."""

    hosts: Hosts
    ray: OnPremises
    forward: contextlib.ExitStack

    def study(self, name: str) -> StudyFolder:
        """A study on the cluster, as its folder looks from here."""
        return StudyFolder(self.hosts.shared / "results", STUDY.split(), "auto", name=name)

    def submit(self, name: str, arguments: str, *, epoch_seconds: float) -> None:
        """Submits the main job with the test's family, whose epochs take `epoch_seconds`."""
        self.ray.submit(
            name,
            f"python -m orchestrator.study {arguments}",
            STUDY_FAMILY_PATH=f"{SHARED_AT}/families",
            STUDY_CURVE_LEDGER=f"{SHARED_AT}/results/ledger",
            STUDY_CURVE_EPOCH_SECONDS=f"{epoch_seconds:g}",
        )


@pytest.fixture(scope="module")
def cluster(alone: None) -> Iterator[Cluster]:  # noqa: ARG001 (asked for to be alone)
    """The cluster after `ray up`, with one retry of the start: a busy machine can be too slow."""
    shutil.rmtree(LOGS, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        try:
            started = start(stack, LOGS / "start-1")
        except (AssertionError, TimeoutError) as error:
            stack.close()
            note(f"the first start failed and is tried once more: {error}")
            started = start(stack, LOGS / "start-2")
        yield started


def start(stack: contextlib.ExitStack, logs: Path) -> Cluster:
    """Starts hosts and cluster; the stack ends them, and keeps their logs before."""
    logs.mkdir(parents=True)
    hosts = stack.enter_context(Hosts(home_files()))
    stack.callback(hosts.keep_logs, logs)
    shutil.copytree(ROOT / "tests" / "families", hosts.shared / "families")
    (hosts.shared / "results").mkdir()
    ray = OnPremises(hosts, logs)
    began = time.monotonic()
    ray.up()
    note(f"ray up: {time.monotonic() - began:.0f} s")
    forward = stack.enter_context(contextlib.ExitStack())
    forward.enter_context(ray.forwarded())
    wait_for("three nodes", lambda: ray.alive() >= {"head", "w1", "w2"}, 600, every=2)
    note(f"three nodes: {time.monotonic() - began:.0f} s")
    return Cluster(hosts, ray, forward)


def note(text: str) -> None:
    """Keeps what was measured."""
    with (LOGS / "measured.log").open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


@pytest.fixture(scope="module")
def finished(cluster: Cluster) -> StudyFolder:
    """A study of 12 trials on both workers, one of which loses its power in the middle."""
    study = cluster.study("first")
    began = time.monotonic()
    cluster.submit("first", f"{STUDY} --name first", epoch_seconds=1.5)
    wait_for("trials on both workers", lambda: ended_on(study) >= {"w1", "w2"}, 600, every=1)
    wait_for("all of its numbers", lambda: all_published(cluster), 60, every=1)
    wait_for("a trial under way on w1", lambda: under_way(study, "w1"), 300, every=0.2)
    study.check_that_no_row_is_lost()
    assert any("raylet/raylet" in command for command in cluster.hosts.processes("w1").values())
    cluster.hosts.lose_power("w1")
    study.deaths += 1
    with study.ledger.open("a", encoding="utf-8") as ledger:
        ledger.write(f"{DEATH} {study.deaths}\n")
    assert cluster.ray.wait_for_end("first", 900) == "SUCCEEDED", cluster.ray.printed("first")
    note(f"the study: {time.monotonic() - began:.0f} s")
    return study


def all_published(cluster: Cluster) -> bool:
    """Whether the head's metrics, which are kept, have each of the study's; they come later."""
    published = cluster.ray.metrics("head")  # the driver's own come with those of its node
    return all(metric.exported_name in published for metric in METRICS)


def ended_on(study: StudyFolder) -> set[str]:
    """The nodes on which trials have ended."""
    if not (study.folder / "trials.parquet").exists():
        return set()
    trials = study.table("trials")
    return set(trials[trials.status.isin(["completed", "stopped"])].node.dropna())


def under_way(study: StudyFolder, node: str) -> bool:
    """Whether a trial on the node has reported an epoch and trains on."""
    trials = study.table("trials")
    return bool(((trials.status == "running") & (trials.node == node)).any())


def test_a_job_without_the_token_or_with_another_is_refused(cluster: Cluster) -> None:
    command = ("job", "submit", "--address", cluster.ray.url, "--", "echo", "let in")
    for token, answer in ((None, "Missing authentication token"), ("0" * 64, "Invalid auth")):
        refused = cluster.ray.ray(*command, token=token)
        assert refused.returncode != 0
        assert answer in refused.stderr, refused.stdout + refused.stderr
    assert cluster.ray.get("/api/jobs/") == []


def test_the_dashboard_listens_on_the_head_itself_alone(cluster: Cluster) -> None:
    listening = cluster.hosts.run("head", "ss -Hltn 'sport = :8265'").stdout
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:8265"]


def test_a_study_completes_on_both_workers_and_none_of_its_rows_is_lost(
    finished: StudyFolder,
) -> None:
    trials = finished.table("trials")
    assert set(trials.node) == {"w1", "w2"}
    assert trials.status.isin(["completed", "stopped"]).all()
    counted = count(finished, trials=TRIALS)
    assert (counted.trials, counted.trials_lost) == (TRIALS, 0)
    assert (counted.epochs_twice, counted.epochs_missing, counted.begun_further_back) == (0, 0, 0)
    finished.check_that_no_row_is_lost()
    assert finished.study()["outcome"] == "completed"
    note(str(counted))


def test_the_studys_numbers_were_at_the_heads_metrics_end_point(
    cluster: Cluster, finished: StudyFolder
) -> None:
    published = {
        sample.name: sample.value
        for metric in text_string_to_metric_families(cluster.ray.kept_metrics("head"))
        for sample in metric.samples
        if sample.labels.get("study") == "first" and sample.labels.get("state") in {None, "running"}
    }
    assert set(published) == {metric.exported_name for metric in METRICS}
    epochs = finished.table("epochs").sort_values("sequence")
    so_far = epochs.head(int(published["ray_study_epochs_total"]))
    best = published["ray_study_best_validation_accuracy"]
    assert best == pytest.approx(so_far.validation_accuracy.max(), abs=1e-12)
    assert 0 < len(so_far) < len(epochs)
    assert 1 <= published["ray_study_trials"] <= 2  # that ran, one GPU each
    spent = finished.table("trials").device_seconds.sum()
    assert 0 < published["ray_study_device_seconds"] < spent
    note(f"published in the middle: {published}")


def test_what_ran_on_the_lost_worker_went_on_elsewhere(finished: StudyFolder) -> None:
    trials, events = finished.table("trials"), finished.table("events")
    again = set(trials[trials.attempts > 1].trial_id)
    assert again
    assert set(events[events.kind != "test_opened"].trial_id) == again
    note(f"attempts again: {sorted(again)}")


def test_its_tables_are_those_of_a_local_study(
    finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from in_process import Driver

    monkeypatch.setenv("STUDY_FAMILY_PATH", str(ROOT / "tests" / "families"))
    settings = {"trials": TRIALS, "epochs": 6, "grace_period": 2, "seeds": 2, "seed": 0}
    local = Driver(tmp_path, monkeypatch, settings)
    assert local.start(order=0)
    names = {path.name for path in local.folder.glob("*.parquet")}
    assert {path.name for path in finished.folder.glob("*.parquet")} == names
    for name in names:
        here, there = (pd.read_parquet(f / name) for f in (local.folder, finished.folder))
        assert here.dtypes.astype(str).to_dict() == there.dtypes.astype(str).to_dict()
    columns = ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
    here, there = (pd.read_parquet(f / "epochs.parquet") for f in (local.folder, finished.folder))
    baseline = [table[table.trial_id == "curve-000"][columns] for table in (here, there)]
    assert baseline[0].to_numpy().tolist() == baseline[1].to_numpy().tolist()


def test_verify_on_the_head_finds_nothing_wrong(cluster: Cluster, finished: StudyFolder) -> None:
    command = f"python -m orchestrator.verify {SHARED_AT}/results/{finished.name}"
    done = cluster.ray.ray("exec", "--no-config-cache", str(cluster.ray.file), command)
    assert "checks, nothing wrong" in done.stdout, done.stdout + done.stderr


def test_rsync_down_brings_all_of_its_results(
    cluster: Cluster, finished: StudyFolder, tmp_path: Path
) -> None:
    source = f"{SHARED_AT}/results/{finished.name}/"
    done = cluster.ray.ray("rsync-down", str(cluster.ray.file), source, f"{tmp_path}/brought/")
    assert done.returncode == 0, done.stdout + done.stderr
    brought = sorted(
        path.relative_to(tmp_path / "brought") for path in tmp_path.rglob("brought/**/*")
    )
    assert brought == sorted(
        path.relative_to(finished.folder) for path in finished.folder.rglob("*")
    )
    for path in finished.folder.glob("*.parquet"):
        assert (tmp_path / "brought" / path.name).read_bytes() == path.read_bytes()


def test_a_results_folder_that_the_workers_do_not_share_is_refused_in_one_line(
    cluster: Cluster,
) -> None:
    arguments = STUDY.replace(SHARED_AT, "/tmp/of-the-head")
    cluster.submit("unshared", f"{arguments} --name unshared", epoch_seconds=0)
    assert cluster.ray.wait_for_end("unshared", 300) == "FAILED"
    last = cluster.ray.printed("unshared").strip().splitlines()[-1]
    assert last.startswith("study: w1 must see the same results folder as the driver, but finds no")
    assert cluster.hosts.run("head", "find /tmp/of-the-head").stdout == ""
    assert cluster.ray.get("/api/jobs/unshared")["driver_exit_code"] == 3


def test_a_stopped_job_says_how_to_go_on_and_another_one_ends_the_study(cluster: Cluster) -> None:
    study = cluster.study("stopped")
    cluster.submit("stopped", f"{STUDY} --name stopped", epoch_seconds=60)
    wait_for("a trial", (study.folder / "trials.parquet").exists, 300, every=1)
    began = time.monotonic()
    stopped = cluster.ray.ray("job", "stop", "--address", cluster.ray.url, "stopped")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert cluster.ray.wait_for_end("stopped", 120) == "STOPPED"
    note(f"job stop: {time.monotonic() - began:.0f} s")
    assert "--resume stopped" in cluster.ray.printed("stopped")
    assert study.study()["outcome"] == "interrupted"
    go_on = f"--resume stopped --results-dir {SHARED_AT}/results"
    cluster.submit("resumed", go_on, epoch_seconds=0)
    assert cluster.ray.wait_for_end("resumed", 900) == "SUCCEEDED", cluster.ray.printed("resumed")
    assert study.study()["outcome"] == "completed"
    assert [run["outcome"] for run in study.study()["runs"]] == ["interrupted", "completed"]


def test_ray_down_leaves_no_process_on_any_host(cluster: Cluster) -> None:
    cluster.forward.close()
    cluster.ray.down()
    began = time.monotonic()

    def left() -> list[str]:
        return [c for host in ADDRESSES for c in cluster.hosts.processes(host).values()]

    # The workers' raylets notice the end of their head a minute later.
    wait_for("the end of all processes", lambda: not left(), 240, every=2)
    note(f"no process on any host {time.monotonic() - began:.0f} s after ray down")
