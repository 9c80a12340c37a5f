"""What a schema calls things: names, tokens, codecs and phases that fit together.

Every error names the file, the line and the lane.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from schemas.errors import StrettoError
from token_schema.models import Lane, PhaseLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.yaml_file import Document

Origin = tuple[Document, tuple[str | int, ...]]  # the file a lane stands in, and where
CODEC_TYPES = {
    "text": ("bpe", "hf_text"),
    "audio": ("rvq", "mimi", "encodec", "dac", "cosyvoice2"),
    "image": ("patch_vq", "emu3"),
    "action": ("fast", "uniform", "hf_fast"),
    "voice": ("voice",),
}


class Places:
    """One schema and where its lanes stand. `where(lane, field)` is the place that an error names."""

    def __init__(self, schema: TokenSchema, document: Document, origins: Sequence[Origin]) -> None:
        self.schema, self.document, self.origins = schema, document, origins

    def where(self, lane: Lane, field: str | None = None) -> str:
        document, path = self.origins[self.schema.lanes.index(lane)]
        at = document.where((*path, field) if field else path)
        return f"{at}: lane {lane.name}" + (f": {field}" if field else "")

    def refuse(self, what: str, lane: Lane, field: str | None = None, fix: str = "") -> None:
        raise StrettoError(what, self.where(lane, field), fix or None)


class NameChecks(Places):
    """The checks that hold under every clock."""

    def codecs(self) -> None:
        """A codec that is declared is used, and is of a type that serves the lanes which name it."""
        kinds = self._kinds()
        for name, spec in self.schema.codecs.items():
            where = f"{self.document.where(('codecs', name))}: codecs.{name}"
            declared_here = ("codecs", name) in self.document.lines  # a parent may declare more
            if name not in kinds and not declared_here:
                continue
            if name not in kinds:
                near = difflib.get_close_matches(name, kinds, n=1)
                fix = f"did you mean `{near[0]}`?" if near else "named: " + ", ".join(kinds)
                raise StrettoError("no lane names this codec", where, fix)
            if spec.type not in (types := CODEC_TYPES[kinds[name]]):
                raise StrettoError(
                    f"type {spec.type!r} is no codec for {kinds[name]}",
                    where,
                    "types: " + ", ".join(types),
                )

    def _kinds(self) -> dict[str, str]:
        """The codecs that lanes and prompt name, and what for."""
        named: dict[str, str] = {}
        if p := self.schema.prompt:
            named[p.codec] = "text"
            named |= {p.voice_codec: "voice"} if "voice" in p.rows else {}
        channels = {"listen": "audio", "speak": "audio", "look": "image", "act": "action"}
        for lane in self.schema.lanes:
            if hasattr(lane, "codec") and lane.as_ in ("codes", "text"):
                named[lane.codec] = channels.get(lane.channel, "text")
        return named

    # ---- names and tokens ----------------------------------------------------------------------

    def names(self) -> None:
        names = [lane.name for lane in self.schema.lanes]
        for lane in self.schema.lanes:
            if names.count(lane.name) > 1:
                raise StrettoError(
                    f"two lanes are named {lane.name!r}",
                    f"{self.document.where(('lanes',))}: lanes",
                    "give each a `name`",
                )
        for name in self.schema.view.history_blocks:
            if name not in names:
                raise StrettoError(
                    f"no lane named {name!r}",
                    f"{self.document.where(('view', 'history_blocks', name))}: view.history_blocks",
                    "lanes: " + ", ".join(names),
                )

    def tokens(self) -> None:
        """A boundary token tells where it stands: it has one meaning in the whole schema."""
        ends = self._boundaries()
        for lane in self.schema.lanes:
            inside = lane.inner()
            if bad := [t for t in inside if t in ends]:
                self.refuse(f"token {bad[0]} has two meanings", lane)
            self._distinct(lane)
        if twice := [t for t in ends if ends.count(t) > 1]:
            raise StrettoError(
                f"boundary token {twice[0]} is used twice",
                self.document.name,
                "a boundary token tells its lane: give each its own",
            )

    def _boundaries(self) -> list[str]:
        clock, prompt = self.schema.clock, self.schema.prompt
        ends: list[str | None] = [clock.open, clock.close]
        if prompt:  # PersonaPlex opens and closes its prompt with one token
            ends += dict.fromkeys((prompt.open, prompt.close))
        if turns := clock.turns:  # where a turn closes is known: both may close with one token
            ends += [*dict.fromkeys((*turns.input, *turns.output)), turns.cut]
        shared: set[tuple[str, str | None, str | None]] = set()
        for lane in self.schema.lanes:
            if (lane.channel, lane.open, lane.close) not in shared:
                ends += [lane.open, lane.close]
            shared.add((lane.channel, lane.open, lane.close))
        return [t for t in ends if t]

    def _distinct(self, lane: Lane) -> None:
        """Tokens of one lane that mean different things differ; `wait`, `end`, `cut` may be `idle`."""
        fields = ["idle", "begin", "end", "cut", "epad", "pad", "slot", "active"]
        if isinstance(lane, TextLane):
            if lane.end == lane.idle:
                fields.remove("end")
            if lane.cut in (lane.idle, lane.end):
                fields.remove("cut")
        used = [t for f in fields if (t := getattr(lane, f, None))]
        if twice := [t for t in used if used.count(t) > 1]:
            self.refuse(f"token {twice[0]} has two meanings", lane)

    def phases(self) -> None:
        names = [lane.name for lane in self.schema.lanes]
        for i, lane in enumerate(self.schema.lanes):
            if not isinstance(lane, PhaseLane):
                continue
            for name in lane.of:
                if name not in names[i + 1 :]:
                    self.refuse(f"no lane {name!r} behind it", lane, "of")
                if self.schema.phase_of(name) != i:
                    self.refuse(f"lane {name!r} has two phases", lane, "of")
                if self.schema.is_input(self.schema.lane(name)):
                    self.refuse(f"lane {name!r} is an input: it is always there", lane, "of")
