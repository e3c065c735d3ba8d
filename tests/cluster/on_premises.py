"""The cluster of deploy/on-premises.yaml on the test hosts, through Ray's own command line."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hosts import ADDRESSES, ROOT, Hosts, wait_for

FILE = ROOT / "deploy" / "on-premises.yaml"
METRICS_PORT = 8090
RAY = str(Path(sys.executable).with_name("ray"))
# What stands for GPUs, and what three hosts on one small machine can have.
SMALL = "--object-store-memory=100000000"
FAKE_GPU = f"--num-cpus=1 --num-gpus=1 {SMALL}"


def home_files() -> dict[str, Path | str]:
    """The environment as `set_up_node.sh` leaves it, so that the hosts need no network for it."""
    parts = (ROOT / "deploy" / "set_up_node.sh", ROOT / "requirements.lock")
    made = "".join(part.read_text(encoding="utf-8") for part in parts)
    return {"study-env": Path(sys.prefix), "study-env.made": made}


class OnPremises:
    """A user's side of the cluster: a home with the token and the file filled in.

    Attributes:
        file: The file, filled in.
        url: Of the dashboard, once `forwarded`.
    """

    def __init__(self, hosts: Hosts, logs: Path) -> None:
        """Makes the token and fills the file in; nothing is started."""
        self._hosts, self._logs = hosts, logs
        self._home = hosts.folder / "user"
        self._home.mkdir()
        self.file, self.url = self._home / "on-premises.yaml", ""
        self.file.write_text(yaml.safe_dump(self._filled_in()), encoding="utf-8")
        self.ray("get-auth-token", "--generate")

    @property
    def token(self) -> str:
        return (self._home / ".ray" / "auth_token").read_text(encoding="utf-8").strip()

    def ray(
        self, *arguments: str, token: str | None = "", seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs Ray's command line on the user's machine, and keeps what it printed.

        Args:
            arguments: As typed.
            token: The user's own if empty; None for a user who has none.
            seconds: Limit of the time it may take.
        """
        done = subprocess.run(
            [RAY, *arguments],
            cwd=ROOT,
            env=self._environment(token),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        with (self._logs / "commands.log").open("a", encoding="utf-8") as log:
            log.write(f"$ ray {' '.join(arguments)}\n{done.stdout}{done.stderr}")
            log.write(f"exit code {done.returncode}\n\n")
        return done

    def up(self) -> None:
        """Starts the cluster."""
        done = self.ray("up", "-y", "--no-config-cache", str(self.file), seconds=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def down(self) -> None:
        """Ends it."""
        done = self.ray("down", "-y", str(self.file), seconds=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[None]:
        """Inside, the dashboard can be reached from the user's machine."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with (self._logs / "dashboard.log").open("ab") as log:
            forward = subprocess.Popen(
                [RAY, "dashboard", str(self.file), "--port", str(port), "--no-config-cache"],
                cwd=ROOT,
                env=self._environment(""),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.url = f"http://127.0.0.1:{port}"
            wait_for("the dashboard", lambda: self.answers("/api/version"), 120)
            yield
        finally:
            os.killpg(forward.pid, signal.SIGTERM)
            forward.wait()

    def get(self, path: str) -> Any:
        """What the dashboard's interface answers."""
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def answers(self, path: str) -> bool:
        try:
            self.get(path)
        except OSError:
            return False
        return True

    def alive(self) -> set[str | None]:
        """The names of the nodes that are alive."""
        try:
            nodes = self.get("/nodes?view=summary")["data"]["summary"]
        except OSError:
            return set()
        return {node.get("hostname") for node in nodes if node["raylet"].get("state") == "ALIVE"}

    def metrics(self, host: str) -> str:
        """What Prometheus would read from a node now; kept in the logs too."""
        with urllib.request.urlopen(f"http://{ADDRESSES[host]}:{METRICS_PORT}/metrics") as answer:
            text: str = answer.read().decode()
        (self._logs / f"metrics-{host}.txt").write_text(text, encoding="utf-8")
        return text

    def kept_metrics(self, host: str) -> str:
        """What `metrics` read last."""
        return (self._logs / f"metrics-{host}.txt").read_text(encoding="utf-8")

    def submit(self, name: str, entrypoint: str, **variables: str) -> None:
        """Submits a job that outlives this process, with environment variables of its own."""
        given = json.dumps({"env_vars": variables})
        arguments = ("--address", self.url, "--submission-id", name, "--no-wait")
        arguments += ("--runtime-env-json", given) if variables else ()
        done = self.ray("job", "submit", *arguments, "--", *entrypoint.split())
        assert done.returncode == 0, done.stdout + done.stderr

    def status(self, job: str) -> str:
        """`PENDING`, `RUNNING`, `SUCCEEDED`, `FAILED` or `STOPPED`."""
        return str(self.get(f"/api/jobs/{job}")["status"])

    def printed(self, job: str) -> str:
        """What a job has printed; kept in the logs too."""
        text = str(self.get(f"/api/jobs/{job}/logs")["logs"])
        (self._logs / f"{job}.log").write_text(text, encoding="utf-8")
        return text

    def wait_for_end(self, job: str, seconds: float) -> str:
        """Waits for the end of a job; how it ended."""
        ended = {"SUCCEEDED", "FAILED", "STOPPED"}
        wait_for(f"the end of {job}", lambda: self.status(job) in ended, seconds, every=1)
        self.printed(job)
        return self.status(job)

    def _filled_in(self) -> dict[str, Any]:
        """The file as a user fills it in; the machines' GPUs and memory are stood in for."""
        text = FILE.read_text(encoding="utf-8")
        values = {
            "FILL_IN_HEAD": ADDRESSES["head"],
            "FILL_IN_WORKER_1": ADDRESSES["w1"],
            "FILL_IN_WORKER_2": ADDRESSES["w2"],
            "FILL_IN_USER": "root",
            "FILL_IN_KEY": str(self._hosts.key),
        }
        for place, value in values.items():
            text = text.replace(place, value)
        config: dict[str, Any] = yaml.safe_load(text)
        assert config.pop("worker_setup_commands"), "no GPU here, so CUDA cannot work"
        for commands, more in (("head", SMALL), ("worker", FAKE_GPU)):
            config[f"{commands}_start_ray_commands"][-1] += f" {more}"
        return config

    def _environment(self, token: str | None) -> dict[str, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "RAY_TMPDIR": str(self._home),
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        if token is None:  # RAY_AUTH_MODE is what somebody without a token can choose
            return {**environment, "HOME": str(self._hosts.folder), "RAY_AUTH_MODE": "disabled"}
        return {
            **environment,
            "RAY_AUTH_MODE": "token",
            **({"RAY_AUTH_TOKEN": token} if token else {}),
        }
