"""The media of one sample from its tar members, decoded only when asked for.

`MemberMedia(members)` takes the members by extension ("json", "listen.flac", "look.front.mp4",
"act.npy", ...) and implements `schemas.sample.Media`. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError


class MemberMedia:
    """See `schemas.sample.Media`. StrettoError when a member is absent or can't be decoded."""

    def __init__(self, members: Mapping[str, bytes], where: str = "sample") -> None:
        self._members, self._where = members, where

    def member(self, name: str) -> bytes:
        """The bytes of a member (`listen.flac`). Raises StrettoError with the members there are."""
        if name not in self._members:
            known = ", ".join(sorted(self._members))
            raise StrettoError(f"no member {name}", self._where, f"members here: {known}")
        return self._members[name]

    def listen(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""
        return self._audio("listen.flac")

    def speak(self) -> NDArray[np.int16]:
        """int16 [sample_count]."""
        return self._audio("speak.flac")

    def stem(self, name: str) -> NDArray[np.int16]:
        """int16 [sample_count]: a clean source of `listen`, where the corpus kept them."""
        return self._audio(f"stem.{name}.flac")

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [len(indices), height, width, 3]; `indices` rise."""
        from av.error import FFmpegError

        from generators.video import decode_mp4

        name = f"look.{camera}.mp4"
        try:
            return decode_mp4(self.member(name), indices)
        except FFmpegError as error:
            raise StrettoError(f"member {name} is not video: {error}", self._where) from None
        except StrettoError as error:
            raise StrettoError(error.what, error.where or self._where, error.fix) from None

    def act(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim], or None for a sample without actions."""
        return self._array("act.npy")

    def state(self) -> NDArray[np.float32] | None:
        """float32 [step_count, dim], or None for a sample without states."""
        return self._array("state.npy")

    def _audio(self, name: str) -> NDArray[np.int16]:
        import soundfile

        data = self.member(name)
        try:
            return soundfile.read(io.BytesIO(data), dtype="int16")[0]
        except soundfile.SoundFileError as error:
            raise StrettoError(f"member {name} is not sound: {error}", self._where) from None

    def _array(self, name: str) -> NDArray[np.float32] | None:
        if name not in self._members:
            return None
        try:
            return np.load(io.BytesIO(self._members[name]), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise StrettoError(f"member {name} is not an array: {error}", self._where) from None
