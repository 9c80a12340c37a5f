"""How fast the embedded codecs fit and code, on made signals, one BLAS thread.

    python -m benchmarks.codec_speed

Prints one row a codec: time to fit, speed of encode and of decode. The best of several runs is
given, since a shared machine only ever adds time.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RAYON_NUM_THREADS"] = "1"

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from token_schema.codecs.fit import (
    AudioSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_image,
    fit_text,
)

RUNS = 5


def timed(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Seconds of the best run, and its result."""
    best, result = float("inf"), None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def sound(seconds: int, rate: int) -> np.ndarray:
    """Harmonics with syllables over room noise: no stretch is digital silence, the slow case."""
    rng, t = np.random.default_rng(0), np.arange(seconds * rate) / rate
    voice = sum(np.sin(2 * np.pi * k * (130 + 20 * np.sin(t)) * t) / k for k in range(1, 10))
    burst = np.clip(np.sin(2 * np.pi * 3 * t), 0, 1)
    return np.rint(4000 * voice * burst + 200 * rng.normal(size=len(t))).astype(np.int16)


def row(name: str, fit_s: float, encode: str, decode: str) -> None:
    print(f"{name:<28} {fit_s:>8.2f} s   {encode:>24}   {decode:>24}", flush=True)


def bench_audio(rate: int) -> None:
    pcm, seconds = sound(240, rate), 240
    settings = AudioSettings(sample_rate_hz=rate)
    fit_s, codec = timed(lambda: fit_audio([pcm], settings), 1)
    encode_s, codes = timed(lambda: codec.encode(pcm))
    decode_s, _ = timed(lambda: codec.decode(codes[:300]), 1)
    row(
        f"audio RVQ 4 x 256, {rate} Hz",
        fit_s,
        f"{seconds / encode_s:,.0f} x real time",
        f"{30 / decode_s:,.0f} x real time",
    )


def bench_text() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("etaoinshrdlu"), rng.integers(2, 9))) for _ in range(3000)]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(3000)]
    fit_s, codec = timed(lambda: fit_text(texts, TextSettings()), 1)
    encode_s, ids = timed(lambda: codec.encode_batch(texts))
    decode_s, _ = timed(lambda: [codec.decode(i) for i in ids])
    count = sum(map(len, ids))
    row(
        "text BPE 2048",
        fit_s,
        f"{count / encode_s:,.0f} tokens/s",
        f"{count / decode_s:,.0f} tokens/s",
    )


def bench_image() -> None:
    rng = np.random.default_rng(0)
    frames = [
        np.repeat(np.repeat(rng.integers(0, 256, (24, 32, 3)), 10, 0), 10, 1).astype(np.uint8)
        for _ in range(300)
    ]
    fit_s, codec = timed(lambda: fit_image(frames), 1)
    encode_s, codes = timed(lambda: codec.encode_batch(frames), 2)
    decode_s, _ = timed(lambda: [codec.decode(c) for c in codes])
    row(
        "image VQ 512, from 320x240",
        fit_s,
        f"{len(frames) / encode_s:,.0f} frames/s",
        f"{len(frames) / decode_s:,.0f} frames/s",
    )


def bench_action() -> None:
    rng = np.random.default_rng(0)
    paths = [np.cumsum(rng.normal(size=(500, 7)), axis=0).astype(np.float32) for _ in range(60)]
    fit_s, codec = timed(lambda: fit_action(paths), 1)
    chunks = [path[i : i + 10] for path in paths for i in range(0, 500, 10)]
    encode_s, ids = timed(lambda: codec.encode_batch(chunks))
    decode_s, _ = timed(lambda: [codec.decode(i, 10, 7) for i in ids])
    row(
        "action FAST 1024, 10 x 7",
        fit_s,
        f"{len(chunks) / encode_s:,.0f} chunks/s",
        f"{len(chunks) / decode_s:,.0f} chunks/s",
    )


def main() -> None:
    print(f"{'codec':<28} {'fit':>10}   {'encode':>24}   {'decode':>24}")
    bench_audio(16000)
    bench_audio(24000)
    bench_text()
    bench_image()
    bench_action()


if __name__ == "__main__":
    main()
