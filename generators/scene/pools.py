"""The frozen phrases that scenes draw from (`pools.yaml`), and draws from them.

phrases("backchannel", "en-GB")                     # ("mm-hmm", "right", ...)
choose(timing, "u000:2", "backchannel", "en")       # one of them, keyed by the event
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from generators.scene.timing import Timing
from schemas.draws import digest, rng

_PATH = Path(__file__).with_name("pools.yaml")
_LETTERS = re.compile(r"[^\W_]+")


@cache
def _pools() -> dict[str, dict[str, list[str]]]:
    data: dict[str, Any] = yaml.safe_load(_PATH.read_text(encoding="utf-8"))
    return data


def pools_digest() -> str:
    """A hash of every phrase, for the fingerprint."""
    return digest(_pools())


def phrases(kind: str, language: str) -> tuple[str, ...]:
    """The phrases of a kind in the language of a tag; () where there are none."""
    base = language.replace("_", "-").split("-")[0].lower()
    return tuple(_pools().get(base, {}).get(kind, ()))


def choose(timing: Timing, event_id: str, kind: str, language: str) -> str | None:
    """One phrase, drawn under the event's id; None where the language has none."""
    options = phrases(kind, language)
    if not options:
        return None
    draw = rng(timing.config.seed, timing.key, event_id, f"{kind}_phrase")
    return options[int(draw.integers(len(options)))]


def spelled(text: str) -> tuple[str, ...]:
    """The words of a text without case or marks: "Mm-hmm." -> ("mm", "hmm")."""
    return tuple(_LETTERS.findall(text.lower()))


def sounds_like_listening(heard: str, language: str) -> bool:
    """Could what was heard so far be no more than a backchannel: one of the pool, or its start?"""
    words = spelled(heard)
    pool = phrases("listening", language) + phrases("backchannel", language)
    return any(spelled(phrase)[: len(words)] == words for phrase in pool)
