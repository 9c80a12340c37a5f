"""The program that an engine runs in: in the interpreter of its own environment, behind two pipes.

Run by `generators.speech.worker_process` as `PYTHON worker.py DESCRIPTOR`, with the folders that
hold Stretto's `schemas` and `generators` in STRETTO_ROOTS. Only these two packages are taken from
there: whatever else lies beside them (a whole site-packages, say) stays out of the engine's sight.

Frames (see `wire.py`): an empty one says that the program is there, before anything is imported.
First in comes `{"speech": section of the config, "check"}`, answered by `{"version"}` or `{"error"}`;
then each `{"requests": [...]}` by `{"answers": [...]}` and PCM. Answers go to a descriptor of their
own, so that what libraries print is in nobody's way. An exception ends the program: its last line
is the reason.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import select
import sys
import threading
import time
from typing import Any, BinaryIO

HERE = b'{"pcm_bytes":[]}'


class _Stretto(importlib.abc.MetaPathFinder):
    """Finds `schemas` and `generators`, and nothing else, in the given folders."""

    def __init__(self, roots: list[str]) -> None:
        self.roots = roots

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in ("schemas", "generators"):
            return importlib.machinery.PathFinder.find_spec(name, self.roots)
        return None


def _follow_parent(parent_pid: int) -> None:
    """End with the parent, even while the engine is busy and nobody reads the input.

    The parent may be a wrapper script; then only the closed input tells that Stretto is gone.
    """
    source = select.poll()
    source.register(0, 0)  # asked for nothing, it tells of a hang-up
    while os.getppid() == parent_pid and not source.poll(0):
        time.sleep(1.0)
    os._exit(0)


def _read(source: BinaryIO) -> dict[str, Any]:
    """The next frame's JSON; the program ends where the input does."""
    size = source.read(4)
    if len(size) < 4:
        os._exit(0)
    return json.loads(source.read(int.from_bytes(size, "little")))


def _write(out: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]


def main() -> None:
    """Open the engine that the first frame names, then speak until the input ends."""
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    # the script's own folder has modules with common names: nobody may import those
    sys.path[:] = [folder for folder in sys.path if folder != os.path.dirname(__file__)]
    sys.meta_path.insert(0, _Stretto(os.environ["STRETTO_ROOTS"].split(os.pathsep)))
    out, source = os.fdopen(int(sys.argv[1]), "wb", buffering=0), sys.stdin.buffer
    _write(out, len(HERE).to_bytes(4, "little") + HERE)
    from generators.speech import wire
    from generators.speech.engines import engine
    from schemas.config.speech import SpeechConfig
    from schemas.errors import MachineError, StrettoError

    first = _read(source)
    speech = SpeechConfig.model_validate(first["speech"])
    try:
        backend = engine(speech.backend).open(speech)
        if first["check"]:
            backend.check()
        greeting: dict[str, Any] = {"version": backend.version()}
    except StrettoError as error:
        greeting = {"error": [error.what, error.where, error.fix]}
    _write(out, wire.frame(greeting))
    while True:
        requests = [wire.request_from(plain) for plain in _read(source)["requests"]]
        try:
            answers = [wire.plain_answer(spoken) for spoken in backend.say(requests)]
        except MachineError as error:  # the GPU's fault, say: the run stops, nobody is blamed
            _write(out, wire.frame({"machine": [error.what, error.where, error.fix]}))
            continue
        heads, pcm = [head for head, _ in answers], [array for _, array in answers]
        _write(out, wire.frame({"answers": heads}, pcm))


if __name__ == "__main__":
    main()
