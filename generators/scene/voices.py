"""The voices of a Scene, as names: a Scene is plain data and knows no speech engine.

A name says all that shapes the voice, and `voice_of` reads it back: `espeak:en-US+m3-170-50-50` of
the packaged voices, `cosyvoice:alice@en,speed=1.05` of the user's own (`speech.voices`). The
assistant has one voice in a corpus; who else speaks in a record draws one that differs from it and
from those before. Who comes later changes nobody's voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

from generators.speech.voice_book import VoiceBook, VoiceEntry, book_voice, read_book
from generators.speech.voices import (
    Setting,
    Voice,
    check_variant,
    free_of,
    packaged_voice,
    pick_assistant,
    pick_voice,
)
from schemas import draws
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Trajectory

BYSTANDER = "bystander"


def assistant_voice(language: str, config: Config) -> str:
    """The corpus's one assistant voice in this language."""
    return _assistant(language, config)[1].name


def user_voice(record: Dialogue | Trajectory, speaker: str | None, config: Config) -> str:
    """The voice of somebody who is not the assistant: None is the user, or a name.

    Nobody shares a voice with the assistant or with the user; `bystander` with nobody.
    """
    return _cast(record, speaker or "user", config).name


def voice_of(name: str, config: Config) -> Voice:
    """The Voice that a name stands for."""
    try:
        if config.speech.voices is None:
            return packaged_voice(name)
        engine, rest = name.split(":", 1)
        id_, said = rest.split("@", 1)
        tag, *settings = said.split(",")
        drawn = [(key, _number(value)) for key, value in (s.split("=", 1) for s in settings)]
    except ValueError:
        fix = "use a name made by generators.scene.voices"
        raise StrettoError(f"{name!r} is no voice", fix=fix) from None
    return book_voice(read_book(config.speech.voices).entry(engine, id_), tag, drawn)


def check_voices(config: Config) -> None:
    """Refuse, before any work, voices that can't be cast."""
    speech = config.speech
    if speech.voices is None:
        if speech.backend != "espeak":
            raise StrettoError(
                f"the {speech.backend} backend has no voices of its own",
                "speech.voices",
                "name a YAML of voices (docs/speech.md)",
            )
        check_variant(speech.assistant_voice or "", "speech.assistant_voice")
        return
    book = read_book(speech.voices)
    users = {entry.id for entry in book.of(speech.backend, "user")}
    assistants = _assistants(book, config)
    if not users:
        fix = f"give one `engine: {speech.backend}` and `roles: [user]`"
        raise StrettoError(f"no {speech.backend} voice for users", speech.voices, fix)
    if users == {assistants[0].id} and len(assistants) == 1:
        raise StrettoError(
            "the user and the assistant would have one voice", speech.voices, "add another"
        )


def voices_digest(config: Config) -> str | None:
    """All that the user's own voices are, prompts by content; None without a file."""
    return read_book(config.speech.voices).digest() if config.speech.voices else None


def _cast(record: Dialogue | Trajectory, speaker: str, config: Config) -> Voice:
    """The voice of a speaker: drawn for the user, then a bystander, then the others in order."""
    taken = [_assistant(record.language, config)[0]]
    order = _order(record, speaker)
    for name in order[:-1]:
        with suppress(StrettoError):  # no voice for a bystander: only who asks for one must know
            taken.append(_draw(record, name, config, taken)[0])
    return _draw(record, order[-1], config, taken)[1]


def _order(record: Dialogue | Trajectory, speaker: str) -> list[str]:
    """Who is drawn up to `speaker`. Later speakers are not asked for: they aren't known yet."""
    turns = record.turns if isinstance(record, Dialogue) else ()
    names = [turn.speaker or "user" for turn in turns if turn.role == "user"] or ["user"]
    order = list(dict.fromkeys([names[0], BYSTANDER, *names, speaker]))
    return order[: order.index(speaker) + 1]


def _draw(
    record: Dialogue | Trajectory, speaker: str, config: Config, taken: Sequence[str]
) -> tuple[str, Voice]:
    """(who it is, the voice) of a speaker that is none of `taken`."""
    key = record.draw_key if isinstance(record, Dialogue) else record.key
    if config.speech.voices is None:
        voice = pick_voice("user", record.language, config.seed, key, speaker, taken)
        return voice.variant, voice
    book = read_book(config.speech.voices)
    entries = [e for e in book.of(config.speech.backend, "user") if e.speaks(record.language)]
    free = free_of([entry.id for entry in entries], taken)
    if not free:
        raise StrettoError(
            f"no voice of {len(entries)} in language {record.language!r} is free for {speaker!r}",
            config.speech.voices,
            "add voices for users",
        )
    rng = draws.rng(config.seed, key, f"speaker:{speaker}", "voice.id")
    id_ = free[int(rng.integers(len(free)))]
    entry = book.entry(config.speech.backend, id_)
    drawn = _drawn(entry, config.seed, key, speaker)
    return id_, book_voice(entry, record.language, drawn)


def _assistant(language: str, config: Config) -> tuple[str, Voice]:
    """(who it is, the voice) of the assistant in this language."""
    if config.speech.voices is None:
        voice = pick_assistant(language, config.speech.assistant_voice)
        return voice.variant, voice
    entries = _assistants(read_book(config.speech.voices), config)
    for entry in entries:
        if entry.speaks(language):
            drawn = _drawn(entry, config.seed, "", "assistant")
            return entry.id, book_voice(entry, language, drawn)
    named = ", ".join(entry.id for entry in entries)
    raise StrettoError(
        f"no voice of the assistant ({named}) speaks {language!r}",
        config.speech.voices,
        "add one that does",
    )


def _assistants(book: VoiceBook, config: Config) -> list[VoiceEntry]:
    """Who may be the assistant, the corpus's own choice first: the config's, or the seed's."""
    entries = book.of(config.speech.backend, "assistant")
    wanted = config.speech.assistant_voice
    if not entries:
        fix = f"give one `engine: {config.speech.backend}` and `roles: [assistant]`"
        raise StrettoError(f"no {config.speech.backend} voice for the assistant", book.shown, fix)
    if wanted is None:
        rng = draws.rng(config.seed, "", "speaker:assistant", "voice.id")
        return [entries[index] for index in rng.permutation(len(entries))]
    if wanted not in (ids := [entry.id for entry in entries]):
        near = get_close_matches(wanted, ids, 1) or ids[:3]
        raise StrettoError(
            f"{wanted!r} is no voice for the assistant in {book.shown}",
            "speech.assistant_voice",
            f"did you mean {', '.join(near)}?",
        )
    return [entries[ids.index(wanted)]]


def _drawn(entry: VoiceEntry, seed: int, key: str, speaker: str) -> list[tuple[str, Setting]]:
    """A value for each setting that is a range."""
    found: list[tuple[str, Setting]] = []
    for name, (low, high) in entry.ranges().items():
        rng = draws.rng(seed, key, f"speaker:{speaker}", f"voice.{name}")
        if isinstance(low, int) and isinstance(high, int):
            found.append((name, int(rng.integers(low, high + 1))))
        else:
            found.append((name, round(rng.uniform(low, high), 3)))
    return found


def _number(text: str) -> int | float:
    return float(text) if "." in text or "e" in text else int(text)
