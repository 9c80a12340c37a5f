"""`stretto schema show S`: one block of a schema as a picture in the terminal, from the YAML alone."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from token_schema.language import (
    AudioLane,
    Lane,
    LookLane,
    PhaseLane,
    TextLane,
    TokenSchema,
    dump_yaml,
    load_schema,
    schema_data,
)
from token_schema.measure import announced, total
from token_schema.schema import width

LOG_WIDTH = 120
STEPS = 6  # of a parallel schema that the picture shows


def run(schema: str, as_yaml: bool = False) -> int:
    """Print the schema: its picture and its rates, or (`--yaml`) a file to go on from."""
    loaded, out = load_schema(schema), console()
    if as_yaml:
        print(dump_yaml(schema_data(schema)), end="")
        return 0
    out.print(Text(picture(loaded)))
    out.print()
    out.print(_rates(loaded))
    return 0


def console() -> Console:
    """A console as wide as the terminal, or LOG_WIDTH in a log."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=LOG_WIDTH, highlight=False)


def clock_words(schema: TokenSchema) -> str:
    """`blocks of 1 s`, `steps of 0.08 s, 17 streams` or `turns`."""
    if schema.timing == "turns":
        turns = schema.clock.turns
        assert turns is not None
        mixed = ", ".join(f"{n} {k}" for k, n in turns.interleave.items())
        return "turns" + (f", answers mixed {mixed}" if mixed else "")
    if schema.timing == "frames":
        return f"steps of {schema.block_s:g} s, {len(schema.streams)} streams"
    edges = f" {schema.clock.open} ... {schema.clock.close}" if schema.clock.open else ""
    return f"blocks of {schema.block_s:g} s{edges}"


def prompt_words(schema: TokenSchema) -> str:
    """The prompt in words."""
    p = schema.prompt
    if p is None:
        return "none"
    if schema.timing == "frames":
        rows = ", ".join("+".join(p.take) if r == "text" else r for r in p.rows)
        return f"{p.open} {rows} {p.close}, one text token a step"
    return f"{p.open} {' + '.join(p.take)} {p.close}"


# ---- the picture -------------------------------------------------------------------------------


def picture(schema: TokenSchema) -> str:
    """The sequence of one block, step or pair of turns, with its boundary tokens."""
    body = {"blocks": _block, "frames": _steps, "turns": _turns}[schema.timing](schema)
    head = f"prompt, once:\n  {prompt_words(schema)}\n\n" if schema.prompt else ""
    return f"{schema.name}: {schema.mode}, {clock_words(schema)}\n\n{head}{body}"


def _framed(open_: str | None, content: str, close: str | None) -> str:
    return " ".join(x for x in (open_, content, close) if x)


def _block(schema: TokenSchema) -> str:
    rows = [_framed(x.open, _content(schema, x), x.close) for x in schema.lanes]
    names = [x.name for x in schema.lanes]
    if schema.clock.open:
        rows, names = [schema.clock.open, *rows, schema.clock.close or ""], ["", *names, ""]
    wide = max(map(len, names))
    lines = [f"  {n:<{wide}}  {r}{_phase(schema, n)}" for n, r in zip(names, rows, strict=True)]
    return f"every {schema.block_s:g} s, in this order:\n" + "\n".join(lines)


def _phase(schema: TokenSchema, name: str) -> str:
    at = schema.phase_of(name) if name else None
    if at is None:
        return ""
    phase = schema.lanes[at]
    assert isinstance(phase, PhaseLane)
    return f"      (only after {phase.active})"


def _steps(schema: TokenSchema) -> str:
    """One line a stream over a few steps: which frame's code stands in which step."""
    wide = max(len(x.name) for x in schema.lanes) + 3
    lines = [f"  {'step':<{wide}}" + "".join(f"{t:>7}" for t in range(STEPS))]
    for stream in schema.streams:
        lane = schema.lanes[stream.lane]
        name = lane.name + (f" {stream.book}" if width(lane) > 1 else "")
        cells = [_step_cell(lane, stream.book, t) for t in range(STEPS)]
        lines.append(f"  {name:<{wide}}" + "".join(f"{c:>7}" for c in cells))
    key = "t: text or its idle form, N: the code of frame N, -: the lane's pad, *: codes or pad"
    return "\n".join([f"every {schema.block_s:g} s a row of all streams:", *lines, f"  ({key})"])


def _step_cell(lane: Lane, book: int, t: int) -> str:
    if isinstance(lane, TextLane):
        return "t"
    if not isinstance(lane, AudioLane):
        return "*"
    frame = t - lane.delay - (lane.delays[book] if lane.delays else 0)
    return str(frame) if frame >= 0 else "-"


def _turns(schema: TokenSchema) -> str:
    turns = schema.clock.turns
    assert turns is not None
    lines = []
    for name, (open_, close), ins in (("in", turns.input, True), ("out", turns.output, False)):
        lanes = [x for x in schema.lanes if schema.is_input(x) == ins]
        inner = " ".join(_framed(x.open, _content(schema, x), x.close) for x in lanes)
        if not ins and turns.interleave:
            inner = " ".join(f"{k} {n}" for n, k in turns.interleave.items()) + " ..."
        ends = close if ins else f"{close} | {turns.cut}"
        lines.append(f"  {name:<4}{open_} {inner} {ends}")
    return "a pair of turns, again and again:\n" + "\n".join(lines)


def _content(schema: TokenSchema, lane: Lane) -> str:
    """The content of a lane in words, `|` before what may stand there instead."""
    idle = getattr(lane, "idle", None)
    other = f" | {idle}" if idle else ""
    if isinstance(lane, PhaseLane):
        return f"{lane.active} | {lane.idle}"
    if isinstance(lane, TextLane):
        count = "" if lane.budget is None else f"{'' if lane.fixed else 'up to '}{lane.budget} "
        return f"{count}text{other}"
    if isinstance(lane, AudioLane):
        if schema.timing == "turns":
            return f"{lane.rate_hz:g} {lane.as_} a second"
        n = schema.frames_per_block(lane) * (lane.codebooks if lane.as_ == "codes" else 1)
        return f"{n}{' or more' if lane.fractional else ''} {lane.as_}{other}"
    if isinstance(lane, LookLane):
        return f"{lane.frames} frame{'s' * (lane.frames > 1)} of codes | nothing"
    return f"codes of all steps{other} | nothing"


# ---- the table ---------------------------------------------------------------------------------


def _rates(schema: TokenSchema) -> Table:
    second = "a second of its turn" if schema.timing == "turns" else "a second"
    table = Table(title=f"lanes, in order; tokens {second}", title_justify="left")
    for column in ("lane", "as", "tokens", "of these boundaries", "loss-bearing", "loss c/i/o/c"):
        left = column in ("lane", "as", "loss c/i/o/c")
        table.add_column(column, justify="left" if left else "right")
    rates = announced(schema)
    for i, rate in enumerate(rates):
        loss = ""
        if i < len(schema.lanes):
            loss = " ".join(f"{w:g}" for w in schema.lanes[i].loss.weights())
        table.add_row(
            Text(rate.name), Text(rate.kind), str(rate.tokens), str(rate.boundary),
            str(rate.bearing), loss,
        )  # fmt: skip
    whole = total(rates)
    table.add_section()
    table.add_row("all", "", str(whole.tokens), str(whole.boundary), str(whole.bearing), "")
    table.caption = "loss weights of content, idle, open, close"
    return table
