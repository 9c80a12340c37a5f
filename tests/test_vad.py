"""The truth check without ASR: silero-vad hears speech where the Timeline says there is some."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import config, sample_of

from generators.sources import read_source
from pipeline.vad import Vad, agreement, drawn, spoken_spans
from schemas.config import Config, DialogueSource, SourceEntry
from schemas.records import Dialogue


def test_agreement_is_the_share_of_time_in_which_both_say_the_same() -> None:
    assert agreement([(0.0, 1.0)], [(0.0, 1.0)], 2.0) == 1.0
    assert agreement([(0.0, 1.0)], [(0.5, 1.0)], 2.0) == 0.75
    assert agreement([], [(0.0, 2.0)], 2.0) == 0.0


def test_the_draw_takes_about_its_share() -> None:
    data = {"name": "x", "sources": [{"dialogues": {"path": "x"}}], "checks": {"vad_share": 0.05}}
    cfg = Config.from_mapping(data, "test")
    taken = sum(drawn(cfg, f"k-{n}") for n in range(4000))
    assert 140 < taken < 260


def test_speech_is_where_the_timeline_says(repo: Path) -> None:
    """Over 95 % of the time on both tracks, over example dialogues of all languages."""
    pytest.importorskip("silero_vad")
    vad = Vad()
    entry = SourceEntry(dialogues=DialogueSource(path=str(repo / "examples/data/dialogues.jsonl")))
    records = [r for r in read_source(entry, "examples") if isinstance(r, Dialogue)][::7]
    samples = [sample_of(record, config()) for record in records]
    seconds = sum(s.timeline.duration_s for s in samples)
    for channel in ("listen", "speak"):
        found = [(vad.compare(s, channel).agreement, s.timeline.duration_s) for s in samples]
        mean = sum(share * duration_s for share, duration_s in found) / seconds
        assert mean > 0.95, f"{channel}: {mean:.3f}"


def test_a_shifted_timeline_would_be_found(repo: Path) -> None:
    """The check can fail: the same sound against a Timeline half a second late."""
    pytest.importorskip("silero_vad")
    entry = SourceEntry(dialogues=DialogueSource(path=str(repo / "examples/data/dialogues.jsonl")))
    record = next(r for r in read_source(entry, "examples") if isinstance(r, Dialogue))
    sample = sample_of(record, config())
    found = Vad().speech(sample.listen, 16000)
    said = spoken_spans(sample.timeline, "listen")
    late = [(a + 0.5, b + 0.5) for a, b in said]
    duration_s = sample.timeline.duration_s
    assert agreement(found, late, duration_s) < agreement(found, said, duration_s) - 0.05
