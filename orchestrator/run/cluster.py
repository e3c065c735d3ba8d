"""Ray cluster of a study: found or started, connected to and left."""

import contextlib
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import ray
from ray._private import utils, worker
from ray.job_config import JobConfig
from rich.console import Console

from orchestrator.called import IS_INSTALLED, NAMESPACE, PACKAGES
from orchestrator.run import authentication, autoscaler, cluster_watch, own_ray
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.ray_actors import replaced
from orchestrator.run.reservation import Cluster
from trainables.registry import FAMILY_PATH
from trainables.secrets import redacted

TRIES: Final = 3
OF_A_START: Final = (OSError, RuntimeError, ValueError, ray.exceptions.RayError)
"""What Ray raises where it does not start, besides `Exception` itself where it was too slow."""
MOST_OF_A_REASON: Final = 300
"""Characters of what Ray says, which may go on with a page of advice."""
LOCAL, AUTO = "local", "auto"
# Environment variables that families and the stores of data may read reach the trials.
PASSED_ON: Final = "STUDY_"
STORES: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"),
)


def connect(
    address: str | None,
    console: Console,
    metadata: Mapping[str, str] | None = None,
    *,
    dashboard: bool = True,
) -> Cluster:
    """Connects to a cluster; tries three times, since a busy machine can be too slow for Ray.

    The address is as in the settings; `metadata` is what the cluster's list of jobs says of this
    one. The dashboard is Ray's, where a cluster is started.

    Raises:
        InfrastructureError: All tries failed, nobody listens at the address, or what a Ray of this
            machine needs cannot be kept from others.
    """
    address, own = _resolved(address), dict[str, Any]()
    where: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if address == LOCAL:
        try:
            own_ray.check_loopback()
            found = own_ray.keep_token()
            own = own_ray.options(dashboard=dashboard)
        except OSError as error:
            why = str(error)
            if error.errno is not None:  # the system's words
                why = (
                    "Ray's session (below RAY_TMPDIR, TMPDIR or /tmp) and token (below HOME) must "
                    f"lie in folders that can be written, but: {why}"
                )
            raise InfrastructureError(why) from error
        if found:
            console.print(found)
        mode, where = own_ray.mode(), own_ray.on_loopback()
    else:
        mode = _must_answer(address)
    # `ps` shows no secrets of this process, and neither does Ray's list of jobs after it.
    command = shlex.join(sys.orig_argv)
    if redacted(command) != command:
        vars(ray._raylet)["setproctitle"](redacted(command))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # What a trial raised that ends with the study stands in its log: Ray would print a stack.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # A submitted job's variables reach this process, which passes them on to the trials itself.
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    # A raylet that ends would print the end of its log: what becomes of a study, it says itself.
    quiet = replaced(worker, "listen_error_messages", lambda *_: None)
    with where, authentication.mode(mode), _own_signals(), quiet:
        context = _init(address, console, metadata or {}, own)
    return _describe(context)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps Ray, which starts inside, from handling SIGTERM: it would exit at once, losing rows.

    What Ray starts outlives the terminal, since the driver ends it, in order: it inherits that
    hang-ups are blocked. One that comes meanwhile is handled afterwards.
    """
    terminate = signal.getsignal(signal.SIGTERM)
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        with replaced(utils, "set_sigterm_handler", lambda _: None):
            yield
    finally:
        signal.signal(signal.SIGTERM, terminate)  # another version may set one otherwise
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def to_be_started(address: str | None, *, must_answer: bool = False) -> Cluster | None:
    """The cluster that `connect` would start on this machine; None where it would join one.

    Raises:
        InfrastructureError: It would find none, or the one to join does not answer and must.
    """
    address = _resolved(address)
    if address != LOCAL:
        if must_answer:
            _must_answer(address)
        return None
    return Cluster(kind="new local cluster", present=[own_ray.resources()])


def disconnect() -> None:
    """Leaves the cluster, or ends it where `connect` started it; the next may have another mode."""
    ray.shutdown()
    authentication.read_environment()


def _init(
    address: str, console: Console, metadata: Mapping[str, str], own: Mapping[str, Any]
) -> Any:
    """Ray's context, after as many tries as need be; see `connect`."""
    # The packages as the driver has them, so that a new family reaches running nodes.
    names = (NAMESPACE,) if IS_INSTALLED else (NAMESPACE, *PACKAGES)
    paths = [find_spec(name) for name in names]
    modules = [str(Path(spec.origin).parent) for spec in paths if spec and spec.origin]
    for attempt in range(1, TRIES + 1):
        try:
            return ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": modules},
                job_config=JobConfig(metadata=dict(metadata)),
                **own,
            )
        except Exception as error:
            if not isinstance(error, OF_A_START) and type(error) is not Exception:
                raise
            ray.shutdown()
            reason = " ".join(str(error).split())[:MOST_OF_A_REASON]
            console.print(f"Ray did not start (try {attempt} of {TRIES}): {reason}")
            if attempt == TRIES:
                raise InfrastructureError(
                    f"Ray must start or be reachable at address {address}, "
                    f"but {TRIES} tries failed: {reason}; check `ray status`, memory and load, "
                    f"and RAY_TMPDIR, which must be short{own_ray.limits()}"
                ) from error
            time.sleep(attempt)
    raise AssertionError  # the last try returns or raises


def _resolved(address: str | None) -> str:
    """Where to connect to, or `local`: Ray's rules, but for clusters that others have started."""
    if address in {None, AUTO}:
        address = os.environ.get("RAY_ADDRESS") or address
    if address is not None and address != AUTO:
        return address
    running = own_ray.running_here()
    if running is None and address == AUTO:
        raise InfrastructureError(
            "--address auto must find a cluster that you or root started here with `ray start`, "
            "but there is none; name one as host:port, or take --address local to start one"
        )
    return running or LOCAL


def _must_answer(address: str) -> str:
    """Asks at an address for its mode of authentication before Ray, which tries for minutes."""
    try:
        error_text = cluster_watch.connection_error(cluster_watch.parse(address))
    except ValueError as error:
        raise InfrastructureError(str(error)) from error
    if not error_text:
        try:
            return authentication.mode_at(address)
        except OSError as error:
            error_text = str(error)
    raise InfrastructureError(
        f"a Ray cluster must answer at address {address}, but {error_text}; check it, or take "
        "--address local to start one here"
    )


def passed_on() -> dict[str, str]:
    """The environment variables that trials get, on whichever node."""
    found = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON) or k in STORES}
    # Trials run in other folders, so that a relative one would mean nothing there.
    folders = filter(None, found.get(FAMILY_PATH, "").split(os.pathsep))
    own_families = os.pathsep.join(str(Path(folder).resolve()) for folder in folders)
    return {**found, FAMILY_PATH: own_families} if own_families else found


def alive_nodes() -> list[Any]:
    """The nodes that are there now, as Ray has them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _describe(context: Any) -> Cluster:
    nodes, gcs_address = alive_nodes(), context.address_info["gcs_address"]
    here = [n for n in nodes if n["NodeID"] == ray.get_runtime_context().get_node_id()]
    workers, most_workers, unknown_growth = _growth(gcs_address, nodes)
    own = _started_here()
    return Cluster(
        kind="new local cluster" if own else "running cluster",
        session=Path(context.address_info["session_dir"]) if own else None,
        present=[node["Resources"] for node in nodes],
        grown=workers,
        most_grown=most_workers,
        unknown_growth=unknown_growth,
        dashboard=context.dashboard_url or "",
        endpoints=[
            cluster_watch.parse(gcs_address),
            *((node["NodeManagerAddress"], node["NodeManagerPort"]) for node in here),
        ],
    )


def _started_here() -> bool:
    """Whether `ray.init` started the cluster; Ray has no public way to ask."""
    node = vars(ray._private.worker)["_global_node"]
    return bool(node.is_head())


def _growth(
    gcs_address: str, nodes: Sequence[autoscaler.Node]
) -> tuple[Sequence[Mapping[str, float]], int, str]:
    """Workers that may be started, how many at a time, and why that cannot be said, if so."""
    config = autoscaler.file_config(gcs_address)
    if config is None and autoscaler.is_kuberay(nodes) and not _started_here():
        try:
            config = autoscaler.kuberay_config(nodes)
        except OSError as error:
            return [], 0, str(error)
    return *autoscaler.possible_workers(config), ""
