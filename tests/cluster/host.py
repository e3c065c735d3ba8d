"""The first process of a test host: mounts what is the host's own, runs sshd, reaps orphans.

Started in new namespaces as `host.py SPECIFICATION`, a JSON object; see `hosts.py`, which writes
it. It uses the standard library alone.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

# What a host has for itself. /tmp comes last: what replaces the others lies there.
OWN_FOLDERS = ("/root", "/mnt", "/tmp")


def main(specification: dict[str, Any]) -> None:
    """Becomes the host; never returns."""
    folder = Path(specification["folder"])
    socket.sethostname(specification["name"])
    mount("--bind", folder / "hosts", "/etc/hosts")
    # No name server: each look-up would wait for one that does not answer.
    mount("--bind", folder / "resolv.conf", Path("/etc/resolv.conf").resolve())
    mount("-t", "tmpfs", "-o", "size=1g,mode=1777", "tmpfs", "/dev/shm")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    shutil.copytree(folder / "ssh", "/run/sshd")
    for own in OWN_FOLDERS:
        fill(folder / own[1:], own, specification)
    for own in OWN_FOLDERS:
        mount("--rbind", folder / own[1:], own)
    os.environ.clear()  # sshd gives sessions their own
    os.chdir("/")
    subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", "/run/sshd/config"])
    reap_for_ever()


def fill(replacement: Path, own: str, specification: dict[str, Any]) -> None:
    """Prepares what replaces a folder: with what must stay visible in it, and the shared one."""
    for path in map(Path, specification["visible"]):
        if path.is_relative_to(own):
            inside = replacement / path.relative_to(own)
            inside.mkdir(parents=True, exist_ok=True)
            mount("--bind", path, inside)
            mount("-o", "remount,bind,ro", inside)
    where = Path(specification["shared_at"])
    if where.is_relative_to(own):
        inside = replacement / where.relative_to(own)
        inside.mkdir(parents=True, exist_ok=True)
        mount("--bind", specification["shared"], inside)


def mount(*arguments: str | Path) -> None:
    """Runs the program, which says itself what is wrong."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


def reap_for_ever() -> None:
    """Waits for whatever child ends, as the first process of a machine does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        with contextlib.suppress(ChildProcessError):
            os.wait()
            continue
        signal.pause()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
