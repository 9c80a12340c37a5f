"""The actor's first step in another environment: Stretto's two packages travel along and unpack.

`Bootstrap` goes to the actor by value (cloudpickle), because that interpreter has no Stretto; so
this module imports the standard library only. `packages()` zips `schemas` and `generators`.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any


def packages() -> bytes:
    """A zip of the sources and data of the two packages: 300 kB."""
    import generators
    import schemas

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in (schemas, generators):
            root = Path(package.__path__[0])
            for file in sorted(root.rglob("*")):
                if file.suffix in (".py", ".yaml", ".json"):
                    archive.write(file, file.relative_to(root.parent))
    return out.getvalue()


class Bootstrap:
    """An actor in another environment: `generators.speech.actor.SpeechActor`, once it is there."""

    zipped = b""  # of the subclass: an argument of 100 kB would not survive a restart of the actor

    def __init__(self, speech_json: str, folder: str) -> None:
        self._root = tempfile.mkdtemp(prefix="stretto-engine-")
        with zipfile.ZipFile(io.BytesIO(self.zipped)) as archive:
            archive.extractall(self._root)
        sys.path.insert(0, self._root)
        from generators.speech.actor import SpeechActor

        self._actor = SpeechActor(speech_json, folder)

    def open(self) -> dict[str, Any]:
        """See SpeechActor."""
        return self._actor.open()

    def say(self, requests: list[dict[str, Any]]) -> list[Any]:
        """See SpeechActor."""
        return self._actor.say(requests)

    def close(self) -> None:
        """End the engine and remove what was unpacked."""
        self._actor.close()
        shutil.rmtree(self._root, ignore_errors=True)
