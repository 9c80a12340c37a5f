"""Who speaks: language tags to espeak-ng's voice files, and the draw of a speaker's voice.

The pools, their licence and their consent note stand in `voices.yaml`. Drawing needs no engine, so
a Scene can be planned on a machine without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from schemas import draws
from schemas.errors import StrettoError

Setting = str | int | float


@dataclass(frozen=True)
class Voice:
    """A voice of any engine. `name` says it all in one word; it shapes no audio.

    `settings` are the engine's own, sorted plain values, read with `get`. A file among them
    (`prompt_wav`) is an absolute path, and `prompt_wav_hash` beside it stands for its content.
    For espeak-ng `language` is a voice file's name, `variant` a preset of timbre ("" for none),
    `rate_wpm` words a minute (80 to 450), `pitch` and `pitch_range` 0 to 99 with 50 the variant's
    own. For other engines `language` is the text's tag and these four are not used.
    """

    name: str
    language: str
    variant: str = ""
    rate_wpm: int = 175
    pitch: int = 50
    pitch_range: int = 50
    engine: str = "espeak"
    settings: tuple[tuple[str, Setting], ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """The engine's setting `name`, or `default` where the voice has none."""
        return dict(self.settings).get(name, default)


@cache
def _pool() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("voices.yaml").read_text(encoding="utf-8"))


def licence_note() -> dict[str, str]:
    """`licence` and `consent` of the voices, for the data card."""
    return {name: " ".join(_pool()[name].split()) for name in ("licence", "consent")}


@cache
def languages() -> tuple[str, ...]:
    """The languages that can be spoken, by voice file name."""
    return tuple(_pool()["languages"])


def espeak_language(tag: str) -> str:
    """The voice file of a language tag: `en-US` -> en-US, `fr-FR` -> fr, `zh-Hans-CN` -> cmn.

    A region or script that has no voice of its own is dropped. StrettoError when none fits.
    """
    # Aliases win over files: plain "en" is American here, and espeak-ng's file `en` is British.
    known = {name.lower(): name for name in languages()} | _pool()["aliases"]
    parts = tag.strip().replace("_", "-").lower().split("-")
    for size in range(len(parts), 0, -1):
        found = known.get("-".join(parts[:size]))
        if found:
            return found
    near = get_close_matches(parts[0], known, 3, 0.5)
    raise StrettoError(
        f"espeak-ng speaks no language {tag!r}",
        fix="use a language tag such as " + ", ".join(near or ["en-US", "de", "zh"]),
    )


def pick_voice(role: str, language: str, seed: int, key: str, speaker: str) -> Voice:
    """The voice of one speaker of one record.

    `role` "assistant" has one voice per language for the whole corpus. Any other role draws a
    variant, rate, pitch and range, keyed by (`seed`, record `key`, `speaker`); never the
    assistant's variant. `language` is a tag. StrettoError when it can't be spoken.
    """
    file = espeak_language(language)
    if role == "assistant":
        return _voice(file, **_pool()["assistant"])
    pool = _pool()["user"]

    def draw(name: str, low: int, high: int) -> int:
        return int(draws.rng(seed, key, f"speaker:{speaker}", f"voice.{name}").integers(low, high))

    half = pool["variants"]["low" if draw("half", 0, 2) else "high"]
    numbers = {
        name: draw(name, pool[name][0], pool[name][1] + 1)
        for name in ("rate_wpm", "pitch", "pitch_range")
    }
    return _voice(file, variant=half[draw("variant", 0, len(half))], **numbers)


def _voice(language: str, variant: str, rate_wpm: int, pitch: int, pitch_range: int) -> Voice:
    """A Voice whose name is made of its settings."""
    name = f"espeak:{language}+{variant}-{rate_wpm}-{pitch}-{pitch_range}"
    return Voice(name, language, variant, rate_wpm, pitch, pitch_range)
