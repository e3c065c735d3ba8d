"""A study's page as it is served: to this machine alone, as the files are, and nothing else."""

import contextlib
import http.client
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from read_page import HOSTILE, Page

from orchestrator.report import serve as serving
from orchestrator.report.serve import LivePage, listening
from orchestrator.results.lock import holding
from orchestrator.status import __main__ as status

Answer = tuple[int, dict[str, str], str]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def served(page: LivePage) -> Iterator[int]:
    with listening(page, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    with connection.getresponse() as answer:
        found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


@pytest.fixture
def copied(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "mine"))


@pytest.fixture
def begun(copied: Path) -> Path:
    """A study that has written no table yet, and has a hostile name."""
    for path in copied.glob("*.parquet"):
        path.unlink()
    content = json.loads((copied / "study.json").read_text())
    (copied / "study.json").write_text(json.dumps({**content, "name": HOSTILE[0]}))
    return copied


def test_what_is_served_is_the_report_with_a_script_that_asks_for_news(
    study: Path, shown: Page
) -> None:
    with served(LivePage(str(study))) as port:
        code, headers, text = ask(port)
        mark = headers["ETag"]
        assert ask(port, If_None_Match=mark)[::2] == (304, "")
        assert ask(port, If_None_Match='"another"')[0] == 200
    assert code == 200
    page = Page(text)
    assert {*page.text} == {*shown.text}
    assert all(page.topic(key).strip() == shown.topic(key).strip() for key in shown.text if key)
    assert ("meta", "content", mark.strip('"')) in page.attributes
    (policy,) = (value for _, _, value in page.attributes if value.startswith("default-src"))
    assert "connect-src 'self'" in policy
    stored = (study / "report.html").read_text(encoding="utf-8")
    assert "connect-src" not in stored
    assert "If-None-Match" not in stored


def test_the_page_is_made_anew_when_files_change_and_after_fifteen_seconds(begun: Path) -> None:
    clock = Clock()
    page = LivePage(str(begun), clock)
    first = page.current()
    (begun / "report.html").write_text("anew")
    clock.now = 15
    assert page.current() is first  # its own page, written anew, is no news
    content = json.loads((begun / "study.json").read_text())
    (begun / "study.json").write_text(json.dumps({**content, "name": "another name"}))
    clock.now = 30
    second = page.current()
    assert second[0] != first[0]
    assert b"another name" in second[1]
    (begun / "study.json").write_text(json.dumps({**content, "name": "a third"}))
    clock.now = 44
    assert page.current() is second
    clock.now = 45
    assert b"a third" in page.current()[1]


def test_a_page_that_is_dear_is_made_more_seldom(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, made = Clock(), []

    def slow(_: str, mark: str) -> str:
        clock.now += 10
        made.append(mark)
        return mark

    monkeypatch.setattr(serving, "_page", slow)
    page = LivePage(str(begun), clock)
    for seconds in range(0, 221, 10):
        clock.now = max(clock.now, seconds)
        (begun / "study.json").touch()
        page.current()
    assert len(made) == 3  # at 0, 110 and 220 s


def test_a_driver_that_comes_is_news(begun: Path) -> None:
    clock = Clock()
    page = LivePage(str(begun), clock)
    before, _ = page.current()
    clock.now = 15
    with holding(begun):
        assert page.current()[0] != before


def test_a_study_without_a_table_says_so_and_its_name_is_no_mark_up(begun: Path) -> None:
    _, text = LivePage(str(begun)).current()
    page = Page(text.decode())
    assert "has written no table yet" in page.everything
    assert HOSTILE[0] in page.everything
    assert len(page.scripts) == 1


def test_a_damaged_file_is_told_in_the_page(copied: Path) -> None:
    (copied / "trials.parquet").write_bytes(b"<b>no table</b>")
    text = Page(LivePage(str(copied)).current()[1].decode()).everything
    assert "trials.parquet must be a whole Parquet file" in text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:1", "LOCALHOST:8080"])
def test_this_machine_may_be_named_with_any_port(begun: Path, host: str) -> None:
    with served(LivePage(str(begun))) as port:
        assert ask(port, Host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "x@127.0.0.1"])
def test_another_host_is_refused_since_its_name_may_lead_here(begun: Path, host: str) -> None:
    with served(LivePage(str(begun))) as port:
        code, _, text = ask(port, Host=host)
    assert code == 403
    assert HOSTILE[0] not in text


@pytest.mark.parametrize(
    "hosts", [b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n", b"Host: [::1\r\n"]
)
def test_no_host_two_and_a_broken_one_are_refused(begun: Path, hosts: bytes) -> None:
    with (
        served(LivePage(str(begun))) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert b" 403 " in connection.recv(100)


@pytest.mark.parametrize(
    "path", ["/study.json", "/report.html", "/../mine/study.json", "/?", "/%2e%2e/study.json"]
)
def test_nothing_else_can_be_read(begun: Path, path: str) -> None:
    with served(LivePage(str(begun))) as port:
        assert ask(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_nothing_can_be_done_but_get(begun: Path, method: str) -> None:
    with served(LivePage(str(begun))) as port:
        assert ask(port, method=method)[0] == 501


def test_only_this_machine_can_ask(begun: Path) -> None:
    with listening(LivePage(str(begun)), 0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"


def test_the_command_prints_the_address_and_ends_with_ctrl_c(
    begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving.ThreadingHTTPServer, "serve_forever", interrupted)
    assert status.main([str(begun), "--serve"]) == 130
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"The study's page is at http://127\.0\.0\.1:\d+/ until Ctrl-C", line)


def test_a_port_that_is_taken_and_a_folder_that_is_no_study_are_one_line(
    begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(LivePage(str(begun)), 0) as server:
        assert status.main([str(begun), "--serve", str(server.server_port)]) == 2
    assert "PORT must be free on 127.0.0.1, but" in capsys.readouterr().err
    assert status.main([str(tmp_path), "--serve"]) == 2
    assert "has no study.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--serve", "65536"], "PORT must be a number from 0 to 65535, but got 65536"),
        (["--serve", "x"], "PORT must be a number from 0 to 65535, but got x"),
        (["--serve", "--watch"], "--serve cannot be given with --watch or --json"),
        (["--serve", "--json"], "--serve cannot be given with --watch or --json"),
    ],
)
def test_wrong_ports_and_ways_are_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        status.main(["RESULTS", *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
