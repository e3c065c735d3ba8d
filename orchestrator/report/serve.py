"""A study's page in the browser of this machine, made anew as the study's files change."""

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from orchestrator.analysis.confusion_examples import FOLDER as EXAMPLES
from orchestrator.cli import printable
from orchestrator.report import inputs, study_page
from orchestrator.report.page import render, render_plain
from orchestrator.results import files
from orchestrator.results.fetched import local_folder
from orchestrator.results.lock import holder_of

ADDRESS: Final = "127.0.0.1"
NAMES: Final = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
LEAST_SECONDS: Final = 15.0
REST_FACTOR: Final = 10
SILENT_SECONDS: Final = 10.0


class LivePage:
    """The page of a study as its files are, made anew at most every 15 s.

    Where that takes longer than 1.5 s it rests ten times as long, since the study needs the CPU.
    """

    def __init__(self, results: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes the study's folder or address and what tells seconds; nothing is read yet."""
        self._results, self._clock = results, clock
        self._lock = threading.Lock()
        self._token, self._made = secrets.token_hex(8), 0
        self._stamp: object = None
        self._ask_at = -float("inf")
        self._current = ("", b"")

    def current(self) -> tuple[str, bytes]:
        """What tells this page from others, and the page; one that asks waits for another."""
        with self._lock:
            began = self._clock()
            stamp = self._stamp if began < self._ask_at else _stamp(self._results)
            if stamp != self._stamp:
                self._made += 1
                mark = f"{self._token}-{self._made}"
                self._current = (mark, _page(self._results, mark).encode())
                self._stamp = stamp
                ended = self._clock()
                self._ask_at = ended + max(LEAST_SECONDS, REST_FACTOR * (ended - began))
            return self._current


def serve(results: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Serves a study's page on 127.0.0.1, and nothing else, until it is interrupted.

    Args:
        results: The study's folder, or where it is published.
        port: To listen on; 0 for one that is free.
        ready: Called with the address once it is listened on.

    Raises:
        ValueError: There is no study, or the port is taken or not this user's to take.
    """
    files.read_study(local_folder(results))
    with listening(LivePage(results), port) as server:
        ready(f"http://{ADDRESS}:{server.server_port}/")
        server.serve_forever()


def listening(page: LivePage, port: int) -> ThreadingHTTPServer:
    """A server that gives out a page once it is told to serve.

    Raises:
        ValueError: The port is taken, or not this user's to take.
    """

    class Answers(_Answers):
        live = page

    try:
        return ThreadingHTTPServer((ADDRESS, port), Answers)
    except OSError as error:
        raise ValueError(
            f"PORT must be free on {ADDRESS}, but {port} is not: {error.strerror}"
        ) from error


class _Answers(BaseHTTPRequestHandler):
    """Answers `GET /`, asked of this machine by its own name: other sites' pages may not."""

    live: LivePage
    timeout = SILENT_SECONDS

    def handle(self) -> None:
        """Answers, unless whoever asked has gone."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Sends the page, or that the asker's is still the current one."""
        hosts = self.headers.get_all("Host", [])
        # A foreign name may lead here too, by its DNS.
        if len(hosts) != 1 or NAMES.fullmatch(hosts[0]) is None:
            self.send_error(HTTPStatus.FORBIDDEN, "Host must be 127.0.0.1 or localhost")
            return
        if self.path != "/":
            self.send_error(HTTPStatus.NOT_FOUND, "There is only /")
            return
        mark, page = self.live.current()
        unchanged = self.headers.get("If-None-Match") == f'"{mark}"'
        self.send_response(HTTPStatus.NOT_MODIFIED if unchanged else HTTPStatus.OK)
        self.send_header("ETag", f'"{mark}"')
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        if not unchanged:
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(b"" if unchanged else page)

    def log_message(self, *_: Any) -> None:
        """Says nothing: a page asks every few seconds."""


def _stamp(results: str) -> object:
    """What changes when the page may: its files, and whether a driver lives."""
    states = []
    try:
        folder = local_folder(results)
        for path in (*folder.iterdir(), *folder.glob(f"{EXAMPLES}/*.png")):
            if path.name != study_page.PAGE and not path.name.startswith("."):
                state = path.stat()
                states.append((path.name, state.st_mtime_ns, state.st_size))
        return sorted(states), holder_of(folder)
    except (ValueError, OSError) as error:  # the page says so
        return str(error)


def _page(results: str, mark: str) -> str:
    """The report as it is now; where there is nothing to report yet, a page that says so."""
    try:
        folder = local_folder(results)
        if not any(folder.glob("*.parquet")):
            name = files.read_study(folder).name
            return render_plain(name, "The study has written no table yet.", mark)
        return render(study_page.compose(inputs.read(folder)), live=mark)
    except (ValueError, OSError) as error:
        return render_plain(printable(results), printable(" ".join(str(error).split())), mark)
