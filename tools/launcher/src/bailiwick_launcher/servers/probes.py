"""Readiness seen from outside with the standard library alone: each server's own first answer."""

from __future__ import annotations

import http.client
import socket
import struct
from pathlib import Path

_PATIENCE = 2.0


def postgres(host: str, port: int) -> bool:
    """Say whether PostgreSQL would let somebody sign in.

    While it starts or recovers it answers a start-up packet with an error instead of asking for
    a password.
    """
    body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    return _first_byte(host, port, struct.pack("!I", len(body) + 4) + body) == b"R"


def rabbitmq(host: str, port: int) -> bool:
    """Say whether RabbitMQ opens an AMQP connection: its first frame is a method frame."""
    return _first_byte(host, port, b"AMQP\x00\x00\x09\x01") == b"\x01"


def smtp(host: str, port: int) -> bool:
    """Say whether a mail server is ready to take mail: it begins with 220."""
    return _first_byte(host, port, b"") == b"2"


def _first_byte(host: str, port: int, greeting: bytes) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE) as connection:
            connection.sendall(greeting)
            return connection.recv(1)
    except OSError:
        return b""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:  # type: ignore[explicit-override] # stdlib alone here
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(str(self._path))


def http_status(url: str, path: str) -> int:
    """Give the status that a server at `http://host:port` or `unix:///path` answers, 0 if none."""
    if url.startswith("unix://"):
        connection: http.client.HTTPConnection = _SocketConnection(
            Path(url.removeprefix("unix://"))
        )
    else:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
