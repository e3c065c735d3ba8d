"""Lock of a study's folder: one driver per study, and when a holder counts as dead."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, SoftFileLease, Timeout

from orchestrator.results.states import Outcome

LOCK: Final = ".driver.lock"
LEASE: Final = ".driver.lease"
LEASE_SECONDS: Final = 30.0
RENEWAL_SECONDS: Final = 5.0
# How long a second driver may wait for a lock that is free but was looked at by another process.
LOOK_SECONDS: Final = 1.0
# How long a lease that names nobody must stay as it is to be taken for damaged: over one renewal.
DAMAGED_SECONDS: Final = 7.0
# Marks a folder that is a copy of a published study.
COPY: Final = ".published.json"
ALIVE_SECONDS: Final = 120.0
"""A driver that has not published for so long counts as gone."""


class HeldError(RuntimeError):
    """Another driver holds the study, or has taken it over."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The driver that a study's lease names: its machine, and its process there.

    It is alive if its process exists, or, seen from another machine, its lease was renewed lately.
    """

    host: str
    pid: int
    alive: bool


class Hold:
    """Lock of a study's folder that this process holds.

    Attributes:
        damage: What was wrong with the lease that was there; empty for nothing.
    """

    def __init__(self, folder: Path) -> None:
        """Holds the folder, which must exist; see `holding`."""
        self._folder, self.damage = folder, ""
        self._lost = False
        self._lock = FileLock(folder / LOCK, thread_local=False, is_singleton=False)
        self._lease = _lease(folder, on_compromise=lambda _: setattr(self, "_lost", True))
        try:
            self._lock.acquire(timeout=LOOK_SECONDS)
            self._remove_damaged_lease()
            first = _renewed_at(self._folder)
            # A holder on another machine lives if its lease is renewed, and is dead if it is not.
            self._lease.acquire(
                timeout=LEASE_SECONDS + RENEWAL_SECONDS,
                cancel_check=lambda: _renewed_at(self._folder) not in {None, first},
            )
        except Timeout as error:
            self._lock.release()
            raise HeldError(_held(self._folder)) from error

    def _remove_damaged_lease(self) -> None:
        """An empty or cut lease names nobody; whoever lives behind it would renew it in time."""
        folder, path, first = self._folder, self._folder / LEASE, _renewed_at(self._folder)
        deadline = time.monotonic() + DAMAGED_SECONDS
        while first is not None and _lease(folder).owner is None and _renewed_at(folder) == first:
            if time.monotonic() > deadline:
                self.damage = f"{path.name} named no driver, and was not renewed: it was removed"
                path.unlink(missing_ok=True)
                return
            time.sleep(LOOK_SECONDS / 10)

    def close(self) -> None:
        """Releases the lock."""
        self._lease.release()
        self._lock.release()

    def check(self) -> None:
        """Checks that the lock is still held; to be called before anything is written.

        Raises:
            HeldError: This process slept so long that another driver took the study over, or its
                lease was removed or could not be renewed.
        """
        if not self._lost:
            return
        holder, why = holder_of(self._folder), _held(self._folder)
        if holder is None or (holder.host, holder.pid) == (socket.gethostname(), os.getpid()):
            why = f"{self._folder / LEASE} was removed, or could not be renewed; resume the study"
        raise HeldError(f"this driver lost its lease on the study: {why}")


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[Hold]:
    """Holds a study's folder: by flock, and by a lease for file systems where that means nothing.

    A dead holder's lock is taken over: at once where it ran on this machine, otherwise once its
    lease was not renewed for 30 seconds.

    Raises:
        HeldError: Another driver holds it.
        OSError: The folder cannot be written.
    """
    with contextlib.closing(Hold(folder)) as hold:
        yield hold


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Published study of which a folder is a copy.

    Attributes:
        address: Where that is stored, without a password.
        host: Name of the machine of the driver that published it last, in a process `pid` there.
        published_at: When, in seconds since the epoch.
        files: What was published, as paths in the folder.
    """

    address: str
    host: str
    pid: int
    published_at: float
    files: Sequence[str]


def copy_of(folder: Path) -> Copy | None:
    """The published study of which a folder is a copy; None where it is a study's own."""
    path = folder / COPY
    return Copy(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def is_fresh(published_at: float) -> bool:
    """Whether it was published so recently that its driver may still run."""
    return time.time() - published_at < ALIVE_SECONDS


def check_free(folder: Path) -> None:
    """Raises a `HeldError` if a driver holds a study; writes nothing."""
    holder = holder_of(folder)
    if holder is not None and holder.alive:
        raise HeldError(_held(folder))


def state_of(outcome: str, holder: Holder | None) -> str:
    """How a study stands whose `study.json` has this outcome: without a driver nothing runs."""
    if outcome not in {Outcome.RUNNING, Outcome.INTERRUPTED}:
        return outcome
    return Outcome.RUNNING if holder is not None and holder.alive else Outcome.INTERRUPTED


def holder_of(folder: Path) -> Holder | None:
    """The driver that a study's lease names; None where no driver has it, or ended by itself.

    Of a copy of a published study it is the one that has published it.
    """
    copy = copy_of(folder)
    if copy is not None:
        return Holder(host=copy.host, pid=copy.pid, alive=is_fresh(copy.published_at))
    owner, renewed = _lease(folder).owner, _renewed_at(folder)
    if owner is None or renewed is None:
        return None
    host = owner.hostname.partition("?")[0]  # after it filelock notes a PID namespace
    here = host == socket.gethostname()
    alive = _exists(owner.pid) if here else time.time() - renewed < LEASE_SECONDS
    return Holder(host=host, pid=owner.pid, alive=alive)


def _lease(folder: Path, **options: object) -> SoftFileLease:
    return SoftFileLease(
        folder / LEASE,
        lease_duration=LEASE_SECONDS,
        heartbeat_interval=RENEWAL_SECONDS,
        thread_local=False,
        is_singleton=False,
        **options,  # type: ignore[arg-type]
    )


def _renewed_at(folder: Path) -> float | None:
    """When the lease was last renewed, by the file system's clock; None where there is none."""
    try:
        return (folder / LEASE).stat().st_mtime
    except FileNotFoundError:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it is another user's
    return True


def _held(folder: Path) -> str:
    holder = holder_of(folder)
    name = f"process {holder.pid} on {holder.host}" if holder else "another process"
    return f"{folder} must have one driver at a time, but {name} holds it"
