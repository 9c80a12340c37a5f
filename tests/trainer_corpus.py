"""A small corpus for the trainer's tests, in the real layout and with really fitted codecs.

The world is simple enough to learn in seconds: the user makes noise, then is quiet; the assistant
writes and sounds a reply once the user has stopped. Nothing but `listen` tells when that is.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.finish import INDEX
from pipeline.pack import Packed, pack
from pipeline.plan import ShardPlan
from pipeline.shard import write_tar
from schemas.draws import rng
from schemas.label import Evidence
from schemas.sample import Sample
from schemas.timeline import AudioTrack, Context, Hear, Piece, Provenance, Say, Timeline, Write
from token_schema.codecs.base import save
from token_schema.codecs.fit import AudioSettings, TextSettings, fit_audio, fit_text

# what the trainer's tests train on: blocks, blocks with views, and parallel steps
FLAT = """
name: toy-flat
mode: interleaved
clock: {block_s: 1.0, tail: extend}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: codes, rate_hz: 10, codebooks: 1, open: <bosp>, close: <eosp>}
  - look: {as: codes, codec: image, open: <boi>, close: <eoi>}
  - write:
      as: text
      budget: 8
      idle: <silence>
      end: <end>
      open: <bot>
      close: <eot>
      loss: {content: 1, idle: 1, close: 1}
  - speak:
      as: codes
      rate_hz: 10
      codebooks: 4
      idle: <quiet>
      open: <bos>
      close: <eos>
      loss: {content: 1, idle: 1, close: 1}
  - act: {as: codes, codec: action, idle: <hold>, open: <boa>, close: <eoa>, loss: 1}
"""
VIEWS = """
extends: ./flat.yaml
name: toy-views
view: {history_blocks: {speak: 2, look: 1}, random_start: true, random_phase_s: 0.7, crop_s: 9}
"""
SLOTS = """
extends: ./flat.yaml
name: toy-slots
change:
  listen: {as: slots, rate_hz: 5, n_mels: 16, subframes: 2, slot: <heard>, codebooks: 1}
"""
PARALLEL = """
name: toy-parallel
mode: parallel
clock: {frame_s: 0.1}
prompt: {open: <bop>, close: <eop>}
lanes:
  - write: {as: text, idle: <pad>, end: <end>, loss: {content: 1, idle: 0.5}}
  - speak:
      as: codes
      rate_hz: 10
      codebooks: 4
      delays: [0, 1, 1, 1]
      pad: <blank>
      loss: {content: 1, idle: 0, books: [1, 0.5, 0.5, 0.5]}
  - listen: {as: codes, rate_hz: 10, codebooks: 1, pad: <blank>}
"""
SCHEMAS = {"flat": FLAT, "views": VIEWS, "slots": SLOTS, "parallel": PARALLEL}
RATE = 8000
REPLIES = ("yes of course", "no not at all", "it is over there", "one coffee please wait")


def make_sample(number: int, turns: int = 3) -> Sample:
    """Dialogue `number`: user bursts of 0.4 to 2.4 s, each answered after it ended."""
    draw = rng(1, f"toy-{number}", "sample", "times")
    at, world, agent = 0.3, [], []
    marks: list[tuple[str, float, float]] = []
    for turn in range(turns):
        end = round(at + 0.4 + 2.0 * float(draw.random()), 3)
        text = REPLIES[int(draw.integers(len(REPLIES)))]
        reply = round(end + 0.3, 3)
        reply_end = round(reply + 0.8, 3)
        marks += [("user", at, end), ("agent", reply, reply_end)]
        ids = {
            "turn_index": turn,
            "decided_s": reply,
            "start_s": reply,
            "end_s": reply_end,
            "planned_end_s": reply_end,
            "text": text,
            "evidence": (Evidence(event=f"u{turn}", revealed_s=end),),
        }
        world.append(
            Hear(
                id=f"u{turn}",
                turn_index=turn,
                text="hm",
                language="en",
                voice="v",
                start_s=at,
                end_s=end,
                revealed_s=end,
                plain_s=at,
            )
        )
        agent.append(Write(id=f"w{turn}", **ids))
        agent.append(
            Say(
                id=f"s{turn}",
                language="en",
                voice="a",
                **ids,
                pieces=(Piece(char_start=0, char_end=len(text), start_s=reply, end_s=reply_end),),
            )
        )
        at = round(reply_end + 0.5 + float(draw.random()), 3)
    count = int(round(at * RATE))
    audio = {who: _sound(who, marks, count, number) for who in ("user", "agent")}
    track = AudioTrack(sample_rate_hz=RATE, sample_count=count)
    timeline = Timeline(
        key=f"toy-{number:04d}",
        subset="dialogue",
        group=f"g{number}",
        language="en" if number % 3 else "de",
        duration_s=count / RATE,
        context=Context(system="be brief"),
        listen=track,
        speak=track,
        world=tuple(world),
        agent=tuple(agent),
        provenance=Provenance(
            source="toy", record_id=str(number), where="toy", record_digest="0", seed=1
        ),
    )
    return Sample(timeline, audio["user"], audio["agent"])


def _sound(who: str, marks: list[tuple[str, float, float]], count: int, number: int) -> np.ndarray:
    noise = rng(1, f"toy-{number}", who, "noise").normal(0, 3000, count)
    tone = 6000 * np.sin(2 * np.pi * 440 * np.arange(count) / RATE)
    pcm = np.zeros(count)
    for speaker, start, end in marks:
        if speaker == who:
            span = slice(int(start * RATE), int(end * RATE))
            pcm[span] = (noise if who == "user" else tone)[span]
    return pcm.astype(np.int16)


def make_corpus(
    root: Path, train: int = 12, val: int = 4, turns: int = 3, fit: bool = True
) -> Path:
    """Write the corpus: two train shards, one val shard, the index, and the fitted codecs."""
    samples = [make_sample(i, turns) for i in range(train + val)]
    packed = [pack(s) for s in samples]
    half = train // 2
    rows = (
        _shard(root, "train", 0, packed[:half])
        + _shard(root, "train", 1, packed[half:train])
        + (_shard(root, "val", 0, packed[train:]) if val else [])
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), root / "index.parquet")
    if fit:
        fit_codecs(root, samples[:train])
    for name, text in SCHEMAS.items():
        (root / f"{name}.yaml").write_text(text)
    return root


def _shard(root: Path, split: str, index: int, packed: list[Packed]) -> list[dict]:
    plan = ShardPlan(split=split, subset="dialogue", index=index, records=len(packed), sha256="0")
    tar = write_tar(plan, packed)
    path = root / plan.tar
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(io.BytesIO(tar.data).getvalue())
    return tar.rows


def fit_codecs(root: Path, samples: list[Sample]) -> None:
    """A text and an audio codec, small."""
    settings = AudioSettings(sample_rate_hz=RATE, entries=16, iterations=4)
    save(fit_text([*REPLIES, "be brief"], TextSettings(vocab_size=300)), root / "codecs" / "text")
    save(
        fit_audio([p for s in samples for p in (s.listen, s.speak)], settings),
        root / "codecs" / "audio",
    )
