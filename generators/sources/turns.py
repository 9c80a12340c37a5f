"""The turns of one foreign record: roles mapped, text cleaned, both sides there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from generators.sources.fields import MISSING, Fields, find, first_of, optional_text, required
from generators.sources.refusal import Refused, kind, short
from generators.sources.text import clean
from schemas import Turn

# compared without case; the config's `roles` come first
ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "customer": "user",
    "assistant": "assistant",
    "bot": "assistant",
    "gpt": "assistant",
    "agent": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
}
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def read_role(value: Any, roles: Mapping[str, str]) -> str | None:
    """The role that `value` names under the config's `roles` and the defaults, or None."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = str(value).strip()
    folded = {name.casefold(): role for name, role in roles.items()}
    return roles.get(text) or folded.get(text.casefold()) or ROLES.get(text.casefold())


class TurnReader:
    """Reads the turns of one record and counts what it changed."""

    def __init__(self, fields: Fields, roles: Mapping[str, str]) -> None:
        self.fields, self.roles = fields, roles
        self.skipped = self.removed = 0
        self.found: set[str] = set()

    def turns(self, raw: list[Any]) -> list[Turn]:
        """The turns that are kept, in order. Raises Refused, naming the turn (from 1)."""
        turns = [self._turn(value, number) for number, value in enumerate(raw, start=1)]
        return [turn for turn in turns if turn is not None]

    def columns(self, record: Any, names: list[str]) -> list[Turn]:
        """One turn for each named field that holds text; the field's name is its role."""
        turns = []
        for number, name in enumerate(names, start=1):
            value = required(record, (name,), "turns")
            if value is None or (isinstance(value, str) and not value.strip()):
                continue  # a field left empty is a turn that did not happen
            turn = self._turn({self.fields.role[0]: name, self.fields.text[0]: value}, number)
            turns += [turn] if turn else []
        return self.checked(turns)

    def checked(self, turns: list[Turn]) -> list[Turn]:
        """`turns`, or Refused when one side is silent or an interruption interrupts nothing."""
        speaking = [t for t in turns if t.role in ("user", "assistant")]
        if not speaking:
            raise Refused("there is no turn of a user or an assistant")
        if len(sides := {t.role for t in speaking}) == 1:
            raise Refused(f"only one side speaks: {len(speaking)} turns, all {sides.pop()}")
        for before, turn in zip([None, *speaking], speaking, strict=False):
            if turn.interrupts and (turn.role != "user" or not before or before.role == "user"):
                raise Refused("`interrupts` marks a turn that follows no assistant turn")
        return turns

    def tags(self) -> list[str]:
        """What was changed, for the record's tags."""
        counts = {"skipped-turns": self.skipped, "control-characters-removed": self.removed}
        return [f"{name}={count}" for name, count in counts.items() if count]

    def clean(self, text: str) -> str:
        """`text` cleaned, the removals counted."""
        text, removed = clean(text)
        self.removed += removed
        return text

    def _turn(self, value: Any, number: int) -> Turn | None:
        if not isinstance(value, dict):
            raise Refused(f"turn {number} is {kind(value)}, not a mapping")
        try:
            role = self._role(required(value, self.fields.role, "role"))
            if role == "skip":
                self.skipped += 1
                return None
            calls = _calls(value) if role == "assistant" else None
            raw = required(value, self.fields.text, "text")
            # chat APIs write null where an assistant only calls a tool
            text = "" if calls and not raw else self._text(raw)
            extras = self._extras(value) | {"tool_calls": calls}
            return Turn(role=role, text=text, **extras)  # type: ignore[arg-type]
        except Refused as refused:
            raise Refused(f"turn {number}: {refused.reason}", refused.fix) from None

    def _role(self, value: Any) -> str:
        role = read_role(value, self.roles)
        if role is None:
            # the reason's fix is YAML that can be pasted
            fix = f"add `roles: {{{short(value)}: user}}` (or assistant, system, tool, skip)"
            raise Refused(f"unknown role {short(value)}", fix)
        return role

    def _text(self, value: Any) -> str:
        if isinstance(value, list):
            value = "\n".join(_part(part) for part in value)
        if value is not None and not isinstance(value, str):
            raise Refused(f"the text is {kind(value)}, not a text", "map `text` to another field")
        text = self.clean(value or "")
        if not text.strip():
            raise Refused("the text is empty", "delete the turn or map its role to `skip`")
        return text

    def _extras(self, value: dict[str, Any]) -> dict[str, Any]:
        fields = self.fields
        for name in ("say", "think", "interrupts", "speaker"):
            if first_of(value, getattr(fields, name)) is not MISSING:
                self.found.add(name)
        return {
            "say": self._optional(value, "say"),
            "think": self._optional(value, "think"),
            "speaker": optional_text(value, fields.speaker, "`speaker`"),
            "interrupts": _yes(first_of(value, fields.interrupts)),
        }

    def _optional(self, value: dict[str, Any], name: str) -> str | None:
        text = first_of(value, getattr(self.fields, name))
        if text is MISSING or text is None:
            return None
        if not isinstance(text, str):
            raise Refused(f"`{name}` is {kind(text)}, not a text")
        return self.clean(text) if text.strip() else None


def _calls(value: dict[str, Any]) -> str | None:
    """`tool_calls` of a chat message, as JSON text with sorted keys."""
    calls = value.get("tool_calls")
    return json.dumps(calls, ensure_ascii=False, sort_keys=True) if calls else None


def _part(part: Any) -> str:
    """The text of one content part, as chat APIs write them."""
    if isinstance(part, str):
        return part
    text = find(part, "text")
    if not isinstance(text, str):
        name = find(part, "type")
        raise Refused(f"a content part is not text (type {short(name) if name else 'not given'})")
    return text


def _yes(value: Any) -> bool:
    if value is MISSING or value is None:
        return False
    if isinstance(value, bool):
        return value
    answer = _YES_NO.get(str(value).strip().lower())
    if answer is None:
        raise Refused(f"`interrupts` is {short(value)}, not true or false")
    return answer
