"""A server of one page, on the loopback address of this machine: it reads, and changes nothing.

It answers GET and HEAD requests for ``/`` (the page) and ``/version`` (what changes if the page does). A website that a
user visits could make their browser send requests here under a name of its own, whose address it changes to this
machine's (DNS rebinding): a request that names another host than this machine is refused.
"""

from __future__ import annotations

import os
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mamlbench.errors import ConfigError, MamlbenchError, describe_error
from mamlbench.report.page.live_page import LivePage

ADDRESS = "127.0.0.1"
OWN_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::(\d{1,5}))?", re.IGNORECASE)
SECONDS = 30
"""Longest wait for the rest of a request."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer(ThreadingHTTPServer):
    """Serves a page until ``shutdown``.

    Raises ConfigError if the port is taken or must not be used.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would let two servers share a port

    def __init__(self, page: LivePage, port: int) -> None:
        self.page = page
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"Port {port} of {ADDRESS} cannot be used ({error.strerror}): choose another with --port, or --port 0 "
                "for any that is free."
            ) from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without asking a name server for the machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.allow_reuse_address))
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing if a browser closes a connection."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version = "mamlbench"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        if not self._is_for_this_machine():
            self._send(HTTPStatus.FORBIDDEN, b"This server answers requests to 127.0.0.1 and localhost only.\n")
            return
        path = self.path.partition("?")[0]
        try:
            if path == "/":
                self._send(HTTPStatus.OK, self.server.page.content(), "text/html")
            elif path == "/version":
                self._send(HTTPStatus.OK, self.server.page.version().encode())
            else:
                self._send(HTTPStatus.NOT_FOUND, b"There is one page here: /\n")
        except MamlbenchError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode())
        except ConnectionError:
            raise
        except Exception as error:  # of a plugin's column, for instance; the next request may succeed
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, f"{describe_error(error)}\n".encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        """Refuse a request that would change something."""
        self.close_connection = True  # what it sends is not read
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"This server is read only.\n")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # PUT, DELETE, ...: looked up when such a request comes
            return self.do_POST
        raise AttributeError(name)

    def _is_for_this_machine(self) -> bool:
        match = OWN_HOST.fullmatch(self.headers.get("Host", ""))
        return match is not None and int(match[1] or 80) == self.server.server_port

    def _send(self, status: HTTPStatus, content: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing: a browser asks every few seconds."""
