"""Schemas of every kind, and random worlds for them: for the tests of grammar and decode.

`VARIANTS` has all presets and the schemas below, which use what no preset does; `codecs_for(schema)`
gives tiny real codecs with as many codebooks as a preset asks for; `world(seed)` is a sample whose
texts, cuts, silences and moves come from the seed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import yaml
from schema_samples import (
    RATE_HZ,
    AheadCodec,
    ArrayMedia,
    cut_say,
    fitted,
    hear,
    sample,
    sound,
    spoken,
    typed,
)
from schema_samples import write as write_event

from schemas.timeline import AgentEvent, Think, Timeline, WorldEvent, Write
from token_schema.codec_set import CodecSet, kinds
from token_schema.codecs.fit import AudioSettings, fit_audio
from token_schema.codecs.voice import VoiceClips, VoiceSettings
from token_schema.language import list_presets, load_schema, parse_schema
from token_schema.schema import TokenSchema

WORDS = "the quick brown fox jumps over the lazy dog and opens the drawer on the left side"

OWN = """
name: cells
mode: interleaved
clock: {block_s: 0.5, open: <u>, close: </u>}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: codes, codec: audio, rate_hz: 10, codebooks: 2, delay: 1, pad: <pad>}
  - typed: {as: text, budget: 2, end: </t>, idle: <ti>, close: <et>}
  - look: {as: codes, frames: 2, open: <boi>, close: <eoi>}
  - hear: {as: text, budget: 3, begin: <h>, end: </h>, idle: <hi>, open: <bh>, close: <eh>}
  - say: {as: text, budget: 4, placement: word, end: <end>, cut: <cut>, idle: <i>, wait: <w>,
          begin: <b>, open: <bot>, close: <eot>}
  - speak: {as: codes, codec: audio, rate_hz: 10, codebooks: 4, delay: 2, idle: <q>, pad: <pad>}
---
name: bare
mode: interleaved
clock: {block_s: 0.6}
lanes:
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, fractional: carry}
  - write: {as: text, budget: 1, fixed: true, idle: <i>, epad: <e>, end: <end>}
  - say: {as: text, budget: 3, fixed: true, placement: tail, hold: true, idle: <i>, wait: <w>}
  - speak: {as: mel, rate_hz: 12.5, slot: <mel>, idle: <quiet>, delay: 1, pad: <p>,
            fractional: carry}
---
name: owes
mode: interleaved
clock: {block_s: 1.0, open: <u>, close: </u>, tail: drop}
prompt: {open: <bop>, close: <eop>, take: [languages]}
lanes:
  - listen: {as: slots, rate_hz: 5, slot: <s>, open: <bol>, close: <eol>}
  - phase: {of: [write, speak], idle: <mute>, active: <go>}
  - write: {as: text, budget: 5, end: <end>, close: <eow>, end_closes: true}
  - speak: {as: codes, codec: audio-ahead, rate_hz: 10, idle: <q>, pad: <p>}
  - think: {as: text, budget: 2, end: <i>, idle: <i>}
---
name: phased
mode: interleaved
clock: {block_s: 1.0, open: <u>, close: </u>}
lanes:
  - listen: {as: codes, codec: audio, rate_hz: 10}
  - phase: {of: [say, write, speak], idle: <mute>, active: <go>}
  - say: {as: text, budget: 6, placement: sentence, offset_s: -0.5, end: <end>, open: <bs>,
          close: <es>}
  - write: {as: text, budget: 5, end: <end>, cut: <cut>, wait: <w>, open: <bw>, close: <ew>}
  - speak: {as: codes, codec: audio, rate_hz: 10, open: <bk>, close: <ek>}
  - act: {as: codes, codec: bins, idle: <hold>, open: <ba>, close: <ea>}
codecs: {bins: {type: uniform}}
---
name: words
mode: parallel
clock: {frame_s: 0.08}
lanes:
  - say: {as: text, placement: word, idle: <pad>, epad: <epad>}
  - write: {as: text, idle: <wi>, begin: <wb>, end: <we>, cut: <wc>}
  - speak: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 4, delays: [2, 0, 1, 3],
            idle: <quiet>, pad: <ap>}
  - act: {as: codes, codec: bins, streams: 7, pad: <act>}
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, pad: <ap>, delays: [0, 1]}
  - look: {as: codes, every: 3, streams: 2, pad: <img>}
  - typed: {as: text, idle: <ti>, end: <te>}
codecs: {bins: {type: uniform}}
---
name: rows
mode: parallel
clock: {frame_s: 0.1, tail: drop}
prompt: {open: <bp>, close: <ep>, rows: [gap, voice, text, gap], voice_s: 0.5}
lanes:
  - say: {as: text, placement: sentence, delay: 2, idle: <i>, wait: <w>, end: <end>, hold: true,
          epad: <e>}
  - think: {as: text, idle: <ti>, wait: <tw>, cut: <tc>}
  - speak: {as: codes, codec: audio, rate_hz: 10, codebooks: 2, delay: 1, idle: <q>, pad: <ap>}
  - act: {as: codes, codec: bins, streams: 5, pad: <act>, delay: 1}
  - look: {as: codes, every: 2, streams: 3, pad: <img>}
  - look: {name: wrist, camera: 1, as: codes, every: 1, streams: 4, pad: <img>}
  - listen: {as: codes, codec: audio-ahead, rate_hz: 10, pad: <ap>}
codecs: {bins: {type: uniform}}
---
name: pairs
mode: interleaved
clock:
  turns: {input: [<u>, </u>], output: [<a>, </a>], cut: <x>, interleave: {write: 2, speak: 5}}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: codes, codec: audio, rate_hz: 10, codebooks: 2}
  - typed: {as: text, end: </t>, open: <bt>, close: <et>, end_closes: true}
  - write: {as: text, begin: <w>, end: </w>, cut: <wc>}
  - speak: {as: codes, codec: audio, rate_hz: 10, codebooks: 2}
  - say: {as: text, open: <bs>, close: <es>}
---
name: ordered
mode: interleaved
clock: {turns: {input: [<u>, <t>], output: [<a>, <t>], cut: <x>}}
lanes:
  - hear: {as: text, open: <bh>, close: <eh>}
  - write: {as: text, end: </w>, cut: <wc>, open: <bw>, close: <ew>, end_closes: true}
  - speak: {as: mel, rate_hz: 10, slot: <mel>, open: <bs>, close: <es>}
"""


@lru_cache
def variants() -> dict[str, TokenSchema]:
    """Every preset and every schema above, by name."""
    own = [parse_schema(data, f"{data['name']}.yaml") for data in yaml.safe_load_all(OWN)]
    return {**{name: load_schema(name) for name in list_presets()}, **{s.name: s for s in own}}


NAMES = sorted(variants())


class Ahead(AheadCodec):
    """With the codes of silence, which the prompt of the parallel mode asks for."""

    def silence_codes(self, frames: int = 1) -> np.ndarray:
        return np.zeros((frames, 1), np.int32)


@lru_cache
def _codecs() -> dict[str, object]:
    """The fitted ones; with 8 codebooks where a preset asks for so many."""
    audio = AudioSettings(codebooks=8, entries=8, sample_frames=300, iterations=2, rate_hz=12.5)
    waves = [sound(8.0, s) for s in range(2)]
    bins = fitted()["bins.arm"]
    return {
        **fitted(),
        "audio-12hz5": fit_audio(waves, audio),
        "uniform.arm": bins,
        "audio-ahead": Ahead(),
        "voice": VoiceClips.fit([("v", waves[0])], VoiceSettings(RATE_HZ, 0.5)),
    }


@lru_cache
def codecs_for(name: str) -> CodecSet:
    """The codecs that a variant names."""
    schema = variants()[name]
    named = kinds(schema)
    return CodecSet(
        schema,
        {
            key: codec
            for key, codec in _codecs().items()
            if key in named or named.get(key.rpartition(".")[0]) == "action"
        },
    )


def thought(event_id: str, text: str, start_s: float) -> dict[str, Any]:
    times = dict.fromkeys(("decided_s", "start_s"), start_s)
    ends = dict.fromkeys(("end_s", "planned_end_s"), round(start_s + 0.5, 3))
    return {"id": event_id, "text": text, **times, **ends}


def _text(rng: np.random.Generator, most: int) -> str:
    words = WORDS.split()
    out = [str(rng.choice(words)) for _ in range(int(rng.integers(1, most)))]
    stops = [w + "." if rng.random() < 0.3 else w for w in out]
    return " ".join(stops) + ("." if rng.random() < 0.5 else "")


def world(seed: int) -> tuple[Timeline, ArrayMedia]:
    """A sample of 2 to 9 s: heard and typed texts, written and spoken ones, some of them cut."""
    rng = np.random.default_rng(seed)
    heard: list[WorldEvent] = []
    made: list[AgentEvent] = []
    at_s, end_s, n = 0.2, float(rng.integers(20, 90)) / 10, 0
    while at_s < end_s - 1.5:
        n += 1
        event = hear(f"h{n}", _text(rng, 5), round(at_s, 3), 0.2)
        heard.append(event)
        if rng.random() < 0.4:
            heard.append(typed(f"t{n}", _text(rng, 4), round(event.revealed_s + 0.1, 3)))
        start_s = round(event.revealed_s + float(rng.choice([0.2, 0.35, 0.7])), 3)
        made += _answer(rng, n, start_s)
        at_s = max(start_s, *(e.end_s for e in made)) + float(rng.integers(1, 15)) / 10
    duration_s = max([end_s, *(e.end_s for e in (*made, *heard) if hasattr(e, "end_s"))])
    moves = (int(rng.integers(0, 10)), 9) if rng.random() < 0.5 else None
    return sample(round(duration_s + 0.3, 1), made, moves, world=heard)


def _answer(rng: np.random.Generator, n: int, start_s: float) -> list[AgentEvent]:
    out: list[AgentEvent] = []
    said = spoken(f"s{n}", _text(rng, 9), start_s, 0.25)
    wrote: Write = write_event(f"w{n}", _text(rng, 30), start_s)
    if rng.random() < 0.4:
        cut_s = round(start_s + float(rng.choice([0.3, 0.55, 1.1])), 3)
        wrote = write_event(f"w{n}", wrote.text, start_s, cut_s)
        said = cut_say(said, cut_s) if cut_s < said.end_s else said
    if rng.random() < 0.5:
        said = said.model_copy(update={"decided_s": round(start_s - 0.15, 3)})
    if rng.random() < 0.4:
        out.append(Think(**thought(f"k{n}", _text(rng, 12), start_s)))
    if rng.random() < 0.8:
        out.append(wrote)
    if rng.random() < 0.8 or not out:
        out.append(said)
    return out
