"""`stretto schema explain S DIR [KEY]`: every id of a sample, block by block, with its meaning.

Beside the ids of each lane stand the time, what is known there (`known`, the latest world time that
the tokens rest on) and the words that are heard, written or said. A parallel sample is a line a step
(`schema_steps`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from rich.table import Table
from rich.text import Text

from jobs.schema_show import console
from jobs.schema_steps import steps_table
from pipeline.stream import Corpus
from schemas.timeline import Hear, Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.counted import Counted
from token_schema.encode import compile_sample
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, OPEN, PROMPT, Tokens

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal must not obey what a corpus says


def run(schema: TokenSchema, corpus: Corpus, key: str | None) -> int:
    """Print one sample (the first, or KEY) under the schema."""
    timeline, media = corpus.read(corpus.find(key) if key else 0)
    codecs = CodecSet.load(corpus.store, schema)
    tokens = compile_sample(schema, codecs, timeline, media)
    out = console()
    if schema.timing == "frames":
        out.print(steps_table(schema, codecs, timeline, tokens, _plain))
    else:
        out.print(_Page(schema, codecs, timeline, tokens).table())
    out.print(Text(summary(schema, timeline, tokens)))
    return 0


class _Page:
    """One compiled sample and how to say what its tokens mean."""

    def __init__(
        self, schema: TokenSchema, codecs: CodecSet, timeline: Timeline, tokens: Tokens
    ) -> None:
        self.schema, self.codecs, self.timeline, self.tokens = schema, codecs, timeline, tokens

    def table(self) -> Table:
        title = f"{self.timeline.key} under {self.schema.name}"
        table = Table(title=Text(title), title_justify="left", show_lines=False)
        for name, ratio in (("block", 3), ("known", 2), ("lane", 3), ("ids", 14), ("meaning", 12)):
            table.add_column(name, ratio=ratio, overflow="fold")
        self._head(table)
        for b in range(self.tokens.report.blocks):
            for row in self._rows(b):
                table.add_row(*row)
            table.add_section()
        return table

    def _head(self, table: Table) -> None:
        head = self.tokens.block < 0
        if head.any() and self.schema.prompt:
            codec = self.schema.prompt.codec
            text = self._text(codec, self.tokens.ids[head])
            table.add_row("prompt", "0 s", "", self._ids(head), text, end_section=True)

    def _rows(self, b: int) -> Iterator[tuple[str | Text, ...]]:
        """A row for each run of one lane, in the order in which it is read."""
        inside = np.flatnonzero(self.tokens.block == b)
        starts = np.flatnonzero(np.diff(self.tokens.lane[inside].astype(int))) + 1
        for number, run_ in enumerate(np.split(inside, starts)):
            index = int(self.tokens.lane[run_[0]])
            here = np.zeros(len(self.tokens), bool)
            here[run_] = True
            known = f"{float(self.tokens.known_s[here].max()):g} s"
            own = index == PROMPT  # the block's or the turn's own open and close
            name = "" if own else self.schema.lanes[index].name
            meaning = Text("") if own else self._meaning(index, here, b)
            yield ("" if number else self._time(b)), known, Text(name), self._ids(here), meaning

    def _time(self, b: int) -> str:
        if self.schema.timing == "turns":
            return f"{b}: {'in' if b % 2 == 0 else 'out'}"
        return f"{b}: {float(self.schema.block * b):g} s"

    def _ids(self, where: np.ndarray) -> Text:
        """The ids, each special token with its name, those with a loss in bold."""
        out, specials = Text(), self.codecs.vocabulary.specials
        names = self.codecs.vocabulary
        pairs = zip(self.tokens.ids[where].tolist(), self.tokens.loss[where].tolist(), strict=True)
        for token_id, loss in pairs:
            name = names.name(token_id)
            shown = name if name in specials else ""
            out.append(f"{token_id}{shown} ", style="bold" if loss > 0 else "dim")
        return out

    # ---- meaning -------------------------------------------------------------------------------

    def _meaning(self, index: int, here: np.ndarray, b: int) -> Text:
        lane, kinds = self.schema.lanes[index], self.tokens.kind[here]
        content = here & (self.tokens.kind != OPEN) & (self.tokens.kind != CLOSE)
        if not content.any():
            return Text("not in this sample", style="dim")
        if lane.channel == "phase":
            return Text("answers" if (kinds == CONTENT).any() else "listens", style="dim")
        if not (kinds == CONTENT).any():
            quiet = {"act": "hold", "listen": "not yet", "look": "nothing to see"}
            return Text(quiet.get(lane.channel, "nothing to say"), style="dim")
        if lane.as_ == "text":
            return self._text(lane.codec, self.tokens.ids[content])  # type: ignore[union-attr]
        words = " ".join(self._words(lane.channel, here, b))
        count = int((here & (self.tokens.kind == CONTENT)).sum())
        noun = {"slots": "slot", "mel": "mel frame"}.get(lane.as_, "code")
        plain = f"{count} {noun}{'s' * (count > 1)}" + (f": “{words}”" if words else "")
        return _plain(plain)

    def _words(self, channel: str, here: np.ndarray, b: int) -> Iterator[str]:
        """The words that end in the time of the block."""
        if self.schema.timing == "turns":
            known = self.tokens.known_s[here]
            start_s, end_s = float(known.min()) - 0.2, float(known.max())
        else:
            start_s, end_s = (float(self.schema.block * k) for k in (b, b + 1))
        kind = {"listen": Hear, "speak": Say}.get(channel)
        for event in (*self.timeline.world, *self.timeline.agent) if kind else ():
            if isinstance(event, (Hear, Say)) and isinstance(event, kind):  # type: ignore[arg-type]
                yield from (w.text for w in event.words if start_s < w.end_s <= end_s)

    def _text(self, codec: str, ids: np.ndarray) -> Text:
        """The pieces of a text, `|` between them, and special tokens by their names."""
        vocabulary = self.codecs.vocabulary
        r = vocabulary.range(codec)
        pieces = [
            self.codecs.get(codec).piece(i - r.start).decode("utf-8", "replace")
            if r.start <= i < r.stop
            else vocabulary.name(i)
            for i in ids.tolist()
        ]
        return _plain("|".join(pieces))


def _plain(text: str) -> Text:
    return Text(CONTROL.sub("␣", text))


def summary(schema: TokenSchema, timeline: Timeline, tokens: Tokens) -> str:
    """Counts, rates, and what was added, dropped or left out."""
    report, counted = tokens.report, Counted(schema)
    counted.add(tokens, timeline.duration_s)
    rates = ", ".join(f"{n} {c + b:.1f}" for n, (c, b, _) in counted.rates().items())
    unit = {"blocks": "blocks", "frames": "steps", "turns": "turns"}[schema.timing]
    lines = [
        f"{len(tokens)} tokens in {report.blocks} {unit}, {counted.per_second:.1f} a second"
        f" ({rates}); {counted.bearing_share:.0%} bear loss,"
        f" {counted.boundary_share:.0%} are boundaries"
    ]
    notes = (
        (report.tail_blocks, f"of the {unit} come after the end, for what was left"),
        (report.dropped_text_tokens, "text tokens dropped by a cut"),
        (report.silent_events, "events cut before their first token"),
        (report.waited_frames, "frames of speech left silent: decided too late for their step"),
        (report.missing_epad, "words without the token before them: decided too late for it"),
    )
    lines += [f"{count} {what}" for count, what in notes if count]
    if report.not_placed:
        kinds = ", ".join(f"{n} {kind}" for kind, n in report.not_placed.items())
        lines.append(f"no lane for: {kinds}")
    return "\n".join(lines)
