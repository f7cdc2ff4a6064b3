"""A connection counts as open once TLS and a password have let it in, and says why where they have not."""

from __future__ import annotations

import pickle
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.candidates.certificates import Authority
from harness.clients import ProtocolBreach
from harness.clients.access import Access, Introducing, Tls
from harness.clients.resp import Resp
from harness.driver.following import Following
from harness.driver.sockets import Sockets
from harness.driver.task import Task
from harness.history import History, Seen, Status
from harness.runtimes.base import Endpoint
from tests.driver.runs import play_here, task
from tests.driver.servers import Handler, server

PASSWORD = 'a "word" \\ with everything: ä'  # noqa: S105 - of a server of this test


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def redis(tmp_path: Path, authority: Authority) -> Iterator[Endpoint]:
    """A Redis server that speaks TLS only, and knows bob alone, by his password."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs a redis-server with TLS on PATH")
    issued = authority.issue("server")
    for name, content in (("ca", authority.certificate), ("crt", issued.certificate), ("key", issued.key)):
        (tmp_path / name).write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    files = ["--tls-ca-cert-file", "ca", "--tls-cert-file", "crt", "--tls-key-file", "key", "--tls-auth-clients", "no"]
    args = ["--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port), *files, "--save", ""]
    process = subprocess.Popen(["redis-server", *args], cwd=tmp_path, stdout=subprocess.DEVNULL)
    context = Tls(authority.certificate.decode(), names=False).context()
    try:
        deadline = time.monotonic() + 10
        while True:
            assert time.monotonic() < deadline, "the server did not start"
            try:
                client = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 1))
                break
            except OSError:
                time.sleep(0.01)
        with client:
            for words in (
                ("ACL", "SETUSER", "bob", "on", f">{PASSWORD}", "~*", "&*", "+@all"),
                ("ACL", "SETUSER", "default", "off"),
            ):
                client.sendall(spoken(*words))
                assert client.recv(5) == b"+OK\r\n"
        yield Endpoint("127.0.0.1", port)
    finally:
        process.kill()
        process.wait()


def spoken(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in words)


def trusting(authority: Authority, username: str = "", password: str = "") -> Access:
    return Access(username, password, Tls(authority.certificate.decode(), names=False))


def letting_in(a_task: Task, access: Access) -> Task:
    return replace(a_task, access=access)


def errors(history: History) -> set[str]:
    return {history.errors[code] for code in history.error if code >= 0}


def answering_once(answer: bytes) -> Handler:
    """Says ``answer`` to the first thing it hears, and nothing more."""

    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        while connection.recv(4096):
            pass

    return handle


@pytest.mark.servers
def test_operations_go_over_tls_as_a_user(tmp_path: Path, authority: Authority, redis: Endpoint) -> None:
    """With the right words every operation is ok, and what was written is read; no error is told."""
    history = play_here(letting_in(task(tmp_path, [redis]), trusting(authority, "bob", PASSWORD)), 300)
    assert len(history) > 20
    assert errors(history) == set()
    assert (history.status == Status.OK).all()
    assert (np.asarray(history.seen) == Seen.HIT).any()


@pytest.mark.servers
def test_large_values_go_over_tls(tmp_path: Path, authority: Authority, redis: Endpoint) -> None:
    """Requests that the kernel does not take at once, and answers of many TLS records, arrive whole."""
    the_task = replace(task(tmp_path, [redis], sessions=2), protocol="tests.driver.codecs:Bulky", timeout_ns=5_000_000_000)
    history = play_here(letting_in(the_task, trusting(authority, "bob", PASSWORD)), 500)
    assert len(history) > 5
    assert errors(history) == set()


@pytest.mark.servers
def test_wrong_password_never_leaves_an_operation(tmp_path: Path, authority: Authority, redis: Endpoint) -> None:
    """Whoever is not let in has provably done nothing; the server's word is the error, and the password is not in it."""
    history = play_here(letting_in(task(tmp_path, [redis]), trusting(authority, "bob", "guessed")), 200)
    assert (history.status == Status.FAIL).all()
    (error,) = errors(history)
    assert error.startswith("connect: WRONGPASS")
    assert "guessed" not in error


@pytest.mark.servers
def test_server_of_another_authority_is_not_spoken_to(tmp_path: Path, redis: Endpoint) -> None:
    """A server that cannot prove who it is hears neither password nor operation."""
    history = play_here(letting_in(task(tmp_path, [redis]), trusting(Authority(), "bob", PASSWORD)), 200)
    assert (history.status == Status.FAIL).all()
    (error,) = errors(history)
    assert error.startswith("connect: TLS:")
    assert "certificate" in error


@pytest.mark.servers
def test_name_counts_where_it_is_asked_for(tmp_path: Path, authority: Authority, redis: Endpoint) -> None:
    """A certificate of the right authority for another name is none, for those who look at names."""
    access = Access("bob", PASSWORD, Tls(authority.certificate.decode(), names=True))
    history = play_here(letting_in(task(tmp_path, [redis]), access), 200)
    (error,) = errors(history)
    assert "mismatch" in error


class Listener:
    """A router that says PING to its one source, and keeps what comes back."""

    sources = (0,)

    def __init__(self) -> None:
        self.heard = b""

    def connected(self, source: int) -> bytes:
        assert source == 0
        return b"PING\r\n"

    def told(self, source: int, data: bytes) -> str:
        assert source == 0
        self.heard += data
        return ""

    def asks(self, at_ns: int) -> bytes:
        assert at_ns > 0
        return b""


@pytest.mark.servers
@pytest.mark.parametrize(("password", "heard"), [(PASSWORD, b"+PONG\r\n"), ("guessed", b"")])
def test_whoever_tells_of_the_topology_is_reached_the_same_way(
    authority: Authority, redis: Endpoint, password: str, heard: bytes
) -> None:
    """Connections to sentinels go through TLS and a password, too; without the right one they hear nothing."""
    listener = Listener()
    sockets = Sockets(Resp, [redis], 0, access=trusting(authority, "bob", password))
    following = Following(listener, [redis], sockets, lambda node, what: pytest.fail(f"{node}: {what}"))
    deadline = time.monotonic() + (5 if heard else 0.3)
    while not listener.heard and time.monotonic() < deadline:
        following.tick(time.monotonic_ns())
        sockets.receive(5_000_000, punctual=False)
    following.close()
    assert listener.heard == heard


def test_plain_server_is_not_taken_for_one_with_tls(tmp_path: Path, authority: Authority) -> None:
    """What answers a TLS greeting in plain text is refused."""
    with server(answering_once(b"-ERR what?\r\n")) as endpoint:
        history = play_here(letting_in(task(tmp_path, [endpoint]), trusting(authority)), 200)
    (error,) = errors(history)
    assert error.startswith("connect: TLS:")
    assert (history.status == Status.FAIL).all()


def test_server_that_stops_amid_the_handshake_is_a_timeout(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that never gets through TLS ends with the operation's time-out, and the operation has not left."""
    monkeypatch.setattr("harness.driver.worker.OPEN_WITHIN_NS", 50_000_000)
    with server(answering_once(b"")) as endpoint:
        history = play_here(letting_in(task(tmp_path, [endpoint], timeout_ms=60), trusting(authority)), 10)
    assert len(history) >= 1
    assert errors(history) == {"connect: time-out"}
    assert (history.status == Status.FAIL).all()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-WRONGPASS invalid\r\n", "connect: WRONGPASS invalid"),
        (b"-ERR unknown command 'AUTH', with args beginning with: 'sesame'\r\n", "beginning with: '***'"),
        (b":1\r\n", "connect: 1"),
        (b"*99999999\r\n", "connect: protocol error"),
        (b"what?\r\n", "connect: protocol error"),
    ],
)
def test_odd_welcome_is_a_refusal(tmp_path: Path, answer: bytes, error: str) -> None:
    """Nothing but OK lets an operation go; whatever else the server says is the reason, without the password."""
    with server(answering_once(answer)) as endpoint:
        history = play_here(letting_in(task(tmp_path, [endpoint], sessions=1), Access(password="sesame")), 100)  # noqa: S106 - a test's
    (told,) = errors(history)
    assert error in told
    assert "sesame" not in told
    assert (history.status == Status.FAIL).all()


def test_welcome_in_pieces_is_put_together(tmp_path: Path) -> None:
    """An OK that comes byte by byte is one, and the first operation is sent only after it."""
    heard: list[bytes] = []

    def slow(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        for byte in (b"+", b"O", b"K", b"\r", b"\n"):
            connection.sendall(byte)
            time.sleep(0.005)
        while data := connection.recv(4096):
            heard.append(data)
            connection.sendall(b"$-1\r\n" if b"GET" in data else b"+OK\r\n")

    with server(slow) as endpoint:
        history = play_here(letting_in(task(tmp_path, [endpoint], sessions=1), Access("bob", "sesame")), 200)
    assert heard[0] == spoken("AUTH", "bob", "sesame")
    assert (history.status == Status.OK).all()


def test_welcome_waits_for_its_end() -> None:
    """The codec's own word: OK, a refusal, or not all of it yet; lists are never read."""
    codec = Resp()
    assert isinstance(codec, Introducing)
    assert codec.introduction(Access(password="x")) == spoken("AUTH", "x")  # noqa: S106 - a test's
    assert codec.welcome(b"+O") is None
    assert codec.welcome(b"K\r\n") == ""
    assert codec.idle()
    assert Resp().welcome(b"-ERR no\r\n") == "ERR no"
    with pytest.raises(ProtocolBreach):
        Resp().welcome(b"*1000000")


def test_secrets_show_in_no_repr(authority: Authority) -> None:
    """Records with a password may be logged; they travel to workers whole."""
    access = trusting(authority, "bob", PASSWORD)
    assert PASSWORD not in repr(access)
    assert "PRIVATE" not in repr(authority.issue("node").certificate)
    assert pickle.loads(pickle.dumps(access)) == access  # noqa: S301 - our own
    assert isinstance(access.tls.context(), ssl.SSLContext)
