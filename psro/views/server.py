"""A web server for this machine only. It shows a command's pages in the user's own browser.

It listens on 127.0.0.1. Any page on the web may make a browser send requests there. So the server
refuses requests that were not meant for it: a foreign `Host` (a name that was rebound to
127.0.0.1), a foreign `Origin`, a body that is too long, or a path that is not a route. It serves no
files.
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from psro.errors import PsroError

Response = tuple[int, str, bytes]
"""Status, content type, body."""

Route = Callable[[bytes], Response]
"""From a request's body to the response; may raise `Refused`. Requests run side by side, each in a
thread."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything comes from this server. Styles are set inline by plotting libraries; scripts never."""

MAX_BODY = 1 << 16
"""The most bytes of a request's body. A longer one is refused before it is read."""

TIMEOUT = 30.0
"""Seconds that a connection may be silent."""

_LINGER = 1.0
"""Seconds that the server waits for the rest of a refused request."""


class LoopbackError(PsroError):
    """A server that cannot be started; one sentence says why."""


class Refused(Exception):
    """A request that is refused, with an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def text(content: str, kind: str = "plain", status: int = 200) -> Response:
    """A response of a text type: plain, html, css or javascript."""
    return status, f"text/{kind}; charset=utf-8", content.encode(errors="backslashreplace")


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Serves `routes`, by (method, path), on 127.0.0.1; `serve_forever` starts it and `shutdown`,
    from another thread, stops it.

    Args:
        routes: such as `{("GET", "/"): page}`. Paths are compared as they are; a path with a query
            is a different one.
        port: 0 takes a free port.

    Raises:
        LoopbackError: the port is taken or not valid.
    """

    daemon_threads = True  # a browser's open connection does not keep the command alive

    def __init__(self, routes: Mapping[tuple[str, str], Route], *, port: int = 0):
        self.routes = dict(routes)
        try:
            super().__init__(("127.0.0.1", port), _Request)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LoopbackError(f"cannot listen on port {port} of 127.0.0.1: {reason}") from None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """The names by which a browser may call this server."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def server_bind(self) -> None:
        # Without HTTPServer's look-up of the host's full name, which may ask the network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address) -> None:
        """Shows an error on the terminal. An `OSError` is not shown: it comes from a browser that
        goes away. (`_answer` shows what a route raises.)"""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Request(http.server.BaseHTTPRequestHandler):
    """One request for each connection (HTTP/1.0). With several, threads would still answer the
    later ones after the server is closed."""

    server: LoopbackServer
    timeout = TIMEOUT
    wbufsize = -1  # a response is one write

    def handle_one_request(self) -> None:
        """Every method comes to `_answer`."""
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if self.server.fileno() == -1:  # closed after the browser had connected
            return
        if len(self.raw_requestline) > 65536:
            self.requestline, self.request_version, self.command = "", "", ""
            self.send_error(414, "The address is too long.")
        elif self.raw_requestline and self.parse_request():
            self._answer()

    def _answer(self) -> None:
        try:
            route, length = self._checked()
        except Refused as error:
            self.send_error(error.status, str(error))
            return
        body = self.rfile.read(length)
        if len(body) < length:  # the browser went away
            return
        try:
            response = route(body)
        except Refused as error:
            response = text(f"{error}\n", status=error.status)
        except Exception:
            traceback.print_exc()
            response = text("This failed; the terminal shows the error.\n", status=500)
        self._respond(*response)

    def _checked(self) -> tuple[Route, int]:
        """The route of a request that was meant for this server, and its body's length."""
        routes, hosts = self.server.routes, self.headers.get_all("Host", [])
        origins = {f"http://{host}" for host in self.server.hosts}
        length = self.headers.get("Content-Length", "0")
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise Refused(403, "This server answers to its own address only.")
        if not origins.issuperset(self.headers.get_all("Origin", [])):
            raise Refused(403, "This server answers to its own pages only.")
        if self.path not in {path for _, path in routes}:
            raise Refused(404, "There is nothing here.")
        if (self.command, self.path) not in routes:
            raise Refused(405, "This method is not allowed here.")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            raise Refused(411, "A body needs its Content-Length.")
        if len(length) > 9 or int(length) > MAX_BODY:
            raise Refused(413, f"A body may have at most {MAX_BODY:,} bytes.")
        return routes[self.command, self.path], int(length)

    def send_error(self, code, message=None, explain=None) -> None:
        """Refuses a request, the rest of which may still be arriving. The base class calls this
        too."""
        self._respond(*text(f"{message}\n", status=code))
        # Closing now would reset the connection, and the browser would lose the answer.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER)
        ends = time.monotonic() + _LINGER
        with contextlib.suppress(OSError):
            while time.monotonic() < ends and self.connection.recv(MAX_BODY):
                pass

    def _respond(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in (
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format, *arguments) -> None:
        """Logs nothing: the terminal belongs to the command."""
