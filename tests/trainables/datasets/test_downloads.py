"""CIFAR-10 fetched once from a server, whoever asks, and what is said where that fails."""

import functools
import hashlib
import http.server
import io
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from made_up_data_sets import TEST_IMAGES, TRAINING, batches, one_line, published_as

from trainables.data import download
from trainables.datasets import cifar10


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in batches().items():
            member = tarfile.TarInfo(f"{cifar10.CIFAR10.batches}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves the archive on this machine; what it was asked for is in `asked`."""
    served = tmp_path / "served"
    served.mkdir()
    content = archive()
    (served / "cifar10.tar.gz").write_bytes(content)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.requestline.split()[0])

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        published_as(
            monkeypatch,
            url=f"http://127.0.0.1:{running.server_port}/cifar10.tar.gz",
            archive_sha256=hashlib.sha256(content).hexdigest(),
        )
        yield asked
        running.shutdown()


def test_cifar10_is_downloaded_once(server, cache):
    for _ in range(2):
        data = cifar10.DATASET.open(None, 32)
    assert np.array_equal(data.read_training().images, TRAINING.images)
    assert server.count("GET") == 1
    assert not (cache / ".incoming").exists()


def test_f15_eight_processes_that_race_leave_one_good_copy(server, cache):
    code = (
        "import sys; from pathlib import Path; from trainables.data.download import fetch_folder;"
        "url, sha256, folder, cache = sys.argv[1:];"
        "fetch_folder(url=url, sha256=sha256, folder=folder, cache=Path(cache))"
    )
    arguments = (
        cifar10.CIFAR10.url,
        cifar10.CIFAR10.archive_sha256,
        cifar10.CIFAR10.batches,
        str(cache),
    )
    command = [sys.executable, "-c", code, *arguments]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[3]) for _ in range(8)]
    assert [process.wait() for process in running] == [0] * 8
    assert server.count("GET") == 1
    assert len(cifar10.DATASET.open(None, 32).read_test()) == TEST_IMAGES


def test_f15_what_a_killed_download_left_behind_is_cleared_away(server, cache):
    (cache / ".incoming").mkdir(parents=True)
    (cache / ".incoming" / "archive").write_bytes(b"half of it")
    cifar10.DATASET.open(None, 32)
    assert sorted(path.name for path in cache.iterdir()) == [
        cifar10.CIFAR10.batches,
        "download.lock",
    ]
    assert server


def download_error() -> str:
    started = time.monotonic()
    message = one_line(lambda: cifar10.DATASET.open(None, 32))
    assert time.monotonic() - started < 10
    return message


def test_f15_without_network_the_answer_says_what_where_and_how_to_get_it(cache):
    message = download_error()
    assert message.startswith(f"no CIFAR-10: cifar-10-batches-py is not in {cache}, and getting")
    assert cifar10.CIFAR10.url in message
    assert cifar10.CIFAR10.archive_sha256 in message
    assert "Connection refused; " in message
    assert "--data-dir" in message
    assert not cache.exists()


def test_f15_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        published_as(monkeypatch, url=f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz")
        assert "no answer within 0.2 s" in download_error()


def test_another_archive_than_expected_is_refused(server, monkeypatch, cache):
    published_as(monkeypatch, archive_sha256="0" * 64)
    assert "does not match the known hash" in download_error()
    assert server.count("GET") == 1
    assert not (cache / cifar10.CIFAR10.batches).exists()


def test_an_archive_that_the_server_does_not_have_is_said(server, monkeypatch):
    published_as(monkeypatch, url=cifar10.CIFAR10.url + ".gone")
    assert "the server does not have it" in download_error()
    assert "GET" not in server


def test_a_cache_that_cannot_be_written_is_said(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file, where a folder should be")
    assert str(cache) in download_error()
    assert server == ["HEAD"]
