"""A server for pages that only this computer may see: on 127.0.0.1, for its own pages only.

A page of some other site must not reach it through somebody's browser, so that it answers only
requests that name it as their host (a foreign name could be made to mean 127.0.0.1) and that come
from its own page, where the browser says where from.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 64 * 1024
"""Bytes; a longer request is refused unread."""
TIMEOUT = 30
"""Seconds that a connection may be silent."""
_LINGER = 1
"""Seconds that the rest of a refused request is waited for."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What browsers let the page load (Content-Security-Policy): its own files, nothing else."""

Answer = tuple[int, str, bytes]
"""Status, content type and body."""
Handler = Callable[[Mapping[str, Any]], Answer]
"""Takes the request's JSON object, an empty one for GET; called from several threads."""


class LoopbackError(ValueError):
    """A server that cannot be started; one sentence says why."""


class Refused(Exception):
    """A request that is answered with a 4xx status and a sentence; handlers may raise it."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def text(sentence: str, status: int = 200) -> Answer:
    return status, "text/plain; charset=utf-8", f"{sentence}\n".encode()


def page(content: str, kind: str = "html") -> Answer:
    """A file of the page: html, css or javascript."""
    return 200, f"text/{kind}; charset=utf-8", content.encode()


def answer_json(value: Any) -> Answer:
    return 200, "application/json", json.dumps(value).encode()


class Server(ThreadingHTTPServer):
    """Serves `routes` at `url` once `serve_forever` is called, until `shutdown`.

    Args:
        routes: handlers by method and path: `{("GET", "/"): handler}`.
        port: where to listen; 0 for any that is free.

    Raises:
        LoopbackError: the port is none, or not free.
    """

    daemon_threads = True

    def __init__(self, routes: Mapping[tuple[str, str], Handler], port: int = 0):
        if not 0 <= port < 2**16:
            raise LoopbackError(f"port {port} must be between 0 and 65535")
        self.routes = dict(routes)
        try:
            super().__init__(("127.0.0.1", port), _Request)
        except OSError as error:
            raise LoopbackError(
                f"cannot listen on 127.0.0.1:{port}: {error.strerror}; choose another --port"
            ) from None
        own = [f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")]
        self.url = f"http://{own[0]}/"
        self.hosts = frozenset(own)
        self.origins = frozenset(f"http://{each}" for each in own)

    def handle_error(self, request: socket.socket, client_address: Any) -> None:
        """A browser that goes away is no error; anything else is told as usual."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One request a connection: HTTP/1.0, so that nothing is answered once the server is closed."""

    server: Server
    timeout = TIMEOUT
    wbufsize = -1  # an answer is one write

    def handle_any(self) -> None:
        refused = False
        try:
            status, kind, body = self._answer()
        except Refused as error:
            refused = True
            status, kind, body = text(str(error), error.status)
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if refused:
            self._let_go()

    def _let_go(self) -> None:
        """Closing while a body is still arriving would take the answer away again."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER)
        with contextlib.suppress(OSError):
            for _ in range(16):
                if not self.connection.recv(MAX_BODY):
                    return

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = handle_any

    def _answer(self) -> Answer:
        routes, hosts = self.server.routes, self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise Refused(403, f"This server answers to {self.server.url} only.")
        if not set(self.headers.get_all("Origin", [])) <= self.server.origins:
            raise Refused(403, "This server answers its own page only.")
        path = self.path.split("?")[0]
        handler = routes.get((self.command, path))
        if handler is None:
            if any(path == known for _, known in routes):
                raise Refused(405, f"{self.command} does nothing here.")
            raise Refused(404, "There is nothing here.")
        return handler(self._body())

    def _body(self) -> Mapping[str, Any]:
        """The JSON object that was sent; of a GET nothing is expected, and nothing read."""
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "The body's length must be given.")
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if length < 0:
            raise Refused(400, "The body's length is no number of bytes.")
        if length > MAX_BODY:
            raise Refused(413, f"The body is larger than {MAX_BODY:,} bytes.")
        raw = self.rfile.read(length)
        if self.command == "GET":
            return {}
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            raise Refused(400, "The body is no JSON.") from None
        if not isinstance(value, dict):
            raise Refused(400, "The body must be a JSON object.")
        return value

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the user's."""
