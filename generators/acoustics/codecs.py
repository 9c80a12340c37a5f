"""G.711, G.722 and Opus through FFmpeg (PyAV): encoded and decoded again, delay known exactly.

G.711 and G.722 are integer arithmetic. Opus (libopus) is float32; what it gave was the same on an
AVX-512 machine, on an emulated Haswell and in every process (docs/acoustics.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

# The quadrature filters of G.722: 22 samples at 16 kHz there and back.
G722_DELAY = 22
G722_FRAME = 320
OPUS_FRAME_MS = 10
# Opus in `voip` mode is 6.5 ms late; a frame holds 10 ms.
OPUS_DELAY_48K = 312
LOOKAHEAD_S = {"g722": G722_DELAY / 16000, "opus": OPUS_FRAME_MS / 1000 + OPUS_DELAY_48K / 48000}


@lru_cache(maxsize=2)
def code_table(law: str) -> NDArray[np.int16]:
    """int16 [65536]: what G.711 makes of each 16-bit sample, indexed by it as uint16."""
    name = {"mu": "pcm_mulaw", "a": "pcm_alaw"}[law]
    every = np.arange(65536, dtype=np.uint16).view(np.int16)
    return _decoded(name, 8000, _encoded(_encoder(name, 8000), every, 65536))


def g722(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """int16 [n] at 16 kHz, `G722_DELAY` samples late."""
    packets = _encoded(_encoder("g722", 16000), pcm, G722_FRAME)
    return _decoded("g722", 16000, packets)[: len(pcm)]


def opus(pcm: NDArray[np.int16], rate_hz: int, kbps: float) -> NDArray[np.int16]:
    """int16 [n] at 8, 16, 24 or 48 kHz -> int16 [n * 48000 / rate_hz] at 48 kHz, on the same clock."""
    options = {
        "application": "voip",
        "frame_duration": str(OPUS_FRAME_MS),
        "compression_level": "5",  # the effort of a phone
    }
    encoder = _encoder("libopus", rate_hz, round(kbps * 1000), options)
    wanted = len(pcm) * 48000 // rate_hz
    # one frame more, so that the delay does not cut the end off
    padded = np.pad(pcm, (0, rate_hz * OPUS_FRAME_MS // 1000))
    packets = _encoded(encoder, padded, rate_hz * OPUS_FRAME_MS // 1000)
    # without the header the decoder drops nothing itself: the delay is ours to take out
    return _decoded("libopus", 48000, packets)[OPUS_DELAY_48K : OPUS_DELAY_48K + wanted]


def _encoder(
    name: str, rate_hz: int, bit_rate: int = 0, options: dict[str, str] | None = None
) -> Any:
    context: Any = av.CodecContext.create(name, "w")
    context.sample_rate, context.layout, context.format = rate_hz, "mono", "s16"
    if bit_rate:
        context.bit_rate = bit_rate
    context.options = options or {}
    context.open()
    return context


def _encoded(encoder: Any, pcm: NDArray[np.int16], frame: int) -> Iterator[Any]:
    """Packets, one at a time: ten minutes of them would take 800 MB. The last frame is filled up."""
    for start in range(0, len(pcm), frame):
        block = pcm[start : start + frame]
        block = np.pad(block, (0, frame - len(block)))
        sound = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = encoder.sample_rate, start
        yield from encoder.encode(sound)
    yield from encoder.encode(None)


def _decoded(name: str, rate_hz: int, packets: Iterable[Any]) -> NDArray[np.int16]:
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    decoder.open()
    parts = [
        frame.to_ndarray().reshape(-1)
        for packet in chain(packets, [None])
        for frame in decoder.decode(packet)
    ]
    return np.concatenate(parts).astype(np.int16)
