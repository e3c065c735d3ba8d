"""A stand-in for Kubernetes' API, over HTTPS: one RayCluster, for who has the pod's token."""

import copy
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "made-up"
Resource = dict[str, Any]


class Api:
    """What is stored, and who may read it.

    Attributes:
        cluster: The RayCluster.
        allowed: Whether the account may read it: else 403, as where KubeRay has made no role.
    """

    def __init__(self, cluster: Resource) -> None:
        """Nothing was asked yet."""
        self.cluster = copy.deepcopy(cluster)
        self.allowed = True

    @property
    def path(self) -> str:
        """Where the RayCluster lies."""
        metadata = self.cluster["metadata"]
        group = f"/apis/{self.cluster['apiVersion']}/namespaces/{metadata['namespace']}"
        return f"{group}/rayclusters/{metadata['name']}"

    def get(self, path: str) -> tuple[int, Resource]:
        """The status and the answer to GET; the path is without what stands behind `?`."""
        if path != self.path:
            return 404, {}
        return (200, self.cluster) if self.allowed else (403, {"reason": "Forbidden"})

    def patch(self, path: str, changes: list[Resource]) -> tuple[int, Resource]:
        """The same for PATCH with a JSON patch; here nobody may."""
        del path, changes
        return 403, {"reason": "Forbidden"}


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key: two files in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "ca.crt", folder / "ca.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@contextmanager
def serving(api: Api, folder: Path, port: int = 0, token: str = TOKEN) -> Iterator[str]:
    """Answers at an address; its certificate lies in the folder, as `ca.crt`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(*api.get(self.path.partition("?")[0]))

        def do_PATCH(self) -> None:
            changes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*api.patch(self.path, changes))

        def answer(self, status: int, content: Resource) -> None:
            if token and self.headers["Authorization"] != f"Bearer {token}":
                status, content = 401, {"reason": "Unauthorized"}
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
