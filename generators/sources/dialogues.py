"""Foreign records to Dialogues, by field names. `read_dialogues(source, name)` streams them.

Every input record gives exactly one Dialogue or one Rejection. What was changed on the way stands
in `tags`: `skipped-turns=2`, `control-characters-removed=1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from generators.sources import paths, readers
from generators.sources.fields import (
    MISSING,
    Fields,
    as_text,
    first_of,
    optional_text,
    required,
)
from generators.sources.hub import read_hub
from generators.sources.readers import Raw
from generators.sources.refusal import Fault, Refused, kind, one_line, rejection, short
from generators.sources.tree import best_path
from generators.sources.turns import TurnReader, read_role
from schemas import Dialogue, Rejection, Turn, digest, slug
from schemas.config import DialogueSource

LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")  # the shape of BCP 47


def read_dialogues(source: DialogueSource, name: str) -> Iterator[Dialogue | Rejection]:
    """The dialogues of a source in input order, and a Rejection for each record that is none.

    Of two records with one id the first is kept. An optional field that the config names and no
    record has is reported once (status `unused`), so that a mistyped name does not pass unseen.
    Raises StrettoError when `path` matches nothing.
    """
    mapper = _Mapper(source, name)
    good = 0
    for item in _raw_records(source):
        result = mapper.read(item)
        yield result
        good += isinstance(result, Dialogue)
        if good == source.limit:
            return
    yield from mapper.unseen_fields()


def record_key(name: str, record_id: str) -> str:
    """The key of a record: from the source's name and its id, never from the turns' text."""
    return f"{slug(name)}-{digest(name, record_id)[:12]}"


def _raw_records(source: DialogueSource) -> Iterator[Raw | Fault]:
    if source.format == "huggingface":
        yield from read_hub(source)
        return
    for path in paths.matching_files(source.path):
        if source.format == "json":
            yield from readers.read_json(path)
        elif source.format == "csv":
            # `turns: question, answer` makes each row a dialogue: rows are not joined then
            yield from readers.read_csv(path, None if _columns(source) else source.id)
        else:
            yield from readers.read_jsonl(path)


def _columns(source: DialogueSource) -> list[str]:
    """The fields of `turns: question, answer`, where each named field is one turn; else []."""
    names = [n.strip() for n in (source.turns or "").split(",")]
    return names if len(names) > 1 else []


class _Mapper:
    """Maps the raw records of one source; remembers the ids that were there."""

    def __init__(self, source: DialogueSource, name: str) -> None:
        self.source, self.name = source, name
        self.fields = Fields.of(source)
        self.columns = _columns(source)
        # 48 bits of each key: about 75 bytes a record, the only thing that grows
        self.seen: set[int] = set()
        self.unseen = set(self.fields.named - {"id", "group", "turns", "role", "text"})

    def read(self, item: Raw | Fault) -> Dialogue | Rejection:
        """One record, mapped or refused."""
        if isinstance(item, Fault):
            return rejection(self.name, item)
        try:
            if not isinstance(item.value, dict):
                raise Refused(f"the record is {kind(item.value)}, not a mapping")
            turns, tags = self._turns(item.value)
            record_id = self._record_id(item.value, turns)
            key = record_key(self.name, record_id)
            self._claim(key)
            return self._dialogue(item, record_id, key, turns, tags)
        except Refused as refused:
            record_id = self._any_id(item.value) or _place(item.where)
            return rejection(self.name, Fault(item.where, record_id, refused.reason, refused.fix))

    def unseen_fields(self) -> Iterator[Rejection]:
        """The optional fields that the config names and no record had."""
        for field in sorted(self.unseen) if self.seen else ():
            wanted = getattr(self.fields, field)[0]
            reason = f"no record has the field `{wanted}`, which `{field}` names"
            fault = Fault(self.source.path, f"field {wanted}", reason, "check its spelling")
            yield rejection(self.name, fault, unused=True)

    def _dialogue(
        self, item: Raw, record_id: str, key: str, turns: list[Turn], tags: list[str]
    ) -> Dialogue:
        record = item.value
        if "group" in self.fields.named:
            required(record, self.fields.group, "group")
        group = optional_text(record, self.fields.group, "`group`")
        licence = optional_text(record, self.fields.licence, "the licence")
        return Dialogue(
            key=key,
            source=self.name,
            record_id=record_id,
            group=one_line(group) if group else record_id,
            where=one_line(item.where),
            language=self._language(record),
            licence=licence or self.source.licence,
            tags=(*self._tags(record), *tags),
            turns=tuple(turns),
        )

    def _claim(self, key: str) -> None:
        number = int(key[-12:], 16)
        if number in self.seen:
            raise Refused("a record with this id came before; the first one is kept", "rename it")
        self.seen.add(number)

    def _any_id(self, record: Any) -> str | None:
        """The id for a report, where there is one that can be shown."""
        try:
            return optional_text(record, self.fields.id, "the id")
        except Refused:
            return None

    def _record_id(self, record: Any, turns: list[Turn]) -> str:
        """The id the record states, else a digest of its turns."""
        value = first_of(record, self.fields.id)
        if value is MISSING and "id" not in self.fields.named:
            return digest([turn.model_dump(mode="json") for turn in turns])
        text = as_text(required(record, self.fields.id, "id"), "the id").strip()
        if not text:
            raise Refused("the id is empty", "give every record an id")
        return one_line(text)

    def _language(self, record: Any) -> str:
        self._note_seen(record, "language")
        text = optional_text(record, self.fields.language, "the language") or self.source.language
        if not LANGUAGE.fullmatch(text):
            raise Refused(f"the language {short(text)} is not a tag such as `en` or `pt-BR`")
        return text

    def _tags(self, record: Any) -> list[str]:
        tags = first_of(record, self.fields.tags)
        if tags is MISSING or tags is None:
            return []
        if not isinstance(tags, list):
            raise Refused(f"`tags` is {kind(tags)}, not a list of texts")
        return [as_text(tag, "a tag") for tag in tags]

    def _turns(self, record: Any) -> tuple[list[Turn], list[str]]:
        reader = TurnReader(self.fields, self.source.roles)
        if self.columns:
            return reader.columns(record, self.columns), reader.tags()
        turns = self._system(record, reader)
        turns += reader.turns(self._raw_turns(record))
        self.unseen -= reader.found
        return reader.checked(turns), reader.tags()

    def _raw_turns(self, record: Any) -> list[Any]:
        raw = required(record, self.fields.turns, "turns")
        if self.source.format == "tree":
            return best_path(raw, self._is_assistant)
        if not isinstance(raw, list):
            raise Refused(f"`turns` is {kind(raw)}, not a list", "map `turns` to the list of turns")
        return raw

    def _is_assistant(self, node: dict[str, Any]) -> bool:
        return read_role(first_of(node, self.fields.role), self.source.roles) == "assistant"

    def _system(self, record: Any, reader: TurnReader) -> list[Turn]:
        self._note_seen(record, "system")
        text = optional_text(record, self.fields.system, "the system prompt")
        return [Turn(role="system", text=reader.clean(text))] if text else []

    def _note_seen(self, record: Any, field: str) -> None:
        if field in self.unseen and first_of(record, getattr(self.fields, field)) is not MISSING:
            self.unseen.discard(field)


def _place(where: str) -> str:
    """`line 7` or `item 3` for a record without an id."""
    head, colon, line = where.rpartition(":")
    return f"line {line}" if colon and line.isdigit() else f"item {where.rpartition('#')[2]}"
