"""Who speaks: a `Voice` of any engine, and the draw of espeak-ng's packaged voices.

The pools, their licence and their consent note stand in `voices.yaml`. Drawing needs no engine, so
a Scene can be planned on a machine without one. A user's own voices: `voice_book.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def shape(self) -> tuple[Any, ...]:
        """All that shapes the audio: a file by its content, wherever it lies; no name."""
        known = dict(self.settings)
        settings = [pair for pair in self.settings if f"{pair[0]}_hash" not in known]
        espeak = (self.variant, self.rate_wpm, self.pitch, self.pitch_range)
        return (self.engine, self.language, *espeak, settings)


@cache
def _pool() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("voices.yaml").read_text(encoding="utf-8"))


def licence_note() -> dict[str, str]:
    """`licence` and `consent` of the packaged voices, for the data card."""
    return {name: " ".join(_pool()[name].split()) for name in ("licence", "consent")}


@cache
def languages() -> tuple[str, ...]:
    """The languages that can be spoken, by voice file name."""
    return tuple(_pool()["languages"])


@cache
def variants() -> tuple[str, ...]:
    """The variants of espeak-ng, all of them."""
    return tuple(_pool()["variants"])


def check_variant(name: str, where: str) -> None:
    """StrettoError for a variant that espeak-ng has not, with the nearest; "" is none."""
    if name and name not in variants():
        near = get_close_matches(name, variants(), 3, 0.4) or ["f4", "m3"]
        raise StrettoError(
            f"espeak-ng has no variant {name!r}", where, f"did you mean {', '.join(near)}?"
        )


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


def pick_assistant(language: str, variant: str | None = None) -> Voice:
    """The packaged voice of the assistant in this language; `variant` replaces its own."""
    settings = _pool()["assistant"] | ({"variant": variant} if variant else {})
    return _voice(espeak_language(language), **settings)


def pick_voice(
    role: str, language: str, seed: int, key: str, speaker: str, taken: Sequence[str] = ()
) -> Voice:
    """The packaged voice of one speaker of one record.

    `role` "assistant" has one voice per language for the whole corpus. Any other role draws an age
    and sex, a variant, rate, pitch and range, keyed by (`seed`, record `key`, `speaker`); a variant
    that is `free_of` those `taken`. `language` is a tag. StrettoError when it can't be spoken.
    """
    if role == "assistant":
        return pick_assistant(language)
    file = espeak_language(language)
    event = f"speaker:{speaker}"
    group = _group(draws.uniform(seed, key, event, "voice.group"))

    def draw(name: str, low: int, high: int) -> int:
        return int(draws.rng(seed, key, event, f"voice.{name}").integers(low, high))

    free = free_of(group["variants"], taken)
    numbers = {
        name: draw(name, group[name][0], group[name][1] + 1)
        for name in ("rate_wpm", "pitch", "pitch_range")
    }
    return _voice(file, variant=free[draw("variant", 0, len(free))], **numbers)


def free_of(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The names that nobody has; where all are taken, those that are not the first two's.

    The first two are the assistant and the user: nobody ever shares a voice with them.
    """
    free = [name for name in names if name not in taken]
    return free or [name for name in names if name not in taken[:2]]


def _group(at: float) -> dict[str, Any]:
    """The group of speakers at `at` (0 to 1) of all, by their shares."""
    groups = _pool()["users"]
    left = at * sum(group["share"] for group in groups)
    for group in groups:
        left -= group["share"]
        if left < 0:
            return group
    return groups[-1]


def _voice(language: str, variant: str, rate_wpm: int, pitch: int, pitch_range: int) -> Voice:
    """A Voice whose name is made of its settings."""
    name = f"espeak:{language}+{variant}-{rate_wpm}-{pitch}-{pitch_range}"
    return Voice(name, language, variant, rate_wpm, pitch, pitch_range)


def packaged_voice(name: str) -> Voice:
    """The packaged voice that a name made by `pick_voice` stands for. ValueError for another."""
    engine, rest = name.split(":", 1)
    timbre, rate_wpm, pitch, pitch_range = rest.rsplit("-", 3)
    language, variant = timbre.split("+", 1)
    if engine != "espeak":
        raise ValueError(engine)
    return Voice(name, language, variant, int(rate_wpm), int(pitch), int(pitch_range))
