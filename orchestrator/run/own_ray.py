"""Private Ray cluster on this machine: a folder, token and ports that no other user can reach."""

import contextlib
import os
import resource
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from ray._private import ray_constants
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
from ray._private.utils import get_num_cpus

from orchestrator.run.authentication import MODE, TOKEN
from orchestrator.run.ray_actors import replaced

LONGEST_TEMPORARY_FOLDER: Final = 107 - len(
    "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/raylet.12"
)
"""The path of a Unix socket may have 107 bytes."""
LEAST_FREE: Final = 2**24
"""Bytes without which Ray would try to start for minutes, and not say why it cannot."""
LOOPBACK, LOOPBACK_SECONDS = "127.0.0.1", 5.0
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
METRICS: Final = "RAY_enable_metrics_collection"
# Their ports ask for no token and cannot be closed otherwise; Ray goes on without them.
NO_PORT: Final = {"AUTOSCALER_METRIC_PORT": "-1", "DASHBOARD_METRIC_PORT": "-1"}


def running_here() -> str | None:
    """The address of the cluster that this user or root has started on this machine.

    Ray would take any user's: whoever wrote it first would be given the study's code and the token.
    """
    file = _temporary() / "ray" / "ray_current_cluster"
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(opened, encoding="utf-8", errors="replace") as text:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {os.getuid(), 0}:
            return None
        return text.read().strip() or None


def folder() -> Path:
    """The folder for Ray's session files, below one that is this user's alone.

    Ray's own is open to all, and holds the study's code, its logs and its sockets.

    Raises:
        PermissionError: Somebody else has that folder, or may enter it.
        OSError: It cannot be made, or its path is too long.
    """
    place, name = _temporary(), f"ray-{os.getuid()}"
    if len(os.fsencode(place / name)) > LONGEST_TEMPORARY_FOLDER:
        if "RAY_TMPDIR" in os.environ:
            raise OSError(f"RAY_TMPDIR must be short, since sockets lie in it, but is {place}")
        place = Path("/tmp")  # TMPDIR is long where batch systems set it
    own = place / name
    own.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    free = shutil.disk_usage(own).free
    if free < LEAST_FREE:
        raise OSError(
            f"Ray's session must have {LEAST_FREE >> 20} MiB for its logs and sockets, but "
            f"{free >> 20} are free in {own}; make space, or set RAY_TMPDIR to another short folder"
        )
    found = own.lstat()
    if found.st_uid != os.getuid() or found.st_mode & OTHERS:
        raise PermissionError(
            f"{own} must be this user's alone (mode 700), since Ray keeps its session there, "
            "but is not; remove it, or set RAY_TMPDIR to another short folder"
        )
    return own / "ray"  # Ray opens that one to all


def check_loopback() -> None:
    """Checks that this machine reaches itself, without which Ray would try for minutes.

    Raises:
        OSError: It does not, as in a sandbox without a network of its own.
    """
    try:
        with socket.create_server((LOOPBACK, 0)) as server:
            socket.create_connection(server.getsockname(), timeout=LOOPBACK_SECONDS).close()
    except OSError as error:
        raise OSError(
            f"Ray must reach this machine at {LOOPBACK}, but: {error.strerror or error}; "
            "`ip link set lo up` sets it up"
        ) from error


def mode() -> str:
    """The authentication mode: with a token, unless the user wants none."""
    return os.environ.get(MODE, TOKEN).lower()


def keep_token() -> str:
    """Makes sure that there is a token that no other user can read; Ray's own is readable.

    One that a variable gives or names is taken as it is. Returns what was wrong and has been put
    right, in a sentence; else nothing.

    Raises:
        OSError: It cannot be written or is somebody else's.
    """
    if mode() != TOKEN or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        return ""
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not path.stat().st_mode & OTHERS:
            return ""
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return f"Other users could read Ray's token, {path}; it is closed now"
    opened, temporary = tempfile.mkstemp(prefix=".auth_token-", dir=path.parent)  # mode 600
    with os.fdopen(opened, "w", encoding="ascii") as file:
        file.write(token_hex(32))
    with contextlib.suppress(FileExistsError):  # another study was faster
        os.link(temporary, path)
    Path(temporary).unlink()
    return ""


def options(*, dashboard: bool = True) -> dict[str, Any]:
    """Options of `ray.init` for a cluster that is this study's own.

    Ray would start a process for each CPU that no trial can use, since it lacks the study's code.
    """
    quiet = {} if _measured() else {"enable_metrics_collection": False}
    return {
        "_temp_dir": str(folder()),
        "num_cpus": _cpus(),
        "_system_config": {"prestart_worker_first_driver": False, **quiet},
        "include_dashboard": None if dashboard else False,
    }


def limits() -> str:
    """What this process is limited to of what Ray's own take much of; the end of a sentence."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return ""
    gigabytes = f"{most / 2**30:.1f} GiB of addresses (`ulimit -v`)"
    return f"; each process here has {gigabytes}, of which Ray's map tens without using them"


def leave(session: Path, *, remove: bool) -> str:
    """Removes a session's logs once its Ray has ended, or says in a line where they are."""
    if not remove:
        return f"Ray's logs are kept: {session / 'logs'}"
    shutil.rmtree(session, ignore_errors=True)
    return ""


def resources() -> dict[str, float]:
    """What a cluster that is this study's own would have, by Ray's names; nothing is started."""
    found = ResourceAndLabelSpec(num_cpus=_cpus()).resolve(is_head=True)
    return dict(found.to_resource_dict())  # type: ignore[no-untyped-call]


def _cpus() -> int:
    """Ray does not ask what Slurm or `taskset` have left this process."""
    return min(int(get_num_cpus()), len(os.sched_getaffinity(0)))


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Has a Ray that starts inside listen on this machine alone, on no port for metrics.

    Ray has no option for the first but this one, meant for other systems and read at its import.
    """
    added = {} if _measured() else {k: v for k, v in NO_PORT.items() if k not in os.environ}
    os.environ.update(added)
    try:
        with replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
            yield
    finally:
        for name in added:
            del os.environ[name]


def _measured() -> bool:
    """Whether the user wants metrics to be collected and served, which asks for no token."""
    return os.environ.get(METRICS, "0").lower() in {"1", "true"}


def _temporary() -> Path:
    """Where Ray looks for temporary folders."""
    named = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    return Path(named).absolute()
