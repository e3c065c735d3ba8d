"""Three hosts on one machine: each has its own network, processes, /tmp, /root, /mnt and sshd.

They are Linux namespaces on a bridge, so `ray up` meets what it meets on three machines: SSH
between addresses, rsync, a home of its own, ports that do not collide, a folder that all mount.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
BRIDGE, NETWORK = "studybr0", "10.77.0"
ADDRESSES = {"head": f"{NETWORK}.11", "w1": f"{NETWORK}.12", "w2": f"{NETWORK}.13"}
SHARED_AT = "/mnt/study"
PROGRAMS = (
    "ip",
    "unshare",
    "nsenter",
    "setpriv",
    "mount",
    "ssh",
    "ssh-keygen",
    "rsync",
    "/usr/sbin/sshd",
)
SSHD_CONFIG = """\
Port 22
HostKey /run/sshd/host_key
PidFile none
AuthorizedKeysFile .ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxSessions 100
MaxStartups 100
"""


def why_not() -> str:
    """Why this machine cannot have such hosts; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces need root on Linux"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} must be installed (openssh-server, rsync, iproute2)"
    for rights in (
        ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "true"],
        ["unshare", "--net", "ip", "link", "add", "try0", "type", "bridge"],
        ["unshare", "--net", "ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1"],
    ):
        tried = subprocess.run(rights, capture_output=True, text=True, check=False)
        if tried.returncode:
            return f"{' '.join(rights)} is not allowed here: {tried.stderr.strip()}"
    return ""


class Hosts:
    """The hosts, from `with` to its end.

    Attributes:
        folder: Holds what the hosts have for themselves; removed at the end.
        shared: The folder that all hosts see at `/mnt/study`, as this machine sees it.
        key: The SSH key that all hosts let in as root.
    """

    def __init__(self, home_files: Mapping[str, Path | str]) -> None:
        """Takes what lies in root's home on each host: a text, or the target of a link."""
        self.folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
        self.shared, self.key = self.folder / "shared", self.folder / "id"
        self._home_files = home_files
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Hosts":
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def run(self, host: str, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host, over SSH."""
        ssh = ["ssh", "-i", str(self.key), "-o", "StrictHostKeyChecking=no"]
        ssh += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        return subprocess.run(
            [*ssh, f"root@{ADDRESSES[host]}", command], capture_output=True, text=True, check=False
        )

    def processes(self, host: str) -> dict[int, str]:
        """Number to command line of a host's processes, its first process and sshd left out."""
        own = _namespace(_child_of(self._processes[host].pid), "pid")
        return {
            pid: command
            for pid, command in _processes_in(own).items()
            if "host.py" not in command and "sshd" not in command
        }

    def lose_power(self, host: str) -> None:
        """Kills all that runs on a host with SIGKILL, Ray's raylet first; sshd stays."""
        running = self.processes(host)
        for pid in sorted(running, key=lambda pid: "raylet/raylet" not in running[pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def keep_logs(self, logs: Path) -> None:
        """Copies the logs of Ray on each host; what is left of other runs there stays."""
        for folder in self.folder.glob("*/tmp/ray/session_2*/logs"):
            name = folder.relative_to(self.folder).parts[0]
            shutil.copytree(folder, logs / name, ignore_dangling_symlinks=True, dirs_exist_ok=True)

    def _start(self) -> None:
        self.shared.mkdir()
        _generate_key(self.key)
        _generate_key(self.folder / "host_key")
        _remove_links()  # of a run that was killed; this one has the hosts for itself
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for name in ADDRESSES:
            self._prepare(name)
            self._processes[name] = self._unshare(name)
            _connect(name, self._processes[name].pid)
        for name, address in ADDRESSES.items():
            wait_for(f"sshd of {name}", lambda address=address: _answers(address, 22))

    def _prepare(self, name: str) -> None:
        """Writes what the host has for itself."""
        folder = self.folder / name
        for inside, mode in {"root/.ssh": 0o700, "mnt": 0o755, "tmp": 0o1777, "ssh": 0o700}.items():
            (folder / inside).mkdir(parents=True)
            (folder / inside).chmod(mode)
        (folder / "root").chmod(0o700)
        home = folder / "root"
        (home / ".profile").write_text(". ~/.bashrc\n", encoding="utf-8")
        (home / ".bashrc").write_text("", encoding="utf-8")
        shutil.copy(self.key.with_suffix(".pub"), home / ".ssh" / "authorized_keys")
        for file, content in self._home_files.items():
            if isinstance(content, Path):
                (home / file).symlink_to(content)
            else:
                (home / file).write_text(content, encoding="utf-8")
        shutil.copy(self.folder / "host_key", folder / "ssh" / "host_key")
        (folder / "ssh" / "config").write_text(SSHD_CONFIG, encoding="utf-8")
        names = "".join(f"{address} {host}\n" for host, address in ADDRESSES.items())
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}", encoding="utf-8")
        (folder / "resolv.conf").write_text("", encoding="utf-8")

    def _unshare(self, name: str) -> "subprocess.Popen[bytes]":
        """Starts the host's first process, in namespaces of its own."""
        specification = {
            "name": name,
            "folder": str(self.folder / name),
            "shared": str(self.shared),
            "shared_at": SHARED_AT,
            "visible": visible_paths(),
        }
        starter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child"]
        spaces = ["--net", "--mount", "--pid", "--ipc", "--uts", "--mount-proc"]
        program = [sys.executable, "-S", str(Path(__file__).with_name("host.py"))]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*starter, *spaces, *program, json.dumps(specification)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self) -> None:
        """Kills each host, with it all its processes, its network and its mounts."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        _remove_links()
        shutil.rmtree(self.folder, ignore_errors=True)


def visible_paths() -> list[str]:
    """What the hosts must see of this machine, wherever it lies: Python, packages, the project."""
    return sorted({str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix, ROOT)})


def _connect(name: str, pid: int) -> None:
    """Gives a process's network an interface on the bridge, and a default route.

    Nothing is routed there: Ray finds out its own address by asking which one leads to 8.8.8.8.
    """
    wait_for(
        f"the network of {name}", lambda: _namespace(pid, "net") != _namespace(os.getpid(), "net")
    )
    link = f"study-{name}"
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("link", "set", link, "master", BRIDGE, "up")
    inside = ["nsenter", "--net", "--target", str(pid), "ip"]
    for command in (
        f"addr add {ADDRESSES[name]}/24 dev eth0",
        "link set lo up",
        "link set eth0 up",
        f"route add default via {NETWORK}.1",
    ):
        subprocess.run([*inside, *command.split()], check=True)


def _remove_links() -> None:
    """Removes all links at once: the kernel takes its time after the end of a host."""
    for link in (*(f"study-{name}" for name in ADDRESSES), BRIDGE):
        subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _generate_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _namespace(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:  # it has ended
        return ""


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _processes_in(namespace: str) -> dict[int, str]:
    """Number to command line of all processes in a namespace of processes; a zombie has none."""
    found = {}
    for pid in [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]:
        if _namespace(pid, "pid") == namespace:
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return {pid: command.strip() for pid, command in found.items() if command}


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def wait_for(
    what: str, done: Callable[[], bool], seconds: float = 30, *, every: float = 0.1
) -> None:
    """Waits until something is so; it is looked at every so many seconds.

    Raises:
        TimeoutError: It is not so in time.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            message = f"{what} must be there within {seconds:g} s, but is not"
            raise TimeoutError(message)
        time.sleep(every)
