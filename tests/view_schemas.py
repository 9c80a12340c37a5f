"""A schema of each clock, for the tiny codecs of `corpus_fixture.fit_codecs` (audio: 10 Hz, 4 books)."""

from __future__ import annotations

from pathlib import Path

SCHEMAS = {
    "blocks": "extends: lws\nname: blocks\n",
    "frames": """
name: frames
mode: parallel
clock: {frame_s: 0.1}
prompt: {open: <sys>, close: </sys>, take: [system, role, tools], rows: [text]}
lanes:
  - say: {as: text, placement: word, idle: <pad>, epad: <epad>, loss: 1}
  - speak: {as: codes, codec: audio, rate_hz: 10, codebooks: 4, delays: [0, 1, 1, 1], pad: <none>, loss: 1}
  - listen: {as: codes, codec: audio, rate_hz: 10, codebooks: 4, pad: <none>}
""",
    "turns": """
name: turns
mode: interleaved
clock:
  turns:
    input: [<user>, </user>]
    output: [<agent>, </agent>]
    cut: <cut>
    interleave: {say: 3, speak: 10}
lanes:
  - listen: {as: slots, rate_hz: 5, n_mels: 80, subframes: 5, slot: <speech>}
  - say: {as: text, end: <end>, loss: 1}
  - speak: {as: codes, codec: audio, rate_hz: 10, codebooks: 1, loss: 1}
""",
}


def schema_file(folder: Path, timing: str) -> str:
    """Write the schema of a clock (blocks, frames or turns) into a folder; where it is."""
    path = folder / f"{timing}.yaml"
    path.write_text(SCHEMAS[timing])
    return str(path)
