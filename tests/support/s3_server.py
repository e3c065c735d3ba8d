"""S3 as moto serves it on this machine, for whoever speaks to it over HTTP."""

import contextlib
import functools
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def s3_bucket(name: str) -> Iterator[dict[str, str]]:
    """An empty bucket of a server; the environment that leads to it, which is set inside.

    Skips the test where the packages for it are not installed (`s3fs`, `moto[server]`).
    """
    pytest.importorskip("flask_cors")
    s3fs = pytest.importorskip("s3fs")
    environment = {
        "AWS_ENDPOINT_URL": _server(),
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up-too",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir(name)
        try:
            yield environment
        finally:
            s3fs.S3FileSystem().rm(name, recursive=True)
            s3fs.S3FileSystem.clear_instance_cache()


@functools.cache
def _server() -> str:
    """The address of one that ends with this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"
