"""Receivers on loopback: a webhook and a mail server that keep what they get."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class WebhookReceiver:
    """A Slack-compatible webhook; its URL has a secret path."""

    status: int = 200
    delay_s: float = 0.0
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T000/B000/s3cr3t"

    @property
    def texts(self) -> list[str]:
        return [request["json"]["text"] for request in self.requests]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(receiver.delay_s)
            if receiver.status == 200:
                receiver.requests.append({"path": self.path, "headers": dict(self.headers), "json": json.loads(body)})
            self.send_response(receiver.status)
            if receiver.status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        with _serving(server):
            yield receiver


@dataclass
class MailReceiver:
    """A mail server without TLS that accepts any login."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    refuses: bool = False

    @property
    def url(self) -> str:
        return f"smtp://film%40studio:p%40ss@127.0.0.1:{self.port}"


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    receiver = MailReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def answer(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.answer("220 local")
            while line := self.rfile.readline().decode().strip():
                receiver.commands.append(line)
                command = line.split()[0].upper()
                if command == "DATA":
                    self.answer("354 go on")
                    self.read_mail()
                elif command == "EHLO":
                    self.wfile.write(b"250-local\r\n250 AUTH PLAIN\r\n")
                elif command == "AUTH":
                    self.answer("535 no" if receiver.refuses else "235 yes")
                elif command == "QUIT":
                    self.answer("221 bye")
                    return
                else:
                    self.answer("250 ok")

        def read_mail(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line[1:] if line.startswith(b"..") else line)
            mail = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            receiver.mails.append(mail)
            self.answer("250 kept")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        with _serving(server):
            yield receiver


@contextmanager
def _serving(server: socketserver.ThreadingTCPServer) -> Iterator[None]:
    """Serves in a thread until the end of the context."""
    server.daemon_threads = True
    server.block_on_close = False  # a slow answer must not hold the test
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
