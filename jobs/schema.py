"""`stretto schema list | show S | explain S DIR [KEY]`: the schema researcher's bench.

`show` draws one block with its boundary tokens and tokens a second, from the YAML alone. `explain`
compiles one sample of a corpus (the first, or KEY) and prints every id of every block beside its
time, what it means, and the words that are heard, written and said there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.stream import open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Hear, Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.encode import CLOSE, CONTENT, OPEN, PROMPT, Tokens, compile_sample
from token_schema.language import (
    AudioLane,
    Lane,
    LookLane,
    TextLane,
    TokenSchema,
    list_presets,
    load_schema,
)

LOG_WIDTH = 120
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a terminal must not obey what a corpus says


def list_() -> int:
    """The presets, one line each: name, mode, block, lanes."""
    for name in list_presets():
        schema = load_schema(name)
        lanes = ", ".join(lane.name for lane in schema.lanes)
        print(f"{name}: {schema.mode}, blocks of {schema.clock.block_s:g} s: {lanes}")
    return 0


def show(schema: str) -> int:
    """One block of a schema, lane by lane."""
    loaded, console = load_schema(schema), _console()
    console.print(Text(_picture(loaded)))
    console.print()
    console.print(_lane_table(loaded))
    return 0


def explain(schema: str, dir: str, key: str | None = None) -> int:
    """Every id of one sample, block by block."""
    loaded, corpus = load_schema(schema), open_corpus(dir)
    if not corpus.index.num_rows:
        raise StrettoError("the corpus has no samples", corpus.url)
    timeline, media = corpus.read(corpus.find(key) if key else 0)
    codecs = CodecSet.load(corpus.store, loaded)
    tokens = compile_sample(loaded, codecs, timeline, media)
    console = _console()
    console.print(_sample_table(loaded, codecs, timeline, tokens))
    console.print(Text(_summary(loaded, timeline, tokens)))
    return 0


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=LOG_WIDTH, highlight=False)


# ---- show --------------------------------------------------------------------------------------


def _picture(schema: TokenSchema) -> str:
    """The sequence as one line of boundary tokens."""
    blocks = "  ".join(f"{x.open} {_content(schema, x)} {x.close}" for x in schema.lanes)
    head = f"{schema.prompt.open} {' + '.join(schema.prompt.take)} {schema.prompt.close}"
    return (
        f"{schema.name}: {schema.mode}\n\nhead, once:\n  {head}\n\n"
        f"every {schema.clock.block_s:g} s:\n  {blocks}"
    )


def _content(schema: TokenSchema, lane: Lane) -> str:
    if isinstance(lane, TextLane):
        return f"up to {lane.budget} text | {lane.idle}"
    if isinstance(lane, AudioLane):
        n = schema.frames_per_block(lane) * lane.codebooks
        return f"{n} codes" + (f" | {lane.idle}" if lane.idle else "")
    if isinstance(lane, LookLane):
        return f"{lane.frames} frame{'s' * (lane.frames > 1)} of codes | nothing"
    return "codes of all steps" + (f" | {lane.idle}" if lane.idle else "") + " | nothing"


def _lane_table(schema: TokenSchema) -> Table:
    table = Table(title="lanes, in order")
    for column in ("lane", "as", "tokens a block", "tokens a second", "loss c/i/o/c"):
        table.add_column(column, justify="right" if "tokens" in column else "left")
    for lane in schema.lanes:
        least, most = _tokens(schema, lane)
        loss = " ".join(f"{w:g}" for w in lane.loss.weights())
        table.add_row(
            Text(lane.name),
            Text(f"{lane.as_} ({lane.codec})"),
            _span(least, most, 1),
            _span(least, most, schema.clock.block_s),
            loss,
        )
    table.caption = "with boundary tokens; loss of content, idle, open, close"
    return table


def _span(least: int, most: int | None, seconds: float) -> str:
    low = f"{least / seconds:g}"
    if most is None:
        return f"{low} and codec's"
    return low if most == least else f"{low} to {most / seconds:g}"


def _tokens(schema: TokenSchema, lane: Lane) -> tuple[int, int | None]:
    """Fewest and most tokens of a block, boundaries counted; None where the codec decides."""
    if isinstance(lane, TextLane):
        return 3, lane.budget + 2
    if isinstance(lane, AudioLane):
        n = schema.frames_per_block(lane) * lane.codebooks + 2
        return (3 if lane.idle else n), n
    return 2, None


# ---- explain -----------------------------------------------------------------------------------


def _sample_table(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, tokens: Tokens
) -> Table:
    table = Table(title=Text(f"{timeline.key} under {schema.name}"), show_lines=False)
    for name, ratio in (("block", 2), ("lane", 2), ("ids", 10), ("meaning", 9)):
        table.add_column(name, ratio=ratio, overflow="fold")
    head = tokens.lane == PROMPT
    table.add_row(
        "head",
        "prompt",
        _ids(codecs, tokens, head),
        _text(codecs, schema.prompt.codec, tokens.ids[head & (tokens.kind == CONTENT)]),
        end_section=True,
    )
    for b in range(tokens.report.blocks):
        for i, lane in enumerate(schema.lanes):
            here = (tokens.block == b) & (tokens.lane == i)
            table.add_row(
                _time(schema, b) if i == 0 else "",
                Text(lane.name),
                _ids(codecs, tokens, here),
                _meaning(schema, codecs, timeline, lane, tokens, here, b),
                end_section=i + 1 == len(schema.lanes),
            )
    return table


def _time(schema: TokenSchema, b: int) -> str:
    return f"{b}: {float(schema.block * b):g} s"


def _ids(codecs: CodecSet, tokens: Tokens, where: np.ndarray) -> Text:
    """The ids, each special token with its name, those with a loss in bold."""
    out, specials = Text(), codecs.vocabulary.specials
    for token_id, loss in zip(tokens.ids[where].tolist(), tokens.loss[where], strict=True):
        name = specials[token_id] if token_id < len(specials) else ""
        out.append(f"{token_id}{name} ", style="bold" if loss > 0 else "dim")
    return out


def _meaning(
    schema: TokenSchema,
    codecs: CodecSet,
    timeline: Timeline,
    lane: Lane,
    tokens: Tokens,
    here: np.ndarray,
    b: int,
) -> Text:
    content = tokens.ids[here & (tokens.kind != OPEN) & (tokens.kind != CLOSE)]
    if not len(content):
        return Text("not in this sample", style="dim")
    if not (tokens.kind[here] == CONTENT).any():
        return Text({"act": "hold"}.get(lane.channel, "nothing to say"), style="dim")
    if isinstance(lane, TextLane):
        return _text(codecs, lane.codec, content)
    start_s, end_s = float(schema.block * b), float(schema.block * (b + 1))
    words = " ".join(_words(timeline, lane.channel, start_s, end_s))
    count = f"{len(content)} code{'s' * (len(content) > 1)}"
    return _plain(count + (f": “{words}”" if words else ""))


def _words(timeline: Timeline, channel: str, start_s: float, end_s: float) -> Iterator[str]:
    """The words that end in the block."""
    kind = {"listen": Hear, "speak": Say}.get(channel)
    for event in (*timeline.world, *timeline.agent) if kind else ():
        if isinstance(event, (Hear, Say)) and isinstance(event, kind):  # type: ignore[arg-type]
            yield from (w.text for w in event.words if start_s < w.end_s <= end_s)


def _text(codecs: CodecSet, codec: str, ids: np.ndarray) -> Text:
    """The pieces of a text, `|` between them, and special tokens by their names."""
    r, specials = codecs.vocabulary.range(codec), codecs.vocabulary.specials
    pieces = [
        specials[i]
        if i < len(specials)
        else codecs.get(codec).piece(i - r.start).decode("utf-8", "replace")
        for i in ids.tolist()
    ]
    return _plain("|".join(pieces))


def _plain(text: str) -> Text:
    return Text(CONTROL.sub("␣", text))


def _summary(schema: TokenSchema, timeline: Timeline, tokens: Tokens) -> str:
    report = tokens.report
    seconds = max(timeline.duration_s, 1e-9)
    rates = ", ".join(
        f"{lane.name} {int((tokens.lane == i).sum()) / seconds:.1f}"
        for i, lane in enumerate(schema.lanes)
    )
    lines = [
        f"{len(tokens)} tokens in {report.blocks} blocks, {len(tokens) / seconds:.1f} a second"
        f" ({rates})"
    ]
    if report.tail_blocks:
        lines.append(f"{report.tail_blocks} blocks after the end, to write what was left")
    if report.dropped_text_tokens:
        lines.append(f"{report.dropped_text_tokens} text tokens dropped by a cut")
    if report.not_placed:
        kinds = ", ".join(f"{n} {kind}" for kind, n in report.not_placed.items())
        lines.append(f"no lane for: {kinds}")
    return "\n".join(lines)
