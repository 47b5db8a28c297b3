"""A web server for this machine only: pages of a command, shown in its user's own browser.

It listens on 127.0.0.1. Any page on the web may make a browser send requests there, so it also
refuses whatever was not meant for it: a foreign `Host` (a name that was rebound to 127.0.0.1), a
foreign `Origin`, bodies that are too long, and all that is no route. It serves no files.
"""

from __future__ import annotations

import http.server
import sys
from collections.abc import Callable, Mapping

Response = tuple[int, str, bytes]
"""Status, content type, body."""

Route = Callable[[bytes], Response]
"""From a request's body to the response. Requests run side by side, each in a thread."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Everything comes from this server. Styles are set inline by plotting libraries; scripts never."""

MAX_BODY = 1 << 16
"""Bytes of a request's body."""

TIMEOUT = 30.0
"""Seconds that a request may take to arrive."""


class LoopbackError(ValueError):
    """A server that cannot be started; one sentence says why."""


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Serves `routes`, by (method, path), on 127.0.0.1; `serve_forever` starts it and `shutdown`,
    from another thread, stops it.

    Args:
        routes: what answers, such as `{("GET", "/"): page}`. A path is compared as it is; one with
            a query is another one.
        port: 0 takes a free one.

    Raises:
        LoopbackError: the port is taken, or is none.
    """

    daemon_threads = True  # a browser's open connection does not keep the command alive

    def __init__(self, routes: Mapping[tuple[str, str], Route], *, port: int = 0):
        self.routes = dict(routes)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LoopbackError(f"cannot listen on port {port} of 127.0.0.1: {reason}") from None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """What a browser that was meant to come here calls it."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def server_bind(self) -> None:
        # Without HTTPServer's look-up of the host's full name, which may ask the network.
        http.server.socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address) -> None:
        """Shows an error on the terminal; a browser that goes away is none."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: LoopbackServer
    timeout = TIMEOUT
    server_version, sys_version = "psro", ""

    def handle_one_request(self) -> None:
        """Every method comes to `_answer`."""
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline, self.request_version, self.command = "", "", ""
            self._send(414, "the address is too long")
        elif self.raw_requestline and self.parse_request():
            self._answer()
        self.close_connection = True

    def _answer(self) -> None:
        hosts = self.headers.get_all("Host", [])
        origins = self.headers.get_all("Origin", [])
        paths = {path for _, path in self.server.routes}
        length = self.headers.get("Content-Length", "0")
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            self._send(403, "this server answers to its own address only")
        elif any(each not in {f"http://{host}" for host in self.server.hosts} for each in origins):
            self._send(403, "this server answers to its own pages only")
        elif self.path not in paths:
            self._send(404, "there is nothing here")
        elif (self.command, self.path) not in self.server.routes:
            self._send(405, "this is not done here")
        elif "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            self._send(411, "a body must say how long it is")
        elif len(length) > 9 or int(length) > MAX_BODY:
            self._send(413, f"a body may have {MAX_BODY} bytes")
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):  # it went away
                return
            try:
                response = self.server.routes[self.command, self.path](body)
            except Exception:
                self._send(500, "this failed; the terminal says more")
                raise
            self._respond(*response)

    def _send(self, status: int, sentence: str) -> None:
        self._respond(status, "text/plain; charset=utf-8", sentence.encode() + b"\n")

    def _respond(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
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

    def log_message(self, format, *arguments) -> None:
        """Nothing: the terminal is the command's."""
