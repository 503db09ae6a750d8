"""Pictures by their address: what is fetched, and what must never be asked for."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi.testclient import TestClient

from imgcls_ray.data.collect import address, exchange
from serve.model.predictor import Predictor
from serve.settings import ServeSettings
from serve.web import fetching
from serve.web.app import build_app
from tests.serve.conftest import picture_bytes

PICTURE = picture_bytes(204)
PUBLIC = "93.184.216.34"
"""What the host of these tests is said to have; connections to it are brought to the server here."""


class Handler(BaseHTTPRequestHandler):
    """Answers by its path; keeps what it was asked."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        kind = self.path.strip("/")
        if kind == "slow":
            self.server.gate.wait(20)  # type: ignore[attr-defined]
        body = PICTURE + bytes(30_000 if kind in ("large", "endless") else 0)
        self.send_response({"moved": 302, "gone": 404}.get(kind, 200))
        if kind == "moved":
            self.send_header("Location", "https://169.254.169.254/latest/meta-data/")
        if kind == "packed":
            self.send_header("Content-Encoding", "gzip")
        if kind != "endless":
            self.send_header("Content-Length", str(len(body) + (100 if kind == "short" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Over TLS. A client that gives up leaves an exception in a thread, which is expected here."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def certificate(folder: Path, name: str) -> Path:
    """A new key and a certificate for `name` that it signs itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    text = serialization.Encoding.PEM
    plain = key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(plain + made.public_bytes(text))
    return path


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "pictures.example")


@pytest.fixture
def server(trusted: Path) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.gate = [], threading.Event()  # type: ignore[attr-defined]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(trusted)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.gate.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connected(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where connections went. Names: `pictures.example` and `other.example` are public, `inside.example` is not."""
    went: list[tuple[str, int]] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *more: int, **options: int) -> list[tuple[object, ...]]:
        names = {"pictures.example": [PUBLIC], "other.example": [PUBLIC], "inside.example": ["10.0.0.7", "fd00::7"]}
        if host in names:
            return [(0, 0, 0, "", (ip, port)) for ip in names[host]]
        if host.endswith(".example"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return list(real(host, port, *more, **options))

    def connect(addresses: list[str], port: int, timeout: float) -> socket.socket:
        went.append((addresses[0], port))
        return socket.create_connection(server.server_address[:2], timeout)

    monkeypatch.setattr(address.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(exchange, "connect", connect)
    return went


@pytest.fixture
def asking(
    predictor: Predictor,
    settings: ServeSettings,
    trusted: Path,
    connected: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[TestClient]:
    """A service that takes addresses and trusts the server's certificate; there is a proxy that nobody must ask."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    predictor.warm_up()
    changed = settings.model_copy(update={"allow_urls": True, "url_seconds": 5.0})
    with TestClient(build_app(predictor, changed), raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, url: object) -> httpx.Response:
    return client.post("/classify", json={"url": url})


def refused(response: httpx.Response) -> tuple[int, str]:
    said = response.json()
    assert said["success"] is False
    return response.status_code, said["error"]


def test_a_picture_is_fetched_from_the_address_that_was_checked(
    asking: TestClient, server: Server, connected: list[tuple[str, int]]
) -> None:
    response = ask(asking, "https://pictures.example/a.png?size=1#part")
    assert response.status_code == 200
    assert response.json()["predictions"][0]["label"] == "bright"
    assert connected == [(PUBLIC, 443)]
    ((path, headers),) = server.asked  # type: ignore[attr-defined]
    assert path == "/a.png?size=1"
    assert headers["Host"] == "pictures.example"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


def test_by_default_no_address_is_asked(client: TestClient, connected: list[tuple[str, int]]) -> None:
    status, sentence = refused(ask(client, "https://pictures.example/a.png"))
    assert (status, connected) == (422, [])
    assert "--allow-urls" in sentence


@pytest.mark.parametrize(
    "url",
    [
        *("http://pictures.example/a.png", "https://pictures.example:8443/a.png", "https://pictures.example:22/"),
        *("https://ann:secret@pictures.example/a.png", "https://@pictures.example/", "file:///etc/passwd", "ftp://x/"),
        *(
            "gopher://pictures.example/",
            "//pictures.example/a.png",
            "a.png",
            "",
            "https://",
            "data:image/png;base64,AA",
        ),
        *(
            "https://pictures.example/a\r\nX-Evil: 1",
            "https://pictures.example\\@10.0.0.1/",
            "https://[::1",
            "https://a b/",
        ),
        "https://pictures.example/" + "a" * 3_000,
    ],
)
def test_an_address_of_another_kind_is_refused(asking: TestClient, connected: list[tuple[str, int]], url: str) -> None:
    status, sentence = refused(ask(asking, url))
    assert (status, connected) == (422, [])
    assert "https://" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "localhost", "10.0.0.1"),  # noqa: S104 - none of them is bound
        *("172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "168.63.129.16", "224.0.0.1", "240.0.0.1"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[fe80::1]", "[fd00::1]"),
        *("[ff02::1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2001:0:7f00:1::1]", "[fec0::1]"),
        *("inside.example", "unknown-host.example"),
    ],
)
def test_a_host_without_a_public_address_is_refused(
    asking: TestClient, connected: list[tuple[str, int]], host: str
) -> None:
    said = refused(ask(asking, f"https://{host}/latest/meta-data/"))
    assert said == (422, "'url' names a host with a public address; this one has none.")
    assert connected == []


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("moved", 502, "received 302; a redirect is not followed"),
        ("gone", 502, "received 404"),
        ("packed", 502, "not compressed"),
        ("short", 502, "cut off"),
        ("large", 413, "20,000 bytes"),
        ("endless", 413, "20,000 bytes"),
    ],
)
def test_an_answer_that_is_no_picture_is_refused(
    asking: TestClient, connected: list[tuple[str, int]], path: str, status: int, words: str
) -> None:
    found, sentence = refused(ask(asking, f"https://pictures.example/{path}"))
    assert found == status
    assert words in sentence
    assert connected == [(PUBLIC, 443)]


def test_the_certificate_is_that_of_the_name(asking: TestClient, server: Server) -> None:
    status, sentence = refused(ask(asking, "https://other.example/a.png"))
    assert status == 502
    assert "certificate refused" in sentence
    assert server.asked == []  # type: ignore[attr-defined]


def test_what_is_late_is_given_up_and_only_so_many_are_fetched_at_once(
    predictor: Predictor,
    settings: ServeSettings,
    trusted: Path,
    connected: list[tuple[str, int]],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr(fetching, "AT_ONCE", 1)
    predictor.warm_up()
    changed = settings.model_copy(update={"allow_urls": True, "url_seconds": 1.5})
    found: list[tuple[int, str]] = []
    with TestClient(build_app(predictor, changed), raise_server_exceptions=False) as client:
        first = threading.Thread(target=lambda: found.append(refused(ask(client, "https://pictures.example/slow"))))
        first.start()
        while not server.asked:  # type: ignore[attr-defined]
            pass
        response = ask(client, "https://pictures.example/a.png")
        first.join()
    assert refused(response)[0] == 503
    assert response.headers["Retry-After"] == "1"
    assert found == [(504, "The picture at 'url' did not arrive within 1.5 s.")]


@pytest.mark.parametrize("url", [None, 3, ["https://pictures.example/a.png"], {}])
def test_an_address_is_a_string(asking: TestClient, url: object) -> None:
    status, sentence = refused(ask(asking, url))
    assert status == 422
    assert "a string; received" in sentence
