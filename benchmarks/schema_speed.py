"""How fast a Timeline in memory becomes tokens, on one core.

    python -m benchmarks.schema_speed

One row a schema: tokens and seconds of CPU for them, without and with audio codes, for a long
sample and for short ones; then where the time goes. CPU time is measured, the best of several runs,
since a shared machine only ever adds to it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.codec_speed import sound
from schemas.timeline import (
    Act,
    ArrayTrack,
    AudioTrack,
    Context,
    Piece,
    Provenance,
    Say,
    TimedWord,
    Timeline,
    Write,
)
from token_schema.codec_set import CodecSet
from token_schema.codecs.fit import (
    ActionSettings,
    AudioSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_text,
)
from token_schema.codecs.uniform import ActionUniform, UniformSettings
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema, parse_schema

RUNS, RATE_HZ, FPS, DIMS, LONG_S, SHORT_S = 9, 16000, 10, 7, 600, 30
SCHEMA = """
name: bench
mode: interleaved
clock: {block_s: 1.0}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: slots, rate_hz: 10, slot: <heard>, open: <bosp>, close: <eosp>}
  - write: {as: text, budget: 24, idle: <silence>, end: <end>, cut: <cut>, open: <bot>, close: <eot>}
  - say: {as: text, budget: 12, placement: word, idle: <quiet>, end: <e>, open: <bsa>, close: <esa>}
  - act: {as: codes, idle: <hold>, open: <boa>, close: <eoa>, loss: 1}
"""
SPEAK = (
    "  - speak: {as: codes, rate_hz: 10, codebooks: 4, idle: <mute>, open: <bos>, close: <eos>}\n"
)


@dataclass(frozen=True)
class Arrays:
    """Media in memory."""

    heard: NDArray[np.int16]
    rows: NDArray[np.float32]

    def listen(self) -> NDArray[np.int16]:
        return self.heard

    speak = listen

    def frames(self, camera: str, indices: Any) -> NDArray[np.uint8]:
        raise NotImplementedError

    def act(self) -> NDArray[np.float32]:
        return self.rows

    state = act


def texts(count: int) -> list[str]:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("etaoinshrdlu"), rng.integers(2, 9))) for _ in range(2000)]
    return [" ".join(rng.choice(words, 24)) for _ in range(count)]


def say_event(text: str, at_s: float, k: int) -> Say:
    """Words of 0.3 s, side by side."""
    words, char = [], 0
    for i, word in enumerate(text.split()):
        first = text.index(word, char)
        char = first + len(word)
        start_s = round(at_s + 0.3 * i, 3)
        end_s = round(start_s + 0.3, 3)
        words.append(
            TimedWord(text=word, char_start=first, char_end=char, start_s=start_s, end_s=end_s)
        )
    end_s = words[-1].end_s
    piece = Piece(char_start=0, char_end=len(text), start_s=at_s, end_s=end_s)
    times = {"decided_s": at_s, "start_s": at_s, "end_s": end_s, "planned_end_s": end_s}
    more = {"text": text, "language": "en", "voice": "v", "words": tuple(words)}
    return Say(id=f"s{k}", pieces=(piece,), **times, **more)


def robot(seconds: int, moving: bool = True) -> tuple[Timeline, Arrays]:
    """Writes and says 24 words every 10 s while its arm moves (or holds)."""
    agent: list[Any] = []
    for k, text in enumerate(texts(seconds // 10)):
        at_s = k * 10.0
        times = {"decided_s": at_s, "start_s": at_s, "end_s": at_s + 1, "planned_end_s": at_s + 1}
        agent += [Write(id=f"w{k}", text=text, **times), say_event(text, at_s, k)]
    steps = seconds * FPS
    times = {"decided_s": 0, "start_s": 0, "end_s": seconds, "planned_end_s": seconds}
    mode = "trajectory" if moving else "idle"
    agent.append(Act(id="a", mode=mode, first_step=0, step_count=steps, **times))  # type: ignore[arg-type]
    audio = AudioTrack(sample_rate_hz=RATE_HZ, sample_count=seconds * RATE_HZ)
    timeline = Timeline(
        key="bench",
        subset="arm",
        group="g",
        language="en",
        duration_s=float(seconds),
        context=Context(system="Be brief."),
        listen=audio,
        speak=audio,
        act=ArrayTrack(fps=FPS, step_count=steps, dim=DIMS),
        agent=tuple(agent),
        provenance=Provenance(
            source="bench", record_id="1", where="bench:1", record_digest="0" * 32, seed=1
        ),
    )
    return timeline, Arrays(sound(seconds, RATE_HZ), path(steps if moving else 1, steps))


def path(moving: int, steps: int) -> NDArray[np.float32]:
    """Joints that swing, each at its own pace, with the tremor of a real arm; then held."""
    t = np.arange(moving)[:, None] / FPS
    rows = np.sin(t * (0.3 + 0.2 * np.arange(DIMS)) + np.arange(DIMS))
    rows += np.random.default_rng(2).normal(scale=0.01, size=rows.shape)
    return rows[np.minimum(np.arange(steps), moving - 1)].astype(np.float32)


def best_s(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """CPU seconds of the best run, and its result."""
    best, result = float("inf"), None
    for _ in range(runs):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return best, result


def schema(text: str, act: str) -> TokenSchema:
    data = yaml.safe_load(text)
    data["lanes"][3]["act"]["codec"] = act
    return parse_schema(data, "bench")


def row(name: str, seconds: float, tokens: int, note: str = "") -> float:
    speed = tokens / seconds
    print(f"{name:<44} {tokens:>7,} {seconds * 1e3:>9.2f} ms {speed:>12,.0f}   {note}", flush=True)
    return speed


def main() -> None:
    rows = path(4000, 4000)
    codecs = {
        "text": fit_text(texts(500), TextSettings()),
        "audio": fit_audio([sound(60, RATE_HZ)], AudioSettings()),
        "fast.arm": fit_action([rows], ActionSettings(horizon=FPS)),
        "bins.arm": ActionUniform.fit([rows], UniformSettings(horizon=FPS)),
    }
    print(f"{'compile, one core':<44} {'tokens':>7} {'CPU':>12} {'tokens/s':>12}")
    for act, label in (("fast", "FAST"), ("bins", "uniform bins")):
        quiet = schema(SCHEMA, act)
        own = {n: c for n, c in codecs.items() if n in ("text", f"{act}.arm")}
        for seconds in (LONG_S, SHORT_S):
            timeline, media = robot(seconds)
            used = CodecSet(quiet, own)
            spent, out = best_s(lambda: compile_sample(quiet, used, timeline, media))  # noqa: B023
            share = act_share(codecs[f"{act}.arm"], media.rows, spent)
            row(f"text, slots, {label}, {seconds} s", spent, len(out), f"{share:.0%} in the codec")
    held, media = robot(LONG_S, moving=False)
    spent, out = best_s(lambda: compile_sample(quiet, used, held, media))
    row(f"text, slots, an arm that holds, {LONG_S} s", spent, len(out))
    loud = schema(SCHEMA + SPEAK, "bins")
    used = CodecSet(loud, {n: c for n, c in codecs.items() if n != "fast.arm"})
    timeline, media = robot(LONG_S)
    spent, out = best_s(lambda: compile_sample(loud, used, timeline, media), 3)
    coded, _ = best_s(lambda: codecs["audio"].encode(media.heard), 3)
    row(f"the same with 4 x 10 Hz codes, {LONG_S} s", spent, len(out), f"{coded / spent:.0%} in it")
    print(f"residual VQ encode: {LONG_S / coded:,.0f} x real time")


def act_share(codec: Any, rows: NDArray[np.float32], spent_s: float) -> float:
    chunks = list(rows.reshape(-1, FPS, DIMS))
    return best_s(lambda: codec.encode_batch(chunks))[0] / spent_s


if __name__ == "__main__":
    main()
