"""What the line does: telephone band and G.711, a speech codec, packets that do not arrive.

All take and give int16 [n] at the corpus's rate, on the same clock. How far each looks ahead is
`lookahead_s`: a codec works in frames, and its delay is taken out exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from generators.acoustics import exact
from generators.acoustics.codecs import G722_DELAY, LOOKAHEAD_S, code_table, g722, opus

PHONE_HZ = 8000
# -3 dB at 300 Hz, second order and causal: nothing moves, nothing is known early.
BAND_HZ = 300.0
PACKET_S = 0.02
LONGEST_BURST = 3
JOIN_S = 0.0025
Lose = Callable[[NDArray[np.int16], int], NDArray[np.int16]]
OPUS_RATES_HZ = (8000, 16000, 24000, 48000)


def whole_line(pcm: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    """A line that loses no packet."""
    return pcm


def telephone(
    pcm: NDArray[np.int16], rate_hz: int, law: str, lose: Lose = whole_line
) -> NDArray[np.int16]:
    """300 to 3,400 Hz at 8 kHz in G.711 (`law`: "mu" or "a"); `lose` acts on what arrives."""
    narrow = exact.resample(pcm, rate_hz, PHONE_HZ)
    above, below = _high_pass()
    banded = exact.to_pcm(lfilter(above, below, narrow.astype(np.float64)))
    coded = lose(code_table(law)[banded.view(np.uint16)], PHONE_HZ)
    return _fitted(exact.resample(coded, PHONE_HZ, rate_hz), len(pcm))


def codec(
    pcm: NDArray[np.int16], rate_hz: int, name: str, kbps: float, lose: Lose = whole_line
) -> NDArray[np.int16]:
    """There and back through `opus` or `g722`, delay taken out; `lose` acts on what is decoded."""
    if name == "g722":
        wide = exact.resample(pcm, rate_hz, 16000)
        back = lose(g722(np.pad(wide, (0, G722_DELAY)))[G722_DELAY:], 16000)
        return _fitted(exact.resample(back, 16000, rate_hz), len(pcm))
    inner_hz = next(r for r in OPUS_RATES_HZ if r >= rate_hz)
    back = lose(opus(exact.resample(pcm, rate_hz, inner_hz), inner_hz, kbps), 48000)
    return _fitted(exact.resample(back, 48000, rate_hz), len(pcm))


def loss(
    pcm: NDArray[np.int16], rate_hz: int, share: float, burst_packets: float, seed: int
) -> NDArray[np.int16]:
    """Lost packets of 20 ms are made up from the past: the last one backwards, fading by half.

    Backwards, for then the wave goes on where it was; what arrives next is faded in over 2.5 ms.
    """
    packet, join = round(PACKET_S * rate_hz), round(JOIN_S * rate_hz)
    out = pcm.astype(np.int32)
    fall = 2 * packet - np.arange(packet)
    lost = _lost(-(-len(pcm) // packet), share, burst_packets, seed)
    gone = set(lost)
    for index in lost:
        start = index * packet
        before = out[max(0, start - packet) : start][::-1]
        part = out[start : start + packet]
        part[:] = (before * fall // (2 * packet))[: len(part)] if index else 0
        if index + 1 not in gone:
            _fade_in(out[start + packet : start + packet + join], part[::-1][:join])
    return out.astype(np.int16)


def _fade_in(arriving: NDArray[np.int32], made_up: NDArray[np.int32]) -> None:
    """From what would have gone on to what arrives, in place."""
    rise = np.arange(len(arriving))
    mixed = made_up[: len(arriving)] * (len(made_up) - rise) + arriving * rise
    arriving[:] = mixed // len(made_up)


def _lost(packets: int, share: float, burst_packets: float, seed: int) -> list[int]:
    """Their numbers, rising. Gilbert's model, a draw a packet: a burst goes on with 1 - 1/burst."""
    draws = np.random.Generator(np.random.Philox(key=seed)).random(packets).tolist()
    begin = share / (burst_packets * (1.0 - share))
    lost: list[int] = []
    run = 0
    for index, u in enumerate(draws):
        stays = run and run < LONGEST_BURST and u < 1.0 - 1.0 / burst_packets
        run = run + 1 if stays or (not run and u < begin) else 0
        lost += [index] if run else []
    return lost


def telephone_lookahead_s(rate_hz: int) -> float:
    """2.5 ms down and 2.5 ms up again; none in a corpus at 8 kHz."""
    return 2 * exact.lookahead_s(rate_hz, PHONE_HZ)


def codec_lookahead_s(rate_hz: int, name: str) -> float:
    """The codec's own frame and lookahead, and the two resamplers'."""
    if name == "g722":
        return LOOKAHEAD_S[name] + 2 * exact.lookahead_s(rate_hz, 16000)
    inner_hz = next(r for r in OPUS_RATES_HZ if r >= rate_hz)
    resamplers_s = exact.lookahead_s(rate_hz, inner_hz) + exact.lookahead_s(48000, rate_hz)
    return LOOKAHEAD_S[name] + resamplers_s


def _fitted(pcm: NDArray[np.int16], count: int) -> NDArray[np.int16]:
    """Cut or filled with silence to `count` samples: rates that do not divide leave one over."""
    return np.pad(pcm, (0, max(0, count - len(pcm))))[:count]


@lru_cache(maxsize=1)
def _high_pass() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Butterworth, second order, by the bilinear transform; rounded, so that it is one filter."""
    warp = math.tan(math.pi * BAND_HZ / PHONE_HZ)
    norm = 1.0 / (1.0 + math.sqrt(2.0) * warp + warp * warp)
    pole_1, pole_2 = (
        2.0 * (warp * warp - 1.0) * norm,
        (1.0 - math.sqrt(2.0) * warp + warp**2) * norm,
    )
    gain = round(norm, 9)
    return (gain, -2.0 * gain, gain), (1.0, round(pole_1, 9), round(pole_2, 9))
