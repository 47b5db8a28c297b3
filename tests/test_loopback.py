"""The server answers this machine's own browser, and refuses what a foreign page makes one send."""

import contextlib
import errno
import http.client
import io
import os
import socket
import sys
import threading
import time

import pytest
from browser import HANGS

from psro.views.server import (
    CONTENT_SECURITY_POLICY,
    MAX_BODY,
    LoopbackError,
    LoopbackServer,
    Refused,
)


@contextlib.contextmanager
def serving(routes, **options):
    with LoopbackServer(routes, **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def calls():
    return []


@pytest.fixture(scope="module")
def server(calls):
    """Some routes; bodies that reach the first two are in `calls`."""

    def answer(body):
        calls.append(body)
        return 200, "text/plain", b"heard " + body

    def broken(body):
        raise RuntimeError("a bug")

    def refusing(body):
        raise Refused(409, "It has gone on.")

    routes = {
        ("GET", "/"): answer,
        ("POST", "/move"): answer,
        ("GET", "/broken"): broken,
        ("POST", "/late"): refusing,
    }
    with serving(routes) as server:
        yield server


@pytest.fixture(autouse=True)
def forget(calls):
    calls.clear()


def ask(server, method="GET", path="/", body=None, **headers):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=HANGS)
    with contextlib.closing(connection):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def raw(server, text):
    """What comes back for bytes that no client library would send."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=HANGS) as connection:
        connection.sendall(text.encode().replace(b"\n", b"\r\n"))
        return connection.makefile("rb").read()


def test_routes_answer(server, calls):
    status, headers, body = ask(server)
    assert (status, body) == (200, b"heard ")
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY.split("script-src")[1].split(";")[0]
    assert ask(server, "POST", "/move", b"call")[2] == b"heard call"
    assert calls == [b"", b"call"]


def test_it_listens_on_loopback_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost"])
def test_its_own_names_and_origins(server, name):
    own = f"{name}:{server.server_port}"
    assert ask(server, Host=own, Origin=f"http://{own.lower()}")[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}"],
)
def test_a_foreign_host_is_refused(server, calls, host):
    """A name of the attacker's that was rebound to 127.0.0.1 is still in the header."""
    assert ask(server, Host=host.format(port=server.server_port))[0] == 403
    assert not calls


@pytest.mark.parametrize("hosts", ["", "Host: 127.0.0.1:{port}\nHost: evil.example\n"])
def test_no_host_and_two_hosts_are_refused(server, calls, hosts):
    answer = raw(server, f"GET / HTTP/1.1\n{hosts.format(port=server.server_port)}\n")
    assert answer.startswith(b"HTTP/1.0 403")
    assert not calls


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/move")])
def test_a_foreign_origin_is_refused(server, calls, origin, method, path):
    origin = origin.format(port=server.server_port)
    assert ask(server, method, path, Origin=origin)[0] == 403
    assert not calls


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/?query", "/move/", "http://own/"],
)
def test_what_is_no_route_is_not_there(server, calls, path):
    assert ask(server, path=path, Host=f"127.0.0.1:{server.server_port}")[0] == 404
    assert not calls


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(server, calls, method):
    assert ask(server, method)[0] == 405
    assert ask(server, "GET", "/move")[0] == 405
    assert not calls


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("GET", "/", {"Origin": "http://evil.example"}, 403),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/", {}, 405),
        ("POST", "/move", {"Content_Length": "many"}, 411),
        ("POST", "/move", {"Content_Length": str(10**15)}, 413),
        ("POST", "/late", {}, 409),
    ],
)
def test_a_refusal_is_a_sentence_with_the_same_headers(server, method, path, headers, status):
    answer, sent, body = ask(server, method, path, **headers)
    assert answer == status and sent["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert sent["Content-Type"] == "text/plain; charset=utf-8"
    assert body.endswith(b".\n") and 10 < len(body) < 100 and body.count(b"\n") == 1
    assert ask(server)[0] == 200  # and the next one is answered


def test_a_body_too_long_is_refused_unread(server, calls):
    assert ask(server, "POST", "/move", b"x" * MAX_BODY)[0] == 200
    calls.clear()
    own = f"Host: 127.0.0.1:{server.server_port}\n"
    for length in (MAX_BODY + 1, 10**30):
        answer = raw(server, f"POST /move HTTP/1.1\n{own}Content-Length: {length}\n\n")
        assert answer.startswith(b"HTTP/1.0 413")
    assert not calls


@pytest.mark.parametrize("_", range(20))
def test_a_refusal_is_not_lost_while_its_body_arrives(server, calls, monkeypatch, _):
    """A close with unread bytes is a reset, which would take back what was answered."""
    monkeypatch.setattr("psro.views.server._LINGER", HANGS)  # a busy machine sends slowly
    for path, status in (("/move", 413), ("/nothing", 404)):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=HANGS) as client:
            head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
            client.sendall(f"{head}Content-Length: {8 * MAX_BODY}\r\n\r\n".encode())
            for _ in range(8):
                client.sendall(b"x" * MAX_BODY)
            assert client.makefile("rb").read().startswith(f"HTTP/1.0 {status}".encode())
    assert not calls


def test_a_connection_has_one_request(server, calls):
    request = f"GET / HTTP/1.1\nHost: 127.0.0.1:{server.server_port}\nConnection: keep-alive\n\n"
    answer = raw(server, 2 * request)
    assert answer.count(b"HTTP/1.0 200") == 1 and b"Connection: close" in answer
    assert len(calls) == 1


def test_a_connection_made_ahead_is_not_answered_after_the_end(calls):
    """Browsers connect before they have something to ask."""
    with serving({("GET", "/"): lambda body: calls.append(body)}) as server:
        early = socket.create_connection(("127.0.0.1", server.server_port), timeout=HANGS)
        assert ask(server, path="/nothing")[0] == 404  # so that the early one has been accepted
        own = f"Host: 127.0.0.1:{server.server_port}"
    with early, contextlib.suppress(ConnectionError):
        early.sendall(f"GET / HTTP/1.1\r\n{own}\r\n\r\n".encode())
        assert early.makefile("rb").read() == b""
    assert not calls


@pytest.mark.parametrize("line", ["GET", "GET / HTTP/2.0", "GET / HTTP/x", "GET / / HTTP/1.1"])
def test_what_is_no_http_is_refused(server, calls, line):
    answer = raw(server, f"{line}\nHost: 127.0.0.1:{server.server_port}\n\n")
    assert b"text/html" not in answer and b"heard" not in answer
    assert not calls


@pytest.mark.parametrize(
    "header", ["Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: ²"]
)
def test_a_body_of_unknown_length_is_refused(server, calls, header):
    own = f"Host: 127.0.0.1:{server.server_port}\n"
    answer = raw(server, f"POST /move HTTP/1.1\n{own}{header}\n\n")
    assert answer.startswith((b"HTTP/1.0 411", b"HTTP/1.0 400"))
    assert not calls


def test_an_address_too_long_is_refused(server):
    assert raw(server, f"GET /{'x' * 70_000} HTTP/1.1\n\n").startswith(b"HTTP/1.0 414")


def test_a_route_that_fails_says_so_on_both_sides(server, monkeypatch):
    said, deadline = io.StringIO(), time.monotonic() + HANGS
    monkeypatch.setattr(sys, "stderr", said)  # what capture has read it may also lose
    assert ask(server, path="/broken")[0] == 500
    while "RuntimeError: a bug" not in said.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "RuntimeError: a bug" in said.getvalue()


def test_a_client_that_leaves_early_is_met_with_silence(server, monkeypatch):
    """Whatever the operating system calls it: after a reset, closing one side is ENOTCONN."""
    said, handled, handle = io.StringIO(), threading.Event(), server.handle_error

    def gone(*_):
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(socket.socket, "shutdown", gone)
    monkeypatch.setattr(server, "handle_error", lambda *of: (handle(*of), handled.set()))
    assert ask(server, path="/nothing")[0] == 404
    assert handled.wait(10) and said.getvalue() == ""


def test_a_taken_port(server):
    with pytest.raises(LoopbackError, match=f"port {server.server_port}"):
        LoopbackServer({}, port=server.server_port)
    with pytest.raises(LoopbackError, match="70000"):
        LoopbackServer({}, port=70_000)


def test_a_body_that_never_arrives_whole_reaches_no_route(server, calls):
    before = len(calls)
    with socket.create_connection(("127.0.0.1", server.server_port)) as cut:
        head = f"POST /move HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
        cut.sendall(f"{head}Content-Length: 100\r\n\r\nshort".encode())
        cut.shutdown(socket.SHUT_WR)
        assert cut.recv(100) == b""
    assert len(calls) == before
