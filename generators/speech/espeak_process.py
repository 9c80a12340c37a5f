"""Runs the fork server (`espeak_server.py`) and talks to it over two pipes.

`exchange` keeps a few requests in flight, so that the server never waits for us and neither pipe
can fill up. A server that died or fell silent is started again and the request it was busy with is
tried once more.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from schemas.errors import StrettoError

# 4 requests of at most 2,000 characters (8 kB) stay below the 64 KiB that a pipe holds.
IN_FLIGHT = 4
START_TIMEOUT_S = 60.0
# The server keeps the utterance's deadline; this much later it is itself taken for stuck.
GRACE_S = 15.0
Answer = tuple[dict[str, Any], bytes]


class ServerDied(Exception):
    """The server closed its pipe, or did not answer in time."""


class EspeakProcess:
    """A running fork server. `version` and `sample_rate_hz` hold once it is started."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.version = ""
        self.sample_rate_hz = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0

    def start(self) -> None:
        """Start the server if it isn't running. StrettoError when it can't speak here."""
        if self._process and self._owner_pid != os.getpid():
            self._process = None  # we were forked: that server is our parent's
        if self._process and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_script()), *_library()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is ours to handle
        )
        self._owner_pid = os.getpid()
        self._greet()

    def _greet(self) -> None:
        try:
            header, _ = self._read(START_TIMEOUT_S)
        except ServerDied as died:
            header = {"error": str(died)}
        if "error" in header:
            self.stop()
            raise StrettoError(
                f"espeak-ng does not start: {header['error']}",
                fix="reinstall it: pip install --force-reinstall espeakng-loader",
            )
        self.version, self.sample_rate_hz = header["version"], header["sample_rate_hz"]

    def stop(self) -> None:
        """End the server; a later call starts another."""
        process, self._process = self._process, None
        if process is None or self._owner_pid != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def exchange(self, requests: Sequence[dict[str, Any]]) -> Generator[Answer, None, None]:
        """The answer to each request, in order: (header, PCM). A header may hold an `error`."""
        finished = False
        try:
            sent = done = deaths = 0
            while done < len(requests):
                try:
                    self.start()
                    while sent < min(len(requests), done + IN_FLIGHT):
                        self._write({**requests[sent], "deadline_s": self.deadline_s})
                        sent += 1
                    answer = self._read(self.deadline_s + GRACE_S)
                except ServerDied as died:
                    self.stop()
                    sent, deaths = done, deaths + 1
                    if deaths < 2:
                        continue
                    answer = ({"error": str(died)}, b"")
                    sent = done + 1
                done, deaths = done + 1, 0
                yield answer
            finished = True
        finally:
            if not finished:
                self.stop()  # answers left in the pipe would belong to the wrong request

    def _write(self, request: dict[str, Any]) -> None:
        assert self._process and self._process.stdin
        body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            view = memoryview(struct.pack("<I", len(body)) + body)
            while view:
                view = view[self._process.stdin.write(view) :]
        except OSError as problem:
            raise ServerDied("the speech server died") from problem

    def _read(self, timeout_s: float) -> Answer:
        deadline = time.monotonic() + timeout_s
        (size,) = struct.unpack("<I", self._take(4, deadline))
        header = json.loads(self._take(size, deadline))
        return header, self._take(header["pcm_bytes"], deadline)

    def _take(self, size: int, deadline: float) -> bytes:
        """Exactly `size` bytes of the server's output before the deadline (monotonic seconds)."""
        assert self._process and self._process.stdout
        descriptor = self._process.stdout.fileno()
        data = bytearray()
        while len(data) < size:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                raise ServerDied("the speech server does not answer")
            part = os.read(descriptor, size - len(data))
            if not part:
                raise ServerDied("the speech server died")
            data.extend(part)
        return bytes(data)


def _script() -> Path:
    return Path(__file__).with_name("espeak_server.py")


def _library() -> tuple[str, str]:
    """Paths of the shared library and of its data folder."""
    try:
        import espeakng_loader
    except ImportError as missing:
        raise StrettoError(
            "the espeak speech backend is not installed", fix="pip install espeakng-loader"
        ) from missing
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
