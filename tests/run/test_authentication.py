"""Whether a cluster asks for a token: told by what it answers, to whatever this machine has."""

import os
import socket
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from rich.console import Console

from orchestrator.run import authentication, cluster
from orchestrator.run.infrastructure import InfrastructureError

MINE, ANOTHER = "0" * 64, "1" * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This user's home, and no word of a token but what is in it."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    monkeypatch.undo()
    authentication.read_environment()


def keep(home: Path, token: str) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text(token)


class ControlStore(grpc.GenericRpcHandler):
    """Answers the one question, to whom it lets in, and keeps what it was shown."""

    def __init__(self, token: str | None) -> None:
        self.token, self.shown = token, list[str | None]()

    def service(self, call: Any) -> Any:
        if call.method != authentication.QUESTION:
            return None
        shown = dict(call.invocation_metadata).get("authorization")
        self.shown.append(shown)
        let_in = self.token is None or shown == f"Bearer {self.token}"

        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            if not let_in:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


Start = Callable[[grpc.GenericRpcHandler], str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server of gRPC; its address."""
    server = grpc.server(futures.ThreadPoolExecutor(1))

    def start(handler: grpc.GenericRpcHandler) -> str:
        server.add_generic_rpc_handlers([handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"127.0.0.1:{port}"

    yield start
    server.stop(None).wait()


def test_a_cluster_that_asks_for_no_token_is_shown_none_even_where_there_is_one(
    start: Start, home: Path
) -> None:
    keep(home, MINE)
    store = ControlStore(None)
    assert authentication.mode_at(start(store)) == "disabled"
    assert store.shown == [None]


@pytest.mark.parametrize("chosen", [None, "token", "TOKEN"])
def test_a_cluster_that_asks_for_the_token_is_given_it(
    chosen: str | None, start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if chosen:
        monkeypatch.setenv("RAY_AUTH_MODE", chosen)
    keep(home, MINE)
    store = ControlStore(MINE)
    assert authentication.mode_at(start(store)) == "token"
    assert store.shown == [None, f"Bearer {MINE}"]
    assert os.environ.get("RAY_AUTH_MODE") == chosen


@pytest.mark.parametrize(
    ("of_the_cluster", "variables", "why"),
    [
        (None, {"RAY_AUTH_MODE": "token"}, "it asks for no token, and RAY_AUTH_MODE is 'token'"),
        (MINE, {"RAY_AUTH_MODE": "disabled"}, "it asks for a token, and .* is 'disabled'; unset"),
        (MINE, {}, "there is none here; put the cluster's into ~/.ray/auth_token, with mode 600"),
        (MINE, {"RAY_AUTH_TOKEN_PATH": "/no/file"}, "there is none here; .* into /no/file"),
        (MINE, {"RAY_AUTH_TOKEN": ANOTHER}, "it does not take the token in RAY_AUTH_TOKEN; put"),
    ],
)
def test_where_cluster_and_user_do_not_agree_a_line_says_what_to_do(
    of_the_cluster: str | None,
    variables: dict[str, str],
    why: str,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    address = start(ControlStore(of_the_cluster))
    with pytest.raises(InfrastructureError, match=f"at address {address}, but .*{why}") as refused:
        cluster.connect(address, Console(quiet=True))
    assert "\n" not in str(refused.value)


def test_a_token_in_the_home_that_is_another_clusters_is_named(start: Start, home: Path) -> None:
    keep(home, ANOTHER)
    with pytest.raises(PermissionError, match=r"does not take the token in ~/\.ray/auth_token"):
        authentication.mode_at(start(ControlStore(MINE)))


class Another(grpc.GenericRpcHandler):
    """Knows no method of Ray's."""

    def service(self, call: Any) -> None:
        """There is none."""


def test_what_speaks_grpc_but_is_no_control_store_is_no_cluster(start: Start) -> None:
    with pytest.raises(InfrastructureError, match=r"no control store of Ray .*: \w+"):
        cluster.connect(start(Another()), Console(quiet=True))


def test_a_control_store_that_ends_meanwhile_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConnectionError, match="no control store of Ray answers there"):
        authentication.mode_at(address)


def test_the_mode_of_a_connection_is_nobody_elses_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    with authentication.mode("token"):
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with authentication.mode("token"):
        pass
    assert os.environ["RAY_AUTH_MODE"] == "disabled"
