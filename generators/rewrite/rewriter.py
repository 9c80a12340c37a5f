"""The spoken form of written text by a language model, checked and kept.

    rewriter = Rewriter(settings, seed, kept)
    rewriter.say("I have 2 cats.", "en")      # "I have two cats."

An answer is JSON `{"say": ...}` and is taken when it is plain spoken text that agrees with what is
written (`generators.consistency`). A refused answer is asked for again, with the reason. The outcome,
also that none was good, is a write-once artefact under the hash of all that shaped it: what was
stored first is what every later run reads.
"""

from __future__ import annotations

import json
import os
from typing import Any

from generators.consistency import consistency
from generators.rewrite.client import BadAnswer, ChatClient
from generators.speakable import speakable
from generators.speakable.markdown import has_marks
from generators.speech.artefacts import Artefacts
from schemas import draws
from schemas.config import TextConfig
from schemas.errors import StrettoError

# Counts up when the request or the checks change.
FORMAT = 1
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"say": {"type": "string"}},
    "required": ["say"],
    "additionalProperties": False,
}
# A spoken form is longer than the written one where there are numbers, but not by this much.
LONGEST, SPARE_CHARS = 2.0, 200


class Rewriter:
    """`kept` holds the outcomes; without it nothing is kept. Safe to share between threads."""

    def __init__(self, settings: TextConfig, seed: int, kept: Artefacts | None) -> None:
        self.settings, self.kept, self.seed = settings, kept, seed % 2**31
        self.client = open_client(settings)

    def say(self, text: str, language: str, role: str = "assistant") -> str:
        """What to say; "" for a text without words.

        StrettoError when no answer was good, MachineError when none came.
        """
        if not speakable(text, language, role):
            return ""
        outcome = self._outcome(text, language, role)
        if "say" in outcome:
            return outcome["say"]
        if self.settings.fallback == "rules":
            return speakable(text, language, role)
        raise StrettoError(
            f"no answer of {self.settings.model} could be used: {outcome['refused']}",
            fix="give the turn a `say`, lower `text.min_consistency`, or set `text.fallback: rules`",
        )

    def key(self, text: str, language: str, role: str) -> str:
        """Hex hash of all that shapes an outcome; where the server stands does not."""
        own = self.settings
        shaping = (own.model, own.prompt, own.min_consistency, own.max_tokens, own.max_retries)
        return draws.digest(FORMAT, text, language, role, list(shaping), self.seed)

    def _outcome(self, text: str, language: str, role: str) -> dict[str, str]:
        if self.kept is None:
            return self._asked(text, language, role)
        key = self.key(text, language, role)
        name = f"{key[:2]}/{key}.json"
        stored = self.kept.get(name)
        known = _read(stored)
        if known is None:
            data = json.dumps(self._asked(text, language, role), ensure_ascii=False).encode(
                "utf-8", "replace"
            )
            if stored is not None:  # there, but broken
                self.kept.replace(name, data)
                return _read(data) or {"refused": "it can't be stored"}
            known = _read(self.kept.put_if_absent(name, data)) or _read(data)
        return known or {"refused": "it can't be stored"}

    def _asked(self, text: str, language: str, role: str) -> dict[str, str]:
        """The first good answer as {"say": ...}, or {"refused": why} for the last one."""
        question = json.dumps({"language": language, "message": text}, ensure_ascii=False)
        messages = [
            {"role": "system", "content": self.settings.prompt},
            {"role": "user", "content": question},
        ]
        why = ""
        for attempt in range(self.settings.max_retries + 1):
            seed, most = (self.seed + attempt) % 2**31, self.settings.max_tokens
            try:
                answer = self.client.ask(messages, SCHEMA, seed, most)
                say = " ".join(_parsed(answer).split())
                why = fault_of(say, text, language, role, self.settings.min_consistency)
            except BadAnswer as error:
                why, answer = error.what, ""
            if not why:
                return {"say": say}
            again = f"That can't be used: {why}. Answer again, as JSON with the key `say`."
            messages = [*messages[:2], *_reply(answer), {"role": "user", "content": again}]
        return {"refused": why}


def open_client(settings: TextConfig) -> ChatClient:
    """The client that the config names. StrettoError when its key is not in the environment."""
    assert settings.url and settings.model
    key = ""
    if settings.api_key_env:
        key = os.environ.get(settings.api_key_env, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise StrettoError(
                f"the environment variable {settings.api_key_env} holds no key",
                "text.api_key_env",
                "export it where the run starts, or leave `api_key_env` out",
            )
    return ChatClient(settings.url, settings.model, key, settings.timeout_s, settings.max_retries)


def fault_of(say: str, write: str, language: str, role: str, least: float) -> str:
    """Why `say` can't be the spoken form of `write`; "" when it can."""
    if not any(char.isalnum() for char in say):
        return "it is empty"
    most = int(LONGEST * max(len(write), len(speakable(write, language, role)))) + SPARE_CHARS
    if len(say) > most:
        return f"it has {len(say)} characters, more than {most}"
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in say):
        return "it holds control characters"
    if has_marks(say):
        return "it still holds Markdown or an address"
    score = consistency(write, say, language)
    return f"its consistency with the text is {score:.2f}, below {least:g}" if score < least else ""


def _parsed(answer: str) -> str:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        raise BadAnswer("it is no JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("say"), str):
        raise BadAnswer("it is no JSON object with a text `say`")
    return str(found["say"])


def _reply(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": answer}] if answer else []


def _read(data: bytes | None) -> dict[str, str] | None:
    """A stored outcome, or None when it is absent or broken."""
    try:
        found = json.loads(data or b"")
    except ValueError:
        return None
    good = isinstance(found, dict) and any(
        isinstance(found.get(k), str) for k in ("say", "refused")
    )
    return found if good else None
