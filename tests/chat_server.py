"""A real HTTP server on loopback that speaks the chat completions protocol, good or bad by choice.

with chat_server(answer) as server: ...   # server.url, server.requests
`answer(number, body)` gives what the model says, or (status, bytes) for a raw reply.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

Answer = Callable[[int, dict[str, Any]], str | tuple[int, bytes]]
MODEL = "tiny-chat"


class ChatServer(ThreadingHTTPServer):
    """Counts what it is asked."""

    daemon_threads = True
    answer: Answer

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.needs_key = ""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_GET(self) -> None:
        if self._refused():
            return
        self._send(200, json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append((dict(self.headers), body))
            number = len(self.server.requests)
        if self._refused():
            return
        said = self.server.answer(number, body)
        if isinstance(said, tuple):
            self._send(*said)
        else:
            self._send(200, completion(said))

    def _refused(self) -> bool:
        wanted = self.server.needs_key
        if not wanted or self.headers.get("Authorization") == f"Bearer {wanted}":
            return False
        self._send(401, f"bad key {self.headers.get('Authorization')}".encode())
        return True

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "http://127.0.0.1:9/v1/chat/completions")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def completion(text: str, finish: str = "stop") -> bytes:
    """A chat completion whose message is `text`."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def say(text: str) -> str:
    return json.dumps({"say": text})


def asked(body: dict[str, Any]) -> str:
    """The message that a request wants rewritten."""
    return str(json.loads(body["messages"][1]["content"])["message"])


def hang(_: int, __: dict[str, Any]) -> str:
    time.sleep(20)
    return say("late")


@contextmanager
def chat_server(answer: Answer) -> Iterator[ChatServer]:
    server = ChatServer()
    server.answer = answer
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class RawServer(ThreadingTCPServer):
    """Answers each request with the bytes of `reply` and hangs up."""

    daemon_threads = True
    reply = b""


class _RawHandler(StreamRequestHandler):
    server: RawServer

    def handle(self) -> None:
        lines = iter(lambda: self.rfile.readline().strip().lower(), b"")
        heads = dict(line.partition(b":")[::2] for line in lines)
        self.rfile.read(int(heads[b"content-length"]))
        self.wfile.write(self.server.reply)


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """The URL of a server that answers each POST with these bytes, whatever they are."""
    server = RawServer(("127.0.0.1", 0), _RawHandler)
    server.reply = reply
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
