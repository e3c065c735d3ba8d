"""Authentication mode of a Ray cluster: the driver sends a token only where it is asked for.

Ray goes by what is on this machine instead, whether there is a token here and how the cluster was
found. A driver that asks for a token rejects the calls of a cluster that has none: it takes the
driver for dead, and destroys all its trials.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Final

import grpc
from ray._private.grpc_utils import init_grpc_channel
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

MODE: Final = "RAY_AUTH_MODE"
TOKEN, DISABLED = "token", "disabled"
QUESTION: Final = "/ray.rpc.NodeInfoGcsService/GetClusterId"
ANSWER_SECONDS: Final = 30.0


def mode_at(address: str) -> str:
    """The mode of the cluster whose control store is at `host:port`: `token` or `disabled`.

    Only one that asks for the token is given it.

    Raises:
        OSError: No control store answers there, it does not take this user's token, or
            `RAY_AUTH_MODE` forbids what it does.
    """
    chosen = os.environ.get(MODE)
    try:
        with mode(DISABLED):
            open_to_all = _lets_in(address)
        wanted = DISABLED if open_to_all else TOKEN
        if chosen is not None and (chosen.lower() == TOKEN) is open_to_all:
            asks = "asks for no token" if open_to_all else "asks for a token"
            raise PermissionError(
                f"it {asks}, and {MODE} is {chosen!r}; unset it, or set it to {wanted!r}"
            )
        if open_to_all:
            return wanted
        with mode(TOKEN):
            if not _has_token():
                raise PermissionError(
                    "it asks for a token, and there is none here; put the cluster's into "
                    + f"{_place()}, with mode 600"
                )
            if not _lets_in(address):
                raise PermissionError(
                    f"it does not take the token in {_place()}; put the cluster's there"
                )
        return wanted
    finally:
        read_environment()


@contextlib.contextmanager
def mode(name: str) -> Iterator[None]:
    """Sets Ray's authentication mode inside: whether it asks for the token and sends it."""
    before = os.environ.get(MODE)
    os.environ[MODE] = name
    read_environment()
    try:
        yield
    finally:
        if before is None:
            del os.environ[MODE]
        else:
            os.environ[MODE] = before


def read_environment() -> None:
    """Has Ray read mode and token again; otherwise it does so at its import alone."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _lets_in(address: str) -> bool:
    """Asks a cluster for what everybody may know whom it lets in."""
    with init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(QUESTION)(b"", timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return False
            why = error.details() or error.code().name
            raise ConnectionError(f"no control store of Ray answers there: {why}") from error
    return True


def _has_token() -> bool:
    try:
        return bool(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))
    except AuthenticationError:  # a variable names a file that cannot be read
        return False


def _place() -> str:
    """Where Ray has the token from."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return "RAY_AUTH_TOKEN"
    return os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
