"""Runs one `worker.py` and talks to it over pipes: start, ask, end; a death has a reason.

`say` raises `WorkerDied` when the worker closes its pipe or keeps silent past its deadline; the
next call starts another. A worker says at once that it is there; the check and the first call after
a start may load a model's weights. It ends with its whole process group, and with this process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

import generators
import schemas
from generators.speech import wire
from generators.speech.backend import SpeechRequest, Spoken
from schemas.config.speech import SpeechConfig
from schemas.errors import MachineError, StrettoError

# A bare interpreter on a slow disk is there in a few seconds: what is silent longer is none.
START_S = 60.0
# Importing torch from a cold disk takes a minute, loading gigabytes of weights a few; an engine
# loads them for its check or for its first batch.
LOADING_S = 900.0
# what would lead the other interpreter into this one's packages
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class WorkerDied(Exception):
    """The worker closed its pipe or did not answer in time; the text says why."""


class WorkerProcess:
    """A worker. `version` holds once it is started. `check`: whether it must be able to speak."""

    def __init__(self, speech: SpeechConfig, check: bool = True) -> None:
        self.speech, self.check = speech, check
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize | None = None
        self._answers: int | None = None
        self._loaded = False
        self._told: deque[str] = deque(maxlen=20)
        self._listener: threading.Thread | None = None

    def start(self) -> None:
        """Start it if it isn't running. StrettoError when the engine can't run there."""
        if self._process and self._process.poll() is None:
            return
        self.stop()
        self._process = self._spawn()
        # a wrapper script's children, too, and also where nobody calls `stop`
        self._end = weakref.finalize(self, _end_group, self._process.pid, os.getpid())
        self._loaded = False
        self._told.clear()
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,))
        self._listener.daemon = True
        self._listener.start()
        try:
            self._read(START_S)  # it is there
            self._write({"speech": self.speech.model_dump(mode="json"), "check": self.check})
            head, _ = self._read(LOADING_S)
        except WorkerDied as died:
            raise StrettoError(
                f"the speech worker does not start: {died}",
                f"speech.python {self._python}",
                "it needs the engine's packages and numpy, pydantic, pyyaml, soundfile and soxr",
            ) from None
        if "error" in head:
            self.stop()
            raise StrettoError(*head["error"])
        self.version = head["version"]

    def say(self, requests: list[SpeechRequest]) -> list[Spoken]:
        """The answers to one batch. WorkerDied when there is none.

        MachineError when no worker starts any more: then no utterance is to blame.
        """
        try:
            self.start()
        except StrettoError as error:
            raise MachineError(error.what, error.where, error.fix) from None
        self._write({"requests": [wire.plain_request(request) for request in requests]})
        head, arrays = self._read(self.speech.deadline_s + (0 if self._loaded else LOADING_S))
        self._loaded = True
        if "machine" in head:
            raise MachineError(*head["machine"])
        return [wire.answer_from(h, pcm) for h, pcm in zip(head["answers"], arrays, strict=True)]

    def stop(self) -> None:
        """End it; a later call starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._end:
            self._end()
        process.wait()
        if self._listener:
            self._listener.join(5.0)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        self._close_answers()

    @property
    def _python(self) -> str:
        return os.path.expanduser(self.speech.python or sys.executable)

    def _spawn(self) -> subprocess.Popen[bytes]:
        ours = OURS if self.speech.python else ()
        env = {name: value for name, value in os.environ.items() if name not in ours}
        roots = {str(Path(package.__path__[0]).parent) for package in (schemas, generators)}
        env |= {"STRETTO_ROOTS": os.pathsep.join(sorted(roots)), "TQDM_DISABLE": "1"}
        script = str(Path(__file__).with_name("worker.py"))
        self._answers, theirs = os.pipe()
        try:
            return subprocess.Popen(
                [self._python, "-u", script, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                bufsize=0,
                env=env | self.speech.env,
                start_new_session=True,  # a Ctrl-C is ours to handle
            )
        except OSError as error:
            self._close_answers()
            what = (error.strerror or str(error)).lower()
            raise StrettoError(
                f"that interpreter can't be run: {what}",
                f"speech.python {self._python}",
                "give the path of bin/python in the engine's environment",
            ) from None
        finally:
            os.close(theirs)

    def _close_answers(self) -> None:
        if self._answers is not None:
            os.close(self._answers)
        self._answers = None

    def _listen(self, source: IO[bytes]) -> None:
        """Keep the last lines that it printed: a crash's reason is among them."""
        for line in source:
            text = line.decode("utf-8", "replace").strip()
            if text:
                self._told.append(text)

    def _write(self, head: wire.Plain) -> None:
        assert self._process and self._process.stdin
        view = memoryview(wire.frame(head))
        try:
            while view:
                view = view[self._process.stdin.write(view) :]
        except OSError:
            raise self._died("the speech worker died") from None

    def _read(self, timeout_s: float) -> tuple[wire.Plain, list]:
        began_s = time.monotonic()
        size = wire.LENGTH.unpack(self._take(wire.LENGTH.size, began_s, timeout_s))[0]
        head = json.loads(self._take(size, began_s, timeout_s))
        raw = self._take(sum(head["pcm_bytes"]), began_s, timeout_s)
        return head, wire.arrays_of(raw, head["pcm_bytes"])

    def _take(self, size: int, began_s: float, timeout_s: float) -> bytes:
        """Exactly `size` bytes of the worker's output, `timeout_s` after `began_s` at the latest."""
        assert self._process and self._answers is not None
        descriptor = self._answers
        data = bytearray()
        while len(data) < size:
            left_s = began_s + timeout_s - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                raise self._died(f"the speech worker does not answer within {timeout_s:g} s")
            part = os.read(descriptor, min(size - len(data), 1 << 20))
            if not part:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(2.0)  # for its exit code
                raise self._died("the speech worker died")
            data.extend(part)
        return bytes(data)

    def _died(self, what: str) -> WorkerDied:
        """End the worker, and the reason with the last line that it told."""
        process = self._process
        code = process.poll() if process else None
        self.stop()
        by = f" (signal {-code})" if code is not None and code < 0 else ""
        told = f": {self._told[-1][:300]}" if self._told else ""
        return WorkerDied(f"{what}{by}{told}")


def _end_group(group: int, owner_pid: int) -> None:
    """End a worker and all that it started. Not in a fork of the owner: it is not the fork's."""
    if os.getpid() == owner_pid:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(group, signal.SIGKILL)
