"""Checks that a Ray cluster answers: before Ray tries for minutes, and while a study runs."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

Endpoint = tuple[str, int]

PROBE_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 2.0
REFUSALS: Final = 2
"""So often in a row a port must be closed, before its process is taken for dead."""
SILENT: Final = 6
"""So often in a row a machine or process must say nothing: with the probes above half a minute."""
NEEDED: Final = ("sockets/*", "runtime_resources/py_modules_files/_ray_pkg_*/*")
"""Of a local Ray's folder, which whatever tidies temporary folders may remove."""
# How a client of HTTP/2 begins, and the type of the frame that each server answers with: gRPC's.
GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS_FRAME: Final = 4


def parse(address: str) -> Endpoint:
    """Host and port of an address.

    Raises:
        ValueError: It has none.
    """
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        message = f"address must be host:port of a cluster's head, or local, but got {address!r}"
        if address.startswith("ray://"):
            message += "; a study runs on a node of the cluster, or is submitted to it as a job"
        raise ValueError(message)
    return host.strip("[]"), int(port)


def connection_error(endpoint: Endpoint) -> str:
    """Why nothing answers as Ray does, in a few words; empty if something does."""
    try:
        return "" if _speaks(endpoint) else "what listens there is no Ray cluster"
    except OSError as error:
        return error.strerror or str(error)


def _speaks(endpoint: Endpoint) -> bool:
    """Whether what answers there does so as Ray does; an `OSError` where nothing answers."""
    with socket.create_connection(endpoint, timeout=PROBE_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") in {"1", "true"}:
            return True
        answer = b""
        with contextlib.suppress(ConnectionError):  # it hangs up
            connection.sendall(GREETING)
            answer = connection.recv(4)
    return answer[3:] == bytes([SETTINGS_FRAME])


class Watch:
    """Thread that calls back, once, when a process or file that the cluster needs is gone."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        lost: Callable[[str], None],
        session: Path | None = None,
    ) -> None:
        """Takes where these processes listen, what reports why, and the folder of a local Ray."""
        self._endpoints, self._lost, self._session = endpoints, lost, session
        self._files = set[Path]()
        self._stop, self._seen = threading.Event(), set[tuple[int, str]]()
        self._thread = threading.Thread(target=self._run, name="cluster watch", daemon=True)

    @contextlib.contextmanager
    def running(self) -> Iterator["Watch"]:
        """Watches the cluster inside; errors that come of its loss are left to the callback."""
        self._thread.start()
        try:
            yield self
        except BaseException:
            if any(_is_gone(each) is not None for each in self._endpoints) or self._removed():
                self._thread.join(timeout=SILENT * (PROBE_SECONDS + PAUSE_SECONDS))
            raise
        finally:
            self._stop.set()

    def kill_processes(self) -> None:
        """Ends the processes that this one has started, directly or not, such as a local Ray's."""
        for pid, started in self._seen:
            if start_of(pid) == started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _run(self) -> None:
        failures = dict.fromkeys(self._endpoints, 0)
        while not self._stop.wait(PAUSE_SECONDS):
            self._seen |= {(pid, start_of(pid)) for pid in descendants(os.getpid())}
            if removed := self._removed():
                self._lost(f"{removed}, which it needs, was removed")
                return
            for endpoint in self._endpoints:
                most = _is_gone(endpoint)
                failures[endpoint] = 0 if most is None else failures[endpoint] + 1
                if most is not None and failures[endpoint] >= most:
                    self._lost(f"nothing answers at {endpoint[0]}:{endpoint[1]}")
                    return

    def _removed(self) -> Path | None:
        """A socket, or what new processes run, that was in the folder of a local Ray."""
        if self._session is None:
            return None
        self._files.add(self._session)
        self._files.update(path for name in NEEDED for path in self._session.glob(name))
        return min((path for path in self._files if not path.exists()), default=None)


def _is_gone(endpoint: Endpoint) -> int | None:
    """How often in a row an answer like this one means that a process is gone; None if it lives.

    The kernel takes the connections of one that is frozen, which then says nothing.
    """
    try:
        return None if _speaks(endpoint) else SILENT
    except ConnectionRefusedError:
        return REFUSALS
    except OSError:
        return SILENT


def descendants(pid: int) -> set[int]:
    """All processes below one; none where there is no `/proc`."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, left = set[int](), [pid]
    while left:
        below = children.get(left.pop(), [])
        found.update(below)
        left.extend(below)
    return found


def start_of(pid: int) -> str:
    """When a process began, since numbers are used again; empty if it is gone."""
    with contextlib.suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return text.rpartition(")")[2].split()[19]
    return ""
