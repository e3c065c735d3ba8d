"""deploy/kubernetes/study.yaml without Kubernetes: Ray's own autoscaler for KubeRay on a stand-in.

Head, autoscaler and driver run with the variables and commands that KubeRay gives them. This shows
that a study starts with no GPU worker and gets them, with either version of the autoscaler, what a
head that ends does, and that it goes on afterwards; not what KubeRay and Kubernetes do.
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from deploy_rules import read_config
from hosts import ADDRESSES, ROOT, SHARED_AT, Hosts, wait_for
from kubernetes_rules import STUDY, containers, ray_cluster
from on_premises import SMALL, home_files

LOGS = ROOT / ".cluster-test" / "kuberay"
HEADS = {"v2": "head", "v1": "w1"}
PORT = "6443"
DASHBOARD = "http://127.0.0.1:8265"
IN_SMALL = (
    "--families curve --dataset digits --epochs 4 --grace-period 2 --set space.curve.fault=none "
    "--seeds 1 --trials 4"
)
pytestmark = pytest.mark.hosts


def manifest() -> dict:
    """The file of the project, with two workers at most and a short time without work."""
    study = read_config(STUDY)
    cluster = study["spec"]["rayClusterSpec"]
    cluster["autoscalerOptions"]["idleTimeoutSeconds"] = 15
    cluster["workerGroupSpecs"][0]["maxReplicas"] = 2
    return study


def exports(version: str) -> str:
    """What the containers of the head's pod find in their environment, and what tests need."""
    name = ray_cluster(manifest())["metadata"]["name"]
    address = f"{ADDRESSES[HEADS[version]]}:6379"
    given = {each["name"]: each["value"] for each in containers(manifest())[0]["env"]}
    variables = {
        **given,
        "PATH": "$HOME/study-env/bin:$PATH",
        "PYTHONPATH": ":".join(str(ROOT / each) for each in ("", "tests/support", "tests/cluster")),
        "HEAD_ADDRESS": address,
        "RAY_ADDRESS": address,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "made-up-token-of-this-cluster-0123456789",
        "RAY_CLUSTER_NAME": name,
        "RAY_CLUSTER_NAMESPACE": "default",
        "RAY_CLOUD_INSTANCE_ID": f"{name}-head",
        "RAY_NODE_TYPE_NAME": "headgroup",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_autoscaler_v2": "true" if version == "v2" else "false",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT_HTTPS": PORT,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "STUDY_FAMILY_PATH": str(ROOT / "tests" / "families"),
        "STUDY_CURVE_EPOCH_SECONDS": "2",
    }
    return "; ".join(f'export {key}="{value}"' for key, value in variables.items())


class Head:
    """The head's pod of one version of the autoscaler."""

    def __init__(self, hosts: Hosts, version: str) -> None:
        self._hosts, self.version = hosts, version
        self.results = hosts.shared / version

    def run(self, command: str) -> tuple[int, str]:
        done = self._hosts.run(HEADS[self.version], f"{exports(self.version)}; cd /tmp; {command}")
        return done.returncode, done.stdout + done.stderr

    def start(self, name: str, command: str) -> None:
        """Starts what runs beside; its output is kept."""
        log = f"{SHARED_AT}/{self.version}-{name}.log"
        self.run(f"nohup {command} > {log} 2>&1 < /dev/null &")

    def start_autoscaler(self) -> None:
        """KubeRay comes: its operator and API, and the autoscaler's container."""
        file = self._hosts.shared / "raycluster.json"
        file.write_text(json.dumps(ray_cluster(manifest())), encoding="utf-8")
        script = ROOT / "tests" / "cluster" / "kuberay_stub.py"
        self.start("operator", f"python {script} {SHARED_AT}/raycluster.json {PORT} 5")
        wanted = "test -e /var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
        wait_for("the API", lambda: self.run(wanted)[0] == 0, 60, every=0.5)
        names = "--cluster-name $RAY_CLUSTER_NAME --cluster-namespace $RAY_CLUSTER_NAMESPACE"
        self.start("autoscaler", f"ray kuberay-autoscaler {names}")

    def workers(self) -> int:
        """How many raylets there are beside the head's."""
        running = self._hosts.processes(HEADS[self.version]).values()
        return sum("raylet/raylet" in command.partition(" ")[0] for command in running) - 1

    def entrypoint(self) -> str:
        """The driver's command of study.yaml, with a small study."""
        command: str = manifest()["spec"]["entrypoint"]
        for text, instead in {
            "--families all": IN_SMALL,
            f"{SHARED_AT}/results": f"{SHARED_AT}/{self.version}",
        }.items():
            assert text in command
            command = command.replace(text, instead)
        return command

    def submit(self, job: str) -> None:
        """As KubeRay's pod does."""
        options = f"--address {DASHBOARD} --submission-id {job} --no-wait"
        code, said = self.run(f"ray job submit {options} -- {self.entrypoint()}")
        assert code == 0, said

    def status(self, job: str) -> str:
        return self.run(f"ray job status --address {DASHBOARD} {job}")[1]

    def printed(self, job: str) -> str:
        return " ".join(self.run(f"ray job logs --address {DASHBOARD} {job}")[1].split())

    def wait(self, job: str, status: str, seconds: float = 900) -> None:
        ends = ("succeeded", "failed", "stopped")
        wait_for(f"the end of {job}", lambda: any(e in self.status(job) for e in ends), seconds)
        assert status in self.status(job), self.printed(job)

    def rows(self) -> pd.DataFrame:
        path = self.results / "first" / "epochs.parquet"
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()


@pytest.fixture(scope="module")
def hosts(alone: None) -> Iterator[Hosts]:  # noqa: ARG001 (asked for to be alone)
    shutil.rmtree(LOGS, ignore_errors=True)
    with Hosts(home_files()) as found:
        yield found
        found.keep_logs(LOGS)
        for log in Path(found.shared).glob("*.log"):
            shutil.copy(log, LOGS)


@pytest.fixture(params=HEADS)
def head(hosts: Hosts, request: pytest.FixtureRequest) -> Iterator[Head]:
    """Ray's head as KubeRay starts it, without anything of KubeRay's beside it yet."""
    found = Head(hosts, request.param)
    start = (
        f"ray start --head --port=6379 --num-cpus=0 --num-gpus=0 {SMALL} --no-monitor "
        "--dashboard-host=0.0.0.0 --metrics-export-port=8080 --dashboard-agent-listen-port=52365"
    )
    for tries_left in (1, 0):  # a busy machine can be too slow for Ray's 30 seconds
        code, said = found.run(start)
        if code == 0 or not tries_left:
            break
        found.run("ray stop --force")
    assert code == 0, said
    yield found
    found.run("ray stop --force")


def test_a_study_gets_gpu_workers_from_none_ends_with_its_head_and_goes_on(head: Head) -> None:
    # Nothing can be read: no silent study on CPUs, and nothing is written.
    place = f"{SHARED_AT}/{head.version}"
    study = f"python -m orchestrator.study {IN_SMALL} --name first --results-dir {place}"
    code, said = head.run(study)
    assert code == 3, said
    assert "name --gpus-per-trial 0" in said.splitlines()[-1], said
    assert "Traceback" not in said
    assert not head.results.exists()

    # What KubeRay asks without a token: the pod's probes, and its pod that submits.
    for address in ("http://localhost:52365/api/healthz", f"{DASHBOARD}/api/gcs_healthz"):
        ask = f"import urllib.request as u; print(u.urlopen('{address}').read())"
        assert "success" in head.run(f'python -c "{ask}"')[1]

    head.start_autoscaler()
    head.submit("first")
    wait_for("the first worker", lambda: head.workers() > 0, 300, every=0.5)
    wait_for("rows", lambda: len(head.rows()) > 1, 300, every=0.5)
    assert "0 GPUs; 2 trials at a time, each on 1 CPU and 1 GPU" in head.printed("first")
    assert "trials wait for the first node that the autoscaler starts" in head.printed("first")
    assert head.workers() <= 2

    stop = containers(manifest())[0]["lifecycle"]["preStop"]["exec"]["command"]
    code, said = head.run(shlex.join(stop))
    assert code == 0, said
    head.wait("first", "stopped", 30)
    before = head.rows()
    assert "--resume first" in head.printed("first")

    head.submit("second")
    head.wait("second", "succeeded")
    after = head.rows()
    kept = before.merge(after, on=["trial_id", "epoch", "validation_accuracy"])
    assert len(kept) == len(before)
    assert not after.duplicated(["trial_id", "epoch"]).any()
    code, said = head.run(f"python -m orchestrator.verify {place}/first")
    assert code == 0, said
    if head.version == "v2":  # the other knows workers by their addresses, and here all have one
        wait_for("the end of the idle workers", lambda: head.workers() == 0, 300, every=1)
