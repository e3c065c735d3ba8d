"""What KubeRay is to Ray, on one host: Kubernetes' API with a RayCluster, whose pods are raylets.

Run on the host as `kuberay_stub.py RAYCLUSTER PORT SECONDS`: a JSON file, where to listen, and
how long a pod takes before its Ray starts. It uses none of KubeRay's code: what is tried with it is
Ray's own autoscaler (`ray kuberay-autoscaler`), which reads and changes the resource by this API.
"""

import itertools
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from kubernetes_api import TOKEN, Api, Resource, serving

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A worker: its group, and the `ray start --block` that is its container."""

    group: str
    process: subprocess.Popen[bytes]


class Operator(Api):
    """The API, and pods as many as the RayCluster asks for."""

    def __init__(self, cluster: Resource, seconds: float) -> None:
        """There is the head's pod alone."""
        super().__init__(cluster)
        self._seconds = seconds
        self._pods: dict[str, Pod] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def get(self, path: str) -> tuple[int, Resource]:
        """Pods are those that have not ended."""
        if path != f"/api/v1/namespaces/{self.cluster['metadata']['namespace']}/pods":
            return super().get(path)
        with self._lock:
            self._reconcile()
            running = dict(self._pods)
        pods = [self._pod(os.environ["RAY_CLOUD_INSTANCE_ID"], "head", "headgroup")]
        pods += [self._pod(name, "worker", pod.group) for name, pod in running.items()]
        return 200, {"metadata": {"resourceVersion": "1"}, "items": pods}

    def patch(self, path: str, changes: list[Resource]) -> tuple[int, Resource]:
        """Changes the RayCluster, and then the pods."""
        if path != self.path:
            return 404, {}
        for change in changes:
            *parents, name = change["path"].strip("/").split("/")
            place = self.cluster
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place[key]
            place[name] = change["value"]
        with self._lock:
            self._reconcile()
        return 200, self.cluster

    def _reconcile(self) -> None:
        """Ends the pods that are to be deleted, and makes as many as are asked for and missing."""
        self._pods = {n: p for n, p in self._pods.items() if p.process.poll() is None}
        for group in self.cluster["spec"]["workerGroupSpecs"]:
            ended = set(group.get("scaleStrategy", {}).get("workersToDelete", []))
            for name in ended & set(self._pods):
                self._pods[name].process.terminate()
            there = {n for n, p in self._pods.items() if p.group == group["groupName"]} - ended
            # One after the other: two raylets that start at once on one host take the same name.
            for place in range(group["replicas"] - len(there)):
                name = f"{group['groupName']}-worker-{next(self._numbers)}"
                process = self._start(name, group, self._seconds * (place + 1))
                self._pods[name] = Pod(group=group["groupName"], process=process)

    def _start(self, name: str, group: Resource, seconds: float) -> subprocess.Popen[bytes]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        start = (
            f"sleep {seconds}; exec ray start --block --address=$HEAD_ADDRESS "
            f"--num-cpus={limits['cpu']} --num-gpus={limits['nvidia.com/gpu']} "
            "--object-store-memory=100000000"
        )
        own = {"RAY_CLOUD_INSTANCE_ID": name, "RAY_NODE_TYPE_NAME": group["groupName"]}
        return subprocess.Popen(["bash", "-c", start], env={**os.environ, **own})

    def _pod(self, name: str, kind: str, group: str) -> Resource:
        return {
            "metadata": {"name": name, "labels": {"ray.io/node-type": kind, "ray.io/group": group}},
            "status": {"podIP": "127.0.0.1", "containerStatuses": [{"state": {"running": {}}}]},
        }


def main(cluster: str, port: str, seconds: str) -> None:
    """Answers until it is killed."""
    ACCOUNT.mkdir(parents=True, exist_ok=True)
    (ACCOUNT / "token").write_text(TOKEN)
    content = json.loads(Path(cluster).read_text(encoding="utf-8"))
    with serving(Operator(content, float(seconds)), ACCOUNT, int(port)):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
