"""What a voice asks of CosyVoice, checked without CosyVoice: modes, prompts, end-of-prompt marks.

`style_of(voice)` reads a voice's settings; `check_style(style, version)` refuses what can't work (a
prompt that is missing, longer than 30 s, under 0.1 s, below 16 kHz or silent). Needs no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from generators.speech.voices import Voice
from schemas.errors import StrettoError

MODES = ("zero_shot", "cross_lingual", "instruct2", "sft")
END_OF_PROMPT = "<|endofprompt|>"
# Version 3 was trained with this before every text (upstream's example.py).
PREAMBLE = "You are a helpful assistant."
# By upstream's README: the languages of each version, as primary tags (`cmn` is Mandarin's file).
LANGUAGES = {
    2: ("zh", "cmn", "yue", "wuu", "en", "ja", "ko"),
    3: ("zh", "cmn", "yue", "wuu", "nan", "hak", "en", "ja", "ko", "de", "es", "fr", "it", "ru"),
}
MIN_PROMPT_S, MAX_PROMPT_S, MIN_PROMPT_HZ = 0.1, 30.0, 16000
# Of full scale: below it a prompt is silence (-46 dBFS).
QUIET_PEAK = 0.005


@dataclass(frozen=True)
class Style:
    """A voice's settings for CosyVoice. `prompt_text` is what is said in `prompt_wav`."""

    mode: str
    language: str
    prompt_wav: str = ""
    prompt_text: str = ""
    instruct_text: str = ""
    spk_id: str = ""
    speed: float = 1.0


def style_of(voice: Voice) -> Style:
    """The settings of a voice. StrettoError for an unknown mode or a speed that is no speed."""
    names = ("prompt_wav", "prompt_text", "instruct_text", "spk_id")
    texts = {name: str(voice.get(name, "")) for name in names}
    speed, mode = voice.get("speed", 1.0), str(voice.get("mode", "zero_shot"))
    if mode not in MODES:
        raise StrettoError(f"unknown mode {mode!r}", _where(voice), f"use {', '.join(MODES)}")
    if isinstance(speed, str) or not 0.5 <= speed <= 2:
        raise StrettoError(f"a speed of {speed!r}", _where(voice), "use 0.5 to 2")
    return Style(mode, voice.language, speed=float(speed), **texts)


def check_style(style: Style, version: int) -> None:
    """StrettoError when the voice can't work with this version (2 or 3)."""
    base = style.language.replace("_", "-").split("-")[0].lower()
    if base not in LANGUAGES[version]:
        raise StrettoError(
            f"CosyVoice {version} speaks no {style.language!r}",
            fix=f"it speaks {', '.join(LANGUAGES[version])}",
        )
    needed = {
        "zero_shot": {"prompt_wav": style.prompt_wav, "prompt_text": style.prompt_text.strip()},
        "cross_lingual": {"prompt_wav": style.prompt_wav},
        "instruct2": {"prompt_wav": style.prompt_wav, "instruct_text": style.instruct_text.strip()},
        "sft": {"spk_id": style.spk_id},
    }[style.mode]
    for name, value in needed.items():
        if not value:
            raise StrettoError(f"a {style.mode} voice without {name}", fix=f"set {name}")
    if style.prompt_wav:
        check_prompt(style.prompt_wav)


def check_prompt(path: str) -> None:
    """StrettoError when the recording can't be a prompt: CosyVoice would fail late or not at all."""
    if not Path(path).is_file():
        raise StrettoError("no such prompt recording", path, "give the path of a WAV or FLAC file")
    try:
        info = soundfile.info(path)
        duration_s = info.frames / info.samplerate
        if info.samplerate < MIN_PROMPT_HZ:
            raise StrettoError(
                f"a prompt at {info.samplerate} Hz", path, f"record at {MIN_PROMPT_HZ} Hz or more"
            )
        if not MIN_PROMPT_S <= duration_s <= MAX_PROMPT_S:
            raise StrettoError(
                f"a prompt of {duration_s:.2f} s", path, "use 0.1 to 30 s, at best 3 to 10 s"
            )
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as broken:
        raise StrettoError(f"unreadable prompt: {broken}", path, "use WAV or FLAC") from None
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all() or np.abs(mono).max() < QUIET_PEAK:
        raise StrettoError("a silent prompt", path, "record it louder")


def prompt_of(style: Style, version: int) -> str:
    """The text that the LLM reads before the one to speak, with the mark its version needs."""
    if style.mode == "instruct2":
        return _instruction(style.instruct_text.strip(), version)
    if version == 2 or END_OF_PROMPT in style.prompt_text:
        return style.prompt_text.strip()
    return f"{PREAMBLE}{END_OF_PROMPT}{style.prompt_text.strip()}"


def marked(piece: str, mode: str, version: int) -> str:
    """The text to speak; version 3 needs its mark there when there is no prompt text."""
    if version == 3 and mode in ("sft", "cross_lingual"):
        return f"{PREAMBLE}{END_OF_PROMPT}{piece}"
    return piece


def _instruction(text: str, version: int) -> str:
    """An instruction ends with the mark; in version 3 it follows the preamble."""
    body = text.replace(END_OF_PROMPT, "").strip()
    if version == 3 and not body.startswith(PREAMBLE.rstrip(".")):
        body = f"{PREAMBLE} {body}"
    return body + END_OF_PROMPT


def _where(voice: Voice) -> str:
    return f"voice {voice.name!r}"
