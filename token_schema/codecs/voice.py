"""VoiceClips: a few seconds of each assistant voice, for the prompt of parallel presets.

PersonaPlex (NVIDIA/personaplex @ 3428dfd, lm.py) plays the voice to speak with in the `speak`
streams before the sample begins. A clip is the first speech of that voice in the train split,
utterance after utterance until the length is full; a voice that says less is padded with silence.
The clip is the same for every sample of its voice, so it tells nothing of the sample (but for the
one it was cut from, which hears its own first words).

    clips = VoiceClips.fit(pairs, VoiceSettings(seconds=3.0))   # pairs of (voice, int16 [n])
    clips.clip("en-us/m1")                                      # int16 [samples], or None
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from schemas.errors import StrettoError
from token_schema.codecs import base

VERSION = 1
NAMES, CLIPS = "names.json", "clips.npy"


@dataclass(frozen=True)
class VoiceSettings:
    """The corpus's sample rate and the length of every clip."""

    sample_rate_hz: int = 16000
    seconds: float = 3.0

    def __post_init__(self) -> None:
        whole = isinstance(self.sample_rate_hz, int) and 8000 <= self.sample_rate_hz <= 192000
        if not (whole and 0 < self.seconds <= 30 and self.samples >= 1):
            raise StrettoError(
                f"voice clips of {self.seconds} s at {self.sample_rate_hz} Hz are out of range",
                "codec settings",
                "above 0 and up to 30 s",
            )

    @property
    def samples(self) -> int:
        """Samples in a clip."""
        return round(self.seconds * self.sample_rate_hz)


class VoiceClips(base.StoredCodec):
    """Clips by voice name. It has no ids of its own: an audio codec codes the clips."""

    kind = "voice"

    def __init__(self, settings: VoiceSettings, names: tuple[str, ...], clips: np.ndarray) -> None:
        """`clips` int16 [V, settings.samples], one for each of `names`, which are sorted."""
        self.settings, self.names, self.clips = settings, names, clips
        self._at = {name: i for i, name in enumerate(names)}

    @property
    def size(self) -> int:
        """Voices."""
        return len(self.names)

    @property
    def sample_rate_hz(self) -> int:
        return self.settings.sample_rate_hz

    @property
    def seconds(self) -> float:
        """The length of every clip."""
        return self.settings.seconds

    def clip(self, name: str | None) -> np.ndarray | None:
        """int16 [samples] of a voice; None when the train split has no such voice."""
        index = self._at.get(name) if name is not None else None
        return None if index is None else self.clips[index]

    def to_files(self) -> dict[str, bytes]:
        names = json.dumps(list(self.names), ensure_ascii=False, indent=1) + "\n"
        parts = {NAMES: names.encode(), CLIPS: base.npy_bytes(self.clips)}
        return base.pack(self.kind, "voice", VERSION, asdict(self.settings), parts)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> VoiceClips:
        """The clips of these files; StrettoError when they are not whole."""
        settings = base.build(VoiceSettings, base.unpack(files, "voice", VERSION, where), where)
        names = base.build(_names, {"data": files.get(NAMES, b"")}, where)
        shape = (len(names), settings.samples)
        return cls(settings, names, base.read_array(files, CLIPS, "<i2", shape, where))

    @classmethod
    def fit(
        cls, speech: Iterable[tuple[str, np.ndarray]], settings: VoiceSettings | None = None
    ) -> VoiceClips:
        """From (voice name, int16 [n]) in a fixed order; silent pieces are passed over."""
        settings = settings or VoiceSettings()
        clips: dict[str, np.ndarray] = {}
        filled: dict[str, int] = {}
        for name, pcm in speech:
            pcm = _checked(name, pcm)
            at = filled.get(name, 0)
            if at == settings.samples or not pcm.any():
                continue
            clip = clips.setdefault(name, np.zeros(settings.samples, np.int16))
            part = pcm[: settings.samples - at]
            clip[at : at + len(part)] = part
            filled[name] = at + len(part)
        if not clips:
            raise StrettoError(
                "no speech to take a voice from", "fit voice", "give a corpus that speaks"
            )
        names = tuple(sorted(clips))
        return cls(settings, names, np.stack([clips[name] for name in names]))


def _checked(name: str, pcm: np.ndarray) -> np.ndarray:
    pcm = np.asarray(pcm)
    if pcm.ndim != 1 or pcm.dtype != np.int16:
        raise StrettoError(
            f"audio must be int16 [n], not {pcm.dtype} {list(pcm.shape)}", f"voice {name}"
        )
    return pcm


def _names(data: bytes) -> tuple[str, ...]:
    """Sorted distinct names; ValueError for anything else."""
    names = json.loads(data.decode())
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{NAMES} is no list of names")
    if names != sorted(set(names)):
        raise ValueError(f"{NAMES} is not sorted")
    return tuple(names)
