"""Ports on loopback: free ones, and who listens on those that are not."""

from __future__ import annotations

import os
import socket

import psutil

from tasks.shared.errors import UsageError

HOST = "127.0.0.1"
_TRIED = 100


def is_free(port: int) -> bool:
    """Whether nothing listens on a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: the port of an ended one is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(first: int) -> int:
    """The first free port from ``first`` on.

    Raises:
        UsageError: none of a hundred is free.
    """
    for port in range(first, min(first + _TRIED, 65536)):
        if is_free(port):
            return port
    raise UsageError(f"ports {first} to {first + _TRIED - 1} of {HOST} are taken: choose another one with --port")


def is_own(port: int) -> bool:
    """Whether a process of this user listens on a port."""
    try:
        listening = [
            c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        ]
        return any(c.pid and psutil.Process(c.pid).uids().real == os.getuid() for c in listening)
    except (psutil.Error, OSError):  # macOS shows connections to the administrator only
        return False
