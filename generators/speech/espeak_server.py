"""The fork server that speaks: a separate small program around espeak-ng's shared library.

Run by `generators.speech.espeak` as `python -S -E espeak_server.py LIBRARY DATA_FOLDER`. It imports
nothing of Stretto, so that the GPL library stays in a program of its own. It initialises espeak-ng
once and forks for every utterance: a child starts from the same untouched state, because no call of
the library resets its flutter, gain and wave phase (facts: docs/speech.md). A child that crashes,
leaks or hangs harms only its own utterance.

Both pipes carry frames. Request: 4-byte little-endian length, JSON. Answer: the same, then the raw
int16 PCM bytes, `pcm_bytes` of them. The first frame out is a greeting with the version. The
server ends when its standard input closes or its parent is gone.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from typing import Any

SYNCHRONOUS = 2
# 0x1 phoneme events, 0x2 in IPA, 0x8000 return an error instead of calling exit().
INITIALIZE_OPTIONS = 0x1 | 0x2 | 0x8000
# UTF-8 text and nothing else: no SSML, no [[phonemes]].
UTF8_ONLY = 1
RATE, PITCH, RANGE = 1, 3, 4
LIST_TERMINATED, WORD, PHONEME = 0, 1, 7
CHILD_MEMORY_BYTES = 2 << 30


class EventId(ctypes.Union):
    """The last field of an event: a word's number or a phoneme's name (UTF-8, 8 bytes)."""

    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h, API revision 12 (espeak-ng 1.52)."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", EventId),
    ]


class Voice(ctypes.Structure):
    """The head of espeak_VOICE: enough to read which voice is set."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
    ]


SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


def load(library: str, data_folder: str) -> tuple[Any, int, str]:
    """The initialised library, its sample rate in Hz and its version. OSError when it can't."""
    espeak = ctypes.CDLL(library)
    espeak.espeak_GetCurrentVoice.restype = ctypes.POINTER(Voice)
    espeak.espeak_Info.restype = ctypes.c_char_p
    sample_rate_hz = espeak.espeak_Initialize(
        SYNCHRONOUS, 500, os.fsencode(data_folder), INITIALIZE_OPTIONS
    )
    if sample_rate_hz <= 0:
        raise OSError(f"espeak_Initialize failed with {sample_rate_hz} on {data_folder}")
    # The list of voice files, read once here: 3 of 10 ms per utterance when every child reads it.
    espeak.espeak_ListVoices(None)
    return espeak, sample_rate_hz, espeak.espeak_Info(None).decode()


def set_voice(espeak: Any, request: dict[str, Any]) -> str | None:
    """Set language file, variant, rate, pitch and range; the reason when that fails."""
    name = request["language"] + ("+" + request["variant"] if request["variant"] else "")
    code = espeak.espeak_SetVoiceByName(name.encode())
    current = espeak.espeak_GetCurrentVoice()
    # A failed call leaves the default voice, and an unknown variant is dropped without a word.
    identifier = (current.contents.identifier or b"").decode() if current else ""
    if code != 0 or identifier.split("/")[-1].lower() != name.lower():
        return f"espeak-ng has no voice {name!r} (code {code}, voice {identifier!r} is set)"
    for parameter, value in ((RATE, "rate_wpm"), (PITCH, "pitch"), (RANGE, "pitch_range")):
        if espeak.espeak_SetParameter(parameter, int(request[value]), 0) != 0:
            return f"espeak-ng refuses {value}={request[value]}"
    return None


def collect(espeak: Any, text: bytes) -> tuple[bytes, list[list[Any]], list[list[Any]], int]:
    """Speak `text`: PCM, words [char 1-based, length, sample], phonemes [sample, IPA], code."""
    pcm, words, phonemes = bytearray(), [], []

    @SYNTH_CALLBACK
    def callback(wave: Any, n_samples: int, events: Any) -> int:
        if wave and n_samples > 0:
            pcm.extend(ctypes.string_at(wave, 2 * n_samples))
        index = 0
        while events[index].type != LIST_TERMINATED:
            event = events[index]
            if event.type == WORD:
                words.append([event.text_position, event.length, event.sample])
            elif event.type == PHONEME:
                phonemes.append([event.sample, event.id.string.decode("utf-8", "replace")])
            index += 1
        return 0

    espeak.espeak_SetSynthCallback(callback)
    buffer = ctypes.create_string_buffer(text)
    code = espeak.espeak_Synth(buffer, len(text) + 1, 0, 1, 0, UTF8_ONLY, None, None)
    espeak.espeak_Synchronize()
    return bytes(pcm), words, phonemes, code


def speak(espeak: Any, libc: Any, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """One utterance, in the child: the answer's header and its PCM."""
    if "test_fault" in request:
        fault(request["test_fault"])
    problem = set_voice(espeak, request)
    if problem:
        return {"error": problem}, b""
    libc.srand(ctypes.c_uint(request["seed"]))
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(request["seed"]))
    pcm, words, phonemes, code = collect(espeak, request["text"].encode())
    if code != 0:
        return {"error": f"espeak-ng failed with code {code}"}, b""
    return {"words": words, "phonemes": phonemes}, pcm


def fault(kind: str) -> None:
    """What a broken library does, for the tests of isolation: crash or sleep for ever."""
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while True:
        time.sleep(60)


def frame(header: dict[str, Any], pcm: bytes = b"") -> bytes:
    """One answer as bytes."""
    head = json.dumps({**header, "pcm_bytes": len(pcm)}, separators=(",", ":")).encode()
    return struct.pack("<I", len(head)) + head + pcm


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def widen(pipe: int) -> None:
    """Let a pipe hold a whole utterance (1 MiB) where the system can: fewer turns to read it."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
    except (AttributeError, OSError):
        pass


def child_main(espeak: Any, libc: Any, request: dict[str, Any], pipe: int) -> None:
    """The forked child: speak, write the answer into the pipe, leave without clean-up."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if sys.platform == "linux":
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: die with the server
            resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY_BYTES, CHILD_MEMORY_BYTES))
        write_all(pipe, frame(*speak(espeak, libc, request)))
        code = 0
    finally:
        os._exit(code)


class Server:
    """The loop: read requests as they come, speak them one after the other, in order."""

    def __init__(self, library: str, data_folder: str) -> None:
        self.parent_pid = os.getppid()
        self.espeak, self.sample_rate_hz, self.version = load(library, data_folder)
        self.libc = ctypes.CDLL(None)
        self.inbox = bytearray()

    def run(self) -> None:
        """Serve until the input closes or the parent is gone."""
        write_all(1, frame({"version": self.version, "sample_rate_hz": self.sample_rate_hz}))
        while True:
            write_all(1, self.answer(self.next_request()))

    def next_request(self) -> dict[str, Any]:
        """The next request of the inbox, waiting for it."""
        while True:
            if len(self.inbox) >= 4:
                (size,) = struct.unpack_from("<I", self.inbox)
                if len(self.inbox) >= 4 + size:
                    body = bytes(self.inbox[4 : 4 + size])
                    del self.inbox[: 4 + size]
                    return json.loads(body)
            self.wait([0], 1.0)

    def wait(self, descriptors: list[int], timeout_s: float) -> list[int]:
        """Those ready to read; takes in what the client sent; ends the process if it is gone."""
        ready = select.select(descriptors, [], [], timeout_s)[0]
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                os._exit(0)
            self.inbox.extend(data)
        # A copy of the pipe in a forked sibling can hide the end of the input.
        if os.getppid() != self.parent_pid:
            os._exit(0)
        return ready

    def answer(self, request: dict[str, Any]) -> bytes:
        """Fork, speak, collect: the answer's frame; an error frame if the child fails."""
        reader, writer = os.pipe()
        widen(writer)
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            child_main(self.espeak, self.libc, request, writer)
        os.close(writer)
        data = self.collect(reader, time.monotonic() + request["deadline_s"])
        os.close(reader)
        if data is None:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if data is None:
            return frame({"error": f"no speech within {request['deadline_s']:g} s"})
        if status != 0:
            code = os.waitstatus_to_exitcode(status)
            cause = f"signal {-code}" if code < 0 else f"exit code {code}"
            return frame({"error": f"espeak-ng died ({cause})"})
        return data

    def collect(self, reader: int, deadline: float) -> bytes | None:
        """All that the child writes; None when the deadline (monotonic seconds) passes."""
        data = bytearray()
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            if reader in self.wait([reader, 0], min(left_s, 1.0)):
                part = os.read(reader, 1 << 20)
                if not part:
                    return bytes(data)
                data.extend(part)


if __name__ == "__main__":
    try:
        server = Server(sys.argv[1], sys.argv[2])
    except Exception as problem:  # the client turns any start-up fault into one line
        write_all(1, frame({"error": f"{type(problem).__name__}: {problem}"}))
        sys.exit(1)
    server.run()
