"""A user's own voices: a YAML with licence and consent, checked whole before any work.

    voices:
      - id: alice
        engine: cosyvoice
        languages: [en, de]          # or ["*"]
        roles: [user, assistant]
        age: adult                   # child, adult, senior
        gender: female
        licence: CC-BY-4.0
        consent: signed release of 2026-03-01, on file
        settings: {mode: zero_shot, prompt_wav: alice.wav, prompt_text: "I said this."}

`licence` and `consent` at the top hold for every voice without its own. Paths count from the file's
folder. A number may be `[low, high]`: each speaker then draws its own. `read_book(path)` reads it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, StrictFloat, StrictInt, ValidationError

from generators.speech.voice_settings import FILES, SETTINGS, check_settings
from generators.speech.voices import Setting, Voice, check_variant, espeak_language
from schemas.base import Record
from schemas.config.faults import config_error
from schemas.draws import digest
from schemas.errors import StrettoError

TAG = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
Number = StrictInt | StrictFloat  # `true` is no number
Value = str | Number | tuple[StrictInt, StrictInt] | tuple[Number, Number]


class VoiceEntry(Record):
    """One voice of the file. `hashes` is filled in on reading: the content of each file."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    engine: str
    languages: tuple[str, ...] = Field(min_length=1)
    roles: tuple[Literal["user", "assistant"], ...] = Field(default=("user",), min_length=1)
    age: Literal["child", "adult", "senior"] | None = None
    gender: str | None = None
    licence: str | None = None
    consent: str | None = None
    settings: dict[str, Value] = {}
    hashes: dict[str, str] = {}

    def speaks(self, tag: str) -> bool:
        """Whether it can be given a text in this language: en speaks en-US, en-US speaks en."""
        wanted = tag.replace("_", "-").lower()
        own = [language.replace("_", "-").lower() for language in self.languages]
        return any(
            o == "*" or o == wanted or wanted.startswith(f"{o}-") or o.startswith(f"{wanted}-")
            for o in own
        )

    def ranges(self) -> dict[str, tuple[float, float]]:
        """The settings that each speaker draws, by name, in a fixed order."""
        return {k: v for k, v in sorted(self.settings.items()) if isinstance(v, tuple)}


class _File(Record):
    """The file as written."""

    licence: str | None = None
    consent: str | None = None
    voices: tuple[VoiceEntry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class VoiceBook:
    """The voices of a file. `shown` is its path as written in the config."""

    shown: str
    entries: tuple[VoiceEntry, ...]

    def of(self, engine: str, role: str) -> list[VoiceEntry]:
        """The voices that this engine has for a role, in the file's order."""
        return [e for e in self.entries if e.engine == engine and role in e.roles]

    def entry(self, engine: str, id_: str) -> VoiceEntry:
        """The voice of this id; StrettoError when the engine has none."""
        for entry in self.entries:
            if (entry.engine, entry.id) == (engine, id_):
                return entry
        raise StrettoError(f"no {engine} voice {id_!r}", self.shown)

    def digest(self) -> str:
        """All that the file says, prompts by content: for the fingerprint."""
        return digest([e.model_dump(mode="json", exclude=_own_paths(e)) for e in self.entries])


def read_book(path: str) -> VoiceBook:
    """The voices of the file at `path`. StrettoError for what can't be used, before any work."""
    full = Path(path).expanduser().resolve()
    try:
        stat = full.stat()
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise StrettoError(f"cannot read the voices: {what}", path, "mend speech.voices") from None
    return _read(str(full), path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read(full: str, shown: str, _mtime_ns: int, _size: int) -> VoiceBook:
    try:
        data = yaml.safe_load(Path(full).read_text(encoding="utf-8"))
        file = _File.model_validate(data if isinstance(data, dict) else {"voices": data})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StrettoError(f"cannot read the voices: {error}", shown) from None
    except ValidationError as error:
        raise config_error(_File, error, shown) from None
    entries = tuple(_checked(entry, file, Path(full).parent, shown) for entry in file.voices)
    ids = [(entry.engine, entry.id) for entry in entries]
    if twice := next((i for i in ids if ids.count(i) > 1), None):
        raise StrettoError(f"two {twice[0]} voices have the id {twice[1]!r}", shown)
    return VoiceBook(shown, entries)


def _checked(entry: VoiceEntry, file: _File, folder: Path, shown: str) -> VoiceEntry:
    where = f"{shown}: voice {entry.id}"
    if entry.engine not in SETTINGS:
        raise StrettoError(
            f"unknown engine {entry.engine!r}", where, f"use {', '.join(sorted(SETTINGS))}"
        )
    check_settings(entry.engine, entry.settings, where)
    rights = {"licence": entry.licence or file.licence, "consent": entry.consent or file.consent}
    if not rights["licence"]:
        raise StrettoError("it has no `licence`", where, "say under which licence it may be used")
    if any(name in entry.settings for name in FILES) and not rights["consent"]:
        raise StrettoError(
            "it is made from a recording and has no `consent`",
            where,
            "say how the person agreed to it, or leave the voice out",
        )
    if entry.engine == "espeak":
        check_variant(str(entry.settings.get("variant", "")), where)
        _check_languages(entry, where)
    settings, hashes = _with_files(entry.settings, folder, where)
    return entry.model_copy(update={**rights, "settings": settings, "hashes": hashes})


def _check_languages(entry: VoiceEntry, where: str) -> None:
    for tag in entry.languages:
        try:
            tag == "*" or espeak_language(tag)
        except StrettoError as error:
            raise StrettoError(error.what, where, error.fix) from None


def _with_files(
    settings: dict[str, Value], folder: Path, where: str
) -> tuple[dict[str, Value], dict[str, str]]:
    """The settings with absolute paths, and the hash of each file's content."""
    found, hashes = dict(settings), {}
    for name in FILES:
        if name not in found:
            continue
        path = folder / Path(str(found[name])).expanduser()
        try:
            hashes[f"{name}_hash"] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            raise StrettoError(f"`{name}` can't be read: {what}", f"{where}: {path}") from None
        found[name] = str(path.resolve())
    return found, hashes


def _own_paths(entry: VoiceEntry) -> dict[str, Any]:
    return {"settings": {name for name in FILES if name in entry.settings}}


def book_voices(path: str, engine: str) -> list[Voice]:
    """Each voice of an engine, in its first language, ranges at their middle: for its `check`."""
    found = []
    for entry in read_book(path).entries:
        if entry.engine == engine:
            middle = [(name, (low + high) / 2) for name, (low, high) in entry.ranges().items()]
            language = "en" if entry.languages[0] == "*" else entry.languages[0]
            found.append(book_voice(entry, language, middle))
    return found


def book_voice(entry: VoiceEntry, language: str, drawn: Sequence[tuple[str, Setting]]) -> Voice:
    """The Voice of an entry in a language, with the values that a speaker drew for its ranges."""
    if not TAG.fullmatch(language.replace("_", "-")):
        raise StrettoError(f"{language!r} is no language tag", fix="use one such as en-US or de")
    tag = language.replace("_", "-")
    said = [tag, *(f"{name}={value}" for name, value in drawn)]
    name = f"{entry.engine}:{entry.id}@{','.join(said)}"
    settings: dict[str, Any] = {**entry.settings, **dict(drawn)}
    if entry.engine == "espeak":
        return Voice(name, espeak_language(tag), **settings)
    return Voice(name, tag, engine=entry.engine, settings=_plain({**settings, **entry.hashes}))


def _plain(settings: dict[str, Any]) -> tuple[tuple[str, Setting], ...]:
    return tuple(sorted(settings.items()))
