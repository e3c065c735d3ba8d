"""A study on the Ray that it starts itself: who can reach it, and what it tells of its secrets."""

import contextlib
import http.client
import ipaddress
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import ROOT, StudyFolder

from orchestrator.run.cluster_watch import descendants

pytestmark = pytest.mark.cluster
NOBODY = 65534
FLAGS = (
    *("--families", "machine", "--dataset", "digits", "--trials", "2", "--epochs", "100"),
    *("--grace-period", "100", "--seeds", "1", "--set", "space.machine.fault=tell"),
)
FAMILIES = os.pathsep.join(map(str, (ROOT / "tests/families", ROOT / "tests/faults/families")))
# As a family's stores would have them.
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "/wJalr+0123",
    "AWS_SESSION_TOKEN": "FwoGZX0123session",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=me;AccountKey=b0123azure==;EndpointSuffix=x",
    "AZURE_STORAGE_SAS": "sv=2026&sig=c0123signature",
    "HF_TOKEN": "hf_0123456789abcdefghij",
    "STUDY_DATABASE_URL": "postgres://me:d0123database@db/x",
    "STUDY_DB_PASSWORD": "e0123password",
    "GOOGLE_ACCOUNT": '{"private_key": "-----BEGIN PRIVATE KEY-----\\nf0123google\\n-----END',
}
OF_FAMILY = {"STUDY_FAMILY_PATH": FAMILIES, "STUDY_TOLD": " ".join(SECRETS)}
PARTS = re.compile(
    rb"wJalr.0123|wJalr%2B0123|FwoGZX0123|b0123azure|c0123sign|hf_0123|d0123data|e0123pass|f0123goo"
)
ANSWERS = (
    *("/api/jobs/", "/nodes?view=summary", "/logical/actors", "/api/cluster_status"),
    *(f"/api/v0/{name}?detail=1" for name in ("jobs", "actors", "tasks", "workers", "nodes")),
    *("/api/v0/runtime_envs?detail=1", "/api/v0/placement_groups?detail=1"),
)


class Secretive(StudyFolder):
    """A study whose user has keys, a home and a temporary folder of their own."""

    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.results / "home"), "TMPDIR": str(self.temporary)}
        given = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        return {**given, **super().environment(), **SECRETS, **own, **OF_FAMILY}

    @property
    def temporary(self) -> Path:
        return self.results / "t"


@dataclass
class Running:
    """A study whose first epochs have begun."""

    study: Secretive
    driver: subprocess.Popen[str]

    def sockets(self) -> list[tuple[str, int]]:
        """Address and port of whatever listens, of the driver and of all that it has started."""
        inodes = set()
        for pid in {self.driver.pid, *descendants(self.driver.pid)}:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                for file in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        inodes.add(str(file.readlink()).removeprefix("socket:[").rstrip("]"))
        return [where for inode, where in listening() if inode in inodes]

    @property
    def token(self) -> Path:
        return self.study.results / "home" / ".ray" / "auth_token"


def listening() -> Iterator[tuple[str, tuple[str, int]]]:
    """Inode, address and port of each socket of this machine that waits for others."""
    for kind, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            _, local, _, found, *_, inode = line.split()[:10]
            if found == state:
                host, port = local.split(":")
                words = [bytes.fromhex(host)[i : i + 4] for i in range(0, len(host) // 2, 4)]
                packed = b"".join(word[::-1] for word in words)  # each as the processor has it
                yield inode, (str(ipaddress.ip_address(packed)), int(port, 16))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A study that goes on until the tests of this file are over; other users may look into it."""
    place = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))  # a short path, for Ray's sockets
    place.chmod(0o755)
    study = Secretive(place, FLAGS, "local", epoch_seconds=2.0)
    (place / "home").mkdir()
    study.temporary.mkdir()
    before, driver = os.umask(0o022), None
    try:
        driver = study.start()
        if not study.wait(driver, lambda: study.epochs_begun() >= 3):
            pytest.fail(driver.communicate()[0])
        yield Running(study, driver)
    finally:
        os.umask(before)
        if driver is not None:
            driver.send_signal(signal.SIGTERM)
            driver.communicate()
        shutil.rmtree(place)


def get(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    """Status and body of an answer; 0 where it is not HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            "GET", path, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException:
        return 0, b""
    finally:
        connection.close()


def content(path: Path) -> bytes:
    """What a file has; nothing where it is none, or has gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes() if path.is_file() else b""
    return b""


def test_what_a_study_starts_listens_on_this_machine_alone(running: Running) -> None:
    sockets = running.sockets()
    assert len(sockets) > 5
    assert {address for address, _ in sockets} <= {"127.0.0.1", "::1", "::ffff:7f00:1"}


def test_each_port_that_speaks_http_asks_for_the_token(running: Running) -> None:
    statuses = {}
    for _, port in running.sockets():
        try:
            for path in ("/metrics", "/api/jobs/", "/nodes?view=summary", "/logs/"):
                statuses[port, path] = (get(port, path)[0], get(port, path, "0" * 64)[0])
        except ConnectionError:  # only a process that has ended meanwhile may refuse
            assert port not in {still for _, still in running.sockets()}
    spoken = [found for found in statuses.values() if found != (0, 0)]
    assert len(spoken) >= 2 * 4  # the agent has none where another Ray has its port
    assert set(spoken) == {(401, 403)}


def test_the_token_and_the_session_are_the_users_alone_whatever_the_umask_lets(
    running: Running,
) -> None:
    assert stat.S_IMODE(running.token.stat().st_mode) == 0o600
    (own,) = running.study.temporary.glob("ray-*")
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert (own / "ray" / "session_latest" / "logs").is_dir()
    for path in running.study.folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a checkpoint has gone meanwhile
            assert path.lstat().st_mode & 0o022 == 0, path


def test_another_user_reads_and_reaches_nothing_of_a_session(running: Running) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    (own,) = running.study.temporary.glob("ray-*")
    session = (own / "ray" / "session_latest").resolve()
    kept = [
        running.token,
        own,
        session,
        session / "logs" / "gcs_server.out",
        session / "sockets" / "raylet",
    ]
    assert all(path.exists() for path in kept)
    running.token.parent.chmod(0o755)  # as where Ray made it
    done = subprocess.run(
        ["/bin/sh", "-c", 'for path; do cat "$path"; done', "sh", *kept],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.count("Permission denied") == len(kept)
    assert done.stdout == ""


def test_no_key_and_no_password_is_in_any_file_or_in_what_the_dashboard_answers(
    running: Running,
) -> None:
    study, token = running.study, running.token.read_text()
    study.wait(running.driver, lambda: len(study.table("events")) >= 1)
    (port,) = {port for _, port in running.sockets() if get(port, "/api/jobs/", token)[0] == 200}
    served = {path: get(port, path, token)[1] for path in ANSWERS}
    assert min(map(len, served.values())) > 50, served
    assert {path for path, text in served.items() if PARTS.search(text)} == set()
    files = {path: content(path) for path in study.results.rglob("*")}
    assert {path.name for path in files} >= {"gcs_server.out", "study.json", "machine-001.log"}
    assert [path for path, text in files.items() if PARTS.search(text)] == []
    assert study.table("events").detail.iloc[0].count("***") > 5
