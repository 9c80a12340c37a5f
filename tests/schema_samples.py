"""Small Timelines with real, tiny, fitted codecs, for the tests of token_schema.

`sample(...)` builds a Timeline and its media from plain lists of events (`write`, `say`, `spoken`,
`hear`, `typed`); `codec_set(schema)` has the codecs that a schema names, fitted once on noise,
tones and a fixed text. SMALL is a schema with a lane of each embedded codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from schemas.timeline import (
    Act,
    AgentEvent,
    ArrayTrack,
    AudioTrack,
    Context,
    Hear,
    LookTrack,
    Piece,
    Provenance,
    Say,
    TimedWord,
    Timeline,
    TypedInput,
    WorldEvent,
    Write,
)
from token_schema.codec_set import CodecSet, kinds
from token_schema.codecs.base import StoredCodec, pack
from token_schema.codecs.fit import (
    ActionSettings,
    AudioSettings,
    ImageSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_image,
    fit_text,
)
from token_schema.codecs.uniform import ActionUniform, UniformSettings
from token_schema.encode import IDLE, Tokens
from token_schema.language import TokenSchema, load_schema, parse_schema

RATE_HZ = 16000
SMALL_YAML = """
name: small
mode: interleaved
clock: {block_s: 1.0}
prompt: {open: <bop>, close: <eop>, take: [system, role, tools]}
lanes:
  - listen: {as: codes, rate_hz: 10, codebooks: 1, open: <bosp>, close: <eosp>}
  - look: {as: codes, open: <boi>, close: <eoi>}
  - write: {as: text, budget: 8, idle: <silence>, end: <end>, cut: <cut>, open: <bot>, close: <eot>,
            loss: {content: 1, idle: 1, close: 1}}
  - speak: {as: codes, rate_hz: 10, codebooks: 4, idle: <quiet>, open: <bos>, close: <eos>,
            loss: {content: 1, idle: 1, close: 1}}
  - act: {as: codes, idle: <hold>, open: <boa>, close: <eoa>, loss: 1}
"""
TEXT = "the quick brown fox jumps over the lazy dog and opens the drawer on the left side "


def sound(seconds: float, seed: int) -> NDArray[np.int16]:
    """Noise whose loudness moves, so that neighbouring code frames differ."""
    n = round(seconds * RATE_HZ)
    rng = np.random.default_rng(seed)
    swell = 1500 + 1400 * np.sin(np.arange(n) / RATE_HZ * (3 + seed % 5))
    return (rng.standard_normal(n) * swell).astype(np.int16)


def picture(i: int, size: int = 32) -> NDArray[np.uint8]:
    y, x = np.mgrid[:size, :size]
    return np.stack([(x * 7 + i * 31) % 256, (y * 5 + i * 3) % 256, (x + y + i) % 256], -1).astype(
        np.uint8
    )


def path(steps: int, dim: int = 3) -> NDArray[np.float32]:
    t = np.arange(steps)[:, None] / 10.0
    return np.sin(t * (1 + np.arange(dim)) + np.arange(dim)).astype(np.float32)


class AheadCodec(StoredCodec):
    """A real look-ahead: a code is the loudness of its frame and of the 0.15 s behind it."""

    kind, size, codebooks = "audio", 16, 1
    rate_hz, sample_rate_hz, frame_samples, lookahead_s = 10.0, RATE_HZ, RATE_HZ // 10, 0.15

    def encode(self, pcm: NDArray[np.int16]) -> NDArray[np.int32]:
        """int32 [n // frame_samples, 1]; silence behind the end."""
        frames, reach = len(pcm) // self.frame_samples, round(0.25 * RATE_HZ)
        padded = np.concatenate([np.abs(pcm.astype(np.int64)), np.zeros(reach, np.int64)])
        total = np.concatenate([[0], np.cumsum(padded)])
        at = np.arange(frames) * self.frame_samples
        loud = (total[at + reach] - total[at]) // reach
        return (loud // 3 % self.size).astype(np.int32)[:, None]

    def to_files(self) -> dict[str, bytes]:
        return pack(self.kind, "ahead", 1, {}, {})


@lru_cache
def fitted() -> dict[str, object]:
    audio = AudioSettings(codebooks=4, entries=16, sample_frames=400, iterations=3)
    waves = [sound(12.0, s) for s in range(3)]
    image = ImageSettings(size_px=16, patch_px=8, entries=16, sample_patches=400, iterations=3)
    return {
        "text": fit_text([TEXT * 3], TextSettings(vocab_size=320)),
        "audio": fit_audio(waves, audio),
        "image": fit_image([picture(i) for i in range(20)], image),
        "audio-25hz": fit_audio(waves, replace(audio, rate_hz=25.0, subframes=2, codebooks=2)),
        "audio-12hz5": fit_audio(waves, replace(audio, rate_hz=12.5, codebooks=2)),
        "audio-ahead": AheadCodec(),
        "action.arm": fit_action([path(200)], ActionSettings(horizon=10, vocab_size=300)),
        "bins.arm": ActionUniform.fit([path(200)], UniformSettings(horizon=10)),
    }


def schema_of(text: str = SMALL_YAML, **clock: Any) -> TokenSchema:
    """A schema from its YAML, with some fields of the clock changed."""
    data = yaml.safe_load(text)
    data["clock"].update(clock)
    return parse_schema(data, "x.yaml")


SMALL = schema_of()
_SETS: dict[str, CodecSet] = {}


def codec_set(schema: TokenSchema | None = None) -> CodecSet:
    """The fitted codecs that a schema names (default: `ellsa`), one set for each schema."""
    schema = schema or load_schema("ellsa")
    if schema.hash not in _SETS:
        named = kinds(schema)
        chosen = {
            name: codec
            for name, codec in fitted().items()
            if name in named or named.get(name.rpartition(".")[0]) == "action"
        }
        _SETS[schema.hash] = CodecSet(schema, chosen)
    return _SETS[schema.hash]


def blocks_of(tokens: Tokens, schema: TokenSchema, name: str) -> list[list[str]]:
    """The names of a lane's content by block, text as its characters."""
    at, codecs = [x.name for x in schema.lanes].index(name), codec_set(schema)
    r = codecs.vocabulary.range("text")
    out: list[list[str]] = [[] for _ in range(tokens.report.blocks)]
    for i in np.flatnonzero((tokens.lane == at) & (tokens.kind <= IDLE)).tolist():
        token = int(tokens.ids[i])
        text = r.start <= token < r.stop
        piece = codecs.get("text").piece(token - r.start).decode() if text else ""
        out[tokens.block[i]].append(piece if text else codecs.vocabulary.name(token))
    return out


@dataclass(frozen=True)
class ArrayMedia:
    """Media held in memory."""

    heard: NDArray[np.int16]
    spoken: NDArray[np.int16]
    pictures: int = 0
    rows: NDArray[np.float32] | None = None

    def listen(self) -> NDArray[np.int16]:
        return self.heard

    def speak(self) -> NDArray[np.int16]:
        return self.spoken

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        assert list(indices) == sorted(set(indices)) and max(indices) < self.pictures
        return np.stack([picture(i) for i in indices])

    def act(self) -> NDArray[np.float32] | None:
        return self.rows

    def state(self) -> NDArray[np.float32] | None:
        return None


def write(event_id: str, text: str, decided_s: float, cut_s: float | None = None) -> Write:
    return Write(
        id=event_id,
        text=text,
        decided_s=decided_s,
        start_s=decided_s,
        end_s=decided_s + 1,
        planned_end_s=decided_s + 1,
        cut_s=cut_s,
    )


def say(event_id: str, start_s: float, end_s: float, cut_s: float | None = None) -> Say:
    planned_s, pieces_end_s = end_s, end_s
    if cut_s is not None:
        pieces_end_s = min(end_s, cut_s + 0.15)
    return Say(
        id=event_id,
        text="words",
        language="en",
        voice="v",
        decided_s=start_s,
        start_s=start_s,
        end_s=pieces_end_s,
        planned_end_s=planned_s,
        cut_s=cut_s,
        pieces=(Piece(char_start=0, char_end=5, start_s=start_s, end_s=pieces_end_s),),
    )


def timed_words(text: str, start_s: float, word_s: float) -> tuple[TimedWord, ...]:
    """Words side by side, each `word_s` long; one that ends in a full stop is followed by a pause."""
    out, at_s, char = [], start_s, 0
    for word in text.split():
        first = text.index(word, char)
        char = first + len(word)
        out.append(
            TimedWord(
                text=word,
                char_start=first,
                char_end=char,
                start_s=round(at_s, 6),
                end_s=round(at_s + word_s, 6),
            )
        )
        at_s += word_s * (2 if word.endswith(".") else 1)
    return tuple(out)


def spoken(event_id: str, text: str, start_s: float, word_s: float = 0.3) -> Say:
    """Speech with the times of its words, and of its sentences as pieces."""
    words = timed_words(text, start_s, word_s)
    last = [i for i, w in enumerate(words, 1) if w.text.endswith(".") or i == len(words)]
    pieces = [
        Piece(
            char_start=words[a].char_start,
            char_end=words[b - 1].char_end,
            start_s=words[a].start_s,
            end_s=words[b - 1].end_s,
        )
        for a, b in zip([0, *last], last, strict=False)
    ]
    return say(event_id, start_s, words[-1].end_s).model_copy(
        update={"text": text, "words": words, "pieces": tuple(pieces)}
    )


def cut_say(event: Say, cut_s: float, fade_s: float = 0.15) -> Say:
    """The Say given up at `cut_s`: words and pieces that would start later are left unsaid."""
    end_s = round(min(event.end_s, cut_s + fade_s), 6)

    def ended(x: Any) -> Any:
        return x.model_copy(update={"end_s": min(x.end_s, end_s)})

    return event.model_copy(
        update={
            "cut_s": cut_s,
            "end_s": end_s,
            "words": tuple(ended(w) for w in event.words if w.start_s < cut_s),
            "pieces": tuple(ended(p) for p in event.pieces if p.start_s < cut_s),
            "unsaid_words": tuple(w for w in event.words if w.end_s > cut_s),
            "unsaid_pieces": tuple(p for p in event.pieces if p.end_s > end_s),
        }
    )


def hear(event_id: str, text: str, start_s: float, word_s: float = 0.3) -> Hear:
    words = timed_words(text, start_s, word_s)
    end_s = words[-1].end_s
    return Hear(
        id=event_id,
        text=text,
        language="en",
        voice="v",
        start_s=start_s,
        end_s=end_s,
        plain_s=words[0].end_s,
        revealed_s=end_s,
        words=words,
    )


def typed(event_id: str, text: str, at_s: float, kind: Any = "typed") -> TypedInput:
    return TypedInput(kind=kind, id=event_id, text=text, start_s=at_s, revealed_s=at_s)


def sample(
    duration_s: float,
    agent: Sequence[AgentEvent] = (),
    moves: tuple[int, int] | None = None,
    fps: float = 10.0,
    system: str = "Be brief.",
    listen_seed: int = 1,
    world: Sequence[WorldEvent] = (),
) -> tuple[Timeline, ArrayMedia]:
    """A sample; `moves` (first step, steps) makes it a robot's, idle before and after."""
    count = round(duration_s * RATE_HZ)
    spoken = np.zeros(count, np.int16)
    for event in agent:
        if isinstance(event, Say):
            a, b = round(event.start_s * RATE_HZ), round(event.end_s * RATE_HZ)
            whole = sound(event.planned_end_s - event.start_s, 2)
            spoken[a:b] = whole[: len(spoken[a:b])]
            if event.cut_s is not None:
                spoken[round(event.cut_s * RATE_HZ) : b] //= 2
    look: tuple[LookTrack, ...] = ()
    rows, act, events = None, None, list(agent)
    steps = int(np.ceil(duration_s * fps - 1e-9))
    if moves:
        rows, first, moving = _rows(steps, *moves)
        look = (LookTrack(camera="front", fps=fps, frame_count=steps, width_px=32, height_px=32),)
        act = ArrayTrack(fps=fps, step_count=steps, dim=3)
        events += _acts(steps, first, moving, fps)
    timeline = Timeline(
        key="k-1",
        subset="arm" if moves else "dialogue",
        group="g",
        language="en",
        duration_s=duration_s,
        context=Context(system=system),
        listen=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=count),
        speak=AudioTrack(sample_rate_hz=RATE_HZ, sample_count=count),
        look=look,
        act=act,
        world=tuple(world),
        agent=tuple(events),
        provenance=Provenance(
            source="hand", record_id="1", where="tests:1", record_digest="0" * 32, seed=1
        ),
    )
    return timeline, ArrayMedia(sound(duration_s, listen_seed), spoken, steps if moves else 0, rows)


def _rows(steps: int, first: int, moving: int) -> tuple[NDArray[np.float32], int, int]:
    """Zeros, the path, zeros."""
    moving = min(moving, steps - first)
    rows = np.zeros((steps, 3), np.float32)
    rows[first : first + moving] = path(moving)
    return rows, first, moving


def _acts(steps: int, first: int, moving: int, fps: float) -> list[Act]:
    spans = [
        ("idle", 0, first),
        ("trajectory", first, moving),
        ("idle", first + moving, steps - first - moving),
    ]
    return [
        Act(
            id=f"act{i}",
            mode=mode,
            first_step=at,
            step_count=n,  # type: ignore[arg-type]
            decided_s=at / fps,
            start_s=at / fps,
            end_s=(at + n) / fps,
            planned_end_s=(at + n) / fps,
        )
        for i, (mode, at, n) in enumerate(spans)
        if n > 0
    ]
