"""What a schema file may say of its clock, its prompt and its lanes, as frozen models.

`schema` puts them together, `language` reads them from YAML and checks what no single field shows;
`docs/schemas.md` explains each field. Times are seconds, delays whole blocks or frames.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.base import Record

TOKEN_CLASSES = ("content", "idle", "open", "close")

# `<bot>`, `</unit>`, `<|speak|>` or `[PAD]`, printable ASCII: nothing that a terminal would obey or
# that could be mistaken for a code's name
TokenName = Annotated[str, Field(pattern=r"^(<[!-9;=?-~]{1,40}>|\[[A-Za-z0-9_]{1,40}\])$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Weight = Annotated[float, Field(ge=0)]
Delay = Annotated[int, Field(ge=0, le=1000)]
Rate = Annotated[float, Field(ge=0.1, le=1000)]  # frames a second; codecs have 1 to 100


class Loss(Record):
    """Loss weights by token class. In YAML one number stands for all four.

    `books` multiplies the weight of each codebook's codes (one number each; empty: all 1).
    """

    content: Weight = 0.0
    idle: Weight = 0.0
    open: Weight = 0.0
    close: Weight = 0.0
    books: tuple[Weight, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def from_number(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return dict.fromkeys(TOKEN_CLASSES, value)
        return value

    def weights(self) -> tuple[float, ...]:
        """In the order of TOKEN_CLASSES."""
        return (self.content, self.idle, self.open, self.close)


class Turns(Record):
    """A turn for a block: what was heard up to a decision, then what the agent does about it.

    `input` and `output` are the (open, close) tokens of the two turns, `cut` ends an output turn
    that the world interrupted. `interleave` gives the tokens of each output lane that alternate
    (read 3, write 10); without it the lanes follow each other.
    """

    input: tuple[TokenName, TokenName]
    output: tuple[TokenName, TokenName]
    cut: TokenName
    interleave: dict[str, Annotated[int, Field(gt=0)]] = {}


class Clock(Record):
    """One of `block_s` (interleaved), `frame_s` (parallel) or `turns` (interleaved, turn-based).

    `open` and `close` stand around every block. `tail` says what happens to text still queued when
    the audio ends: `extend` adds blocks that listen to silence until the queue is empty, `drop`
    counts the rest as dropped.
    """

    block_s: float | None = Field(default=None, gt=0, le=60)
    frame_s: float | None = Field(default=None, gt=0, le=1)
    turns: Turns | None = None
    open: TokenName | None = None
    close: TokenName | None = None
    tail: Literal["extend", "drop"] = "extend"

    @model_validator(mode="after")
    def one_clock(self) -> Clock:
        if sum(x is not None for x in (self.block_s, self.frame_s, self.turns)) != 1:
            raise ValueError("give one of `block_s`, `frame_s` and `turns`")
        if (self.open is None) != (self.close is None):
            raise ValueError("`open` and `close` come together")
        if self.open and self.block_s is None:
            raise ValueError("`open` and `close` are of blocks: frames have none, turns their own")
        return self


class Prompt(Record):
    """The head of the sequence: fields of the Timeline's context, one a line.

    In the parallel mode it is rows of all streams: `rows` says which regions follow each other.
    `text` puts one text token a row into the first text lane; `voice` puts `voice_s` seconds of
    the assistant's voice (codec `voice_codec`) into the speak lanes; `gap` is `gap_s` of silence.
    Meanwhile the listen lanes hear `listen`: silence, or a 440 Hz sine as PersonaPlex has it.
    """

    open: TokenName
    close: TokenName
    take: tuple[Literal["system", "role", "task", "tools", "embodiment", "languages"], ...] = (
        "system",
        "role",
        "tools",
    )
    codec: Name = "text"
    loss: Loss = Loss()
    rows: tuple[Literal["voice", "gap", "text"], ...] = ("text",)
    gap_s: float = Field(default=0.5, ge=0, le=10)
    voice_s: float = Field(default=3.0, gt=0, le=30)
    voice_codec: Name = "voice"
    listen: Literal["silence", "sine"] = "silence"


class LaneBase(Record):
    """What every lane has. `name` tells two lanes of one channel apart (default: the channel).

    `open` and `close` are its boundary tokens; a `close` may stand alone. Lanes of one channel may
    share them. `delay` moves it later by whole blocks or frames (an input lane that is delayed tells
    less, an output lane comes later).
    """

    name: Name
    open: TokenName | None = None
    close: TokenName | None = None
    loss: Loss = Loss()
    delay: Delay = 0

    @model_validator(mode="after")
    def what_opens_closes(self) -> LaneBase:
        if self.open and not self.close:
            raise ValueError("`open` needs a `close`")
        return self

    def inner(self) -> tuple[str, ...]:
        """The special tokens that stand in its content, in the order in which they get ids."""
        fields = ("idle", "begin", "end", "cut", "wait", "epad", "pad", "slot", "active")
        found = (getattr(self, field, None) for field in fields)
        return tuple(dict.fromkeys(t for t in found if t))

    def specials(self) -> tuple[str, ...]:
        """All its special tokens, boundaries first."""
        return tuple(t for t in (self.open, self.close) if t) + self.inner()


class AudioLane(LaneBase):
    """`listen` or `speak`: `rate_hz` frames a second.

    `as: codes` has `codebooks` codes a frame (`delays`: frames by which each comes later, parallel
    mode). `as: slots` (listen) is continuous features, `as: mel` (speak) log-mel frames to predict:
    their positions hold the token `slot`, their numbers stand in `Tokens.values`.
    `idle` (speak) is the one token of a block in which the agent does not speak (in parallel mode
    it stands in every stream); without it such a block is written in the codes of its silence.
    `pad` stands where a delay leaves nothing to say. `fractional: carry` lets the number of frames
    change from block to block where the rate does not divide.
    """

    channel: Literal["listen", "speak"]
    as_: Literal["codes", "slots", "mel"] = Field(alias="as")
    codec: Name = "audio"
    rate_hz: Rate
    codebooks: int = Field(default=1, ge=1, le=32)
    delays: tuple[Delay, ...] = ()
    fractional: Literal["carry"] | None = None
    idle: TokenName | None = None
    pad: TokenName | None = None
    slot: TokenName | None = None
    n_mels: int = Field(default=40, ge=8, le=128)
    subframes: int = Field(default=4, ge=1, le=64)

    @model_validator(mode="after")
    def makes_sense(self) -> AudioLane:
        if self.channel == "listen" and self.idle:
            raise ValueError("`listen` has no `idle`: the model cannot know that a block is silent")
        if self.as_ != "codes" and not self.slot:
            raise ValueError(f"`as: {self.as_}` needs `slot`: the token at its positions")
        if self.as_ == "codes" and self.slot:
            raise ValueError("`slot` is of `as: slots` and `as: mel`")
        if (self.as_, self.channel) in (("slots", "speak"), ("mel", "listen")):
            raise ValueError("`slots` are heard (listen), `mel` is said (speak)")
        if self.delays and len(self.delays) != self.codebooks:
            raise ValueError(f"{len(self.delays)} delays for {self.codebooks} codebooks")
        if self.loss.books and len(self.loss.books) != self.codebooks:
            raise ValueError(f"{len(self.loss.books)} loss.books for {self.codebooks} codebooks")
        return self


class LookLane(LaneBase):
    """`look` as codes of `camera`: by name, or by number (default 0, the first). A sample that has
    no camera of that number has an empty lane; one without the named camera is refused.

    Interleaved: `frames` evenly spaced frames a block. Parallel: a frame every `every` steps, its
    codes spread over `streams` streams of those steps, `pad` where there are none.
    """

    channel: Literal["look"]
    as_: Literal["codes"] = Field(alias="as")
    codec: Name = "image"
    camera: str | Annotated[int, Field(ge=0)] = 0
    frames: int = Field(default=1, ge=1, le=60)
    every: int = Field(default=1, ge=1, le=1000)
    streams: int = Field(default=1, ge=1, le=1024)
    pad: TokenName | None = None


class TextLane(LaneBase):
    """A text view: `hear`, `typed`, `think`, `write`, `say` or `tool_call`.

    A token is placed no earlier than it is decided, and no earlier than `placement` says:
    `fifo` at once, first in, first out; `word` with its word; `sentence` with its sentence, the
    tokens of a sentence side by side; `tail` at its own time inside its word. `offset_s` moves
    these times: below 0 the text leads the speech, above it trails.
    `budget` is the most tokens of a block (frames have one; turns need none); what is over spills.
    `fixed: true` fills every block up to it.

    `idle` stands where there is nothing to emit; `wait` the same inside an event that has not ended
    (default: `idle`); `begin` opens an event; `end` closes one emitted whole, with `hold: true` not
    before its speech ends; `cut` one whose rest a barge-in dropped (default: `end`); `epad` takes
    the place of the idle token before a word. `end` and `cut` may be the `idle` token: then the
    first one after text ends it.
    `end_closes`: `end` and `cut` stand in place of the lane's `close` (one event a block).
    """

    channel: Literal["hear", "typed", "think", "write", "say", "tool_call"]
    as_: Literal["text"] = Field(alias="as")
    codec: Name = "text"
    budget: int | None = Field(default=None, gt=0, le=4096)
    placement: Literal["fifo", "word", "sentence", "tail"] = "fifo"
    offset_s: float = Field(default=0.0, ge=-60, le=60)
    fixed: bool = False
    hold: bool = False
    end_closes: bool = False
    idle: TokenName | None = None
    begin: TokenName | None = None
    end: TokenName | None = None
    cut: TokenName | None = None
    wait: TokenName | None = None
    epad: TokenName | None = None

    @model_validator(mode="after")
    def makes_sense(self) -> TextLane:
        timed = ("say", "hear")
        if self.placement in ("word", "tail") and self.channel not in timed:
            raise ValueError(
                f"`{self.placement}` needs word times: only `say` and `hear` have them"
            )
        if self.placement == "sentence" and self.channel != "say":
            raise ValueError("`sentence` needs sentence times: only `say` has them")
        if self.hold and self.channel != "say":
            raise ValueError("`hold` waits for the end of the speech: only `say` has one")
        if self.end_closes and not (self.close and self.end):
            raise ValueError("`end_closes` needs `close` and `end`")
        return self


class ActLane(LaneBase):
    """`act` as codes of all steps of the block. `idle` is the one token of a block that holds.

    The codec is fitted once per embodiment: CODEC.SUBSET (`action.gr1`), one id range for all.
    Parallel: its codec has a fixed number of codes a row (`uniform`), each row stands in the first
    frame after its time, over `streams` streams; `pad` stands where there is no row.
    """

    channel: Literal["act"]
    as_: Literal["codes"] = Field(alias="as")
    codec: Name = "action"
    streams: int = Field(default=1, ge=1, le=1024)
    idle: TokenName | None = None
    pad: TokenName | None = None


class PhaseLane(LaneBase):
    """One token a block: `active` while a lane of `of` has something to emit, `idle` otherwise.

    The lanes of `of` stand behind it, and not at all in a block that is idle: whether to answer is
    decided apart from what to answer.
    """

    channel: Literal["phase"]
    as_: Literal["token"] = Field(default="token", alias="as")
    of: tuple[Name, ...] = Field(min_length=1)
    idle: TokenName
    active: TokenName


Lane = AudioLane | LookLane | TextLane | ActLane | PhaseLane
LANES: dict[str, type[LaneBase]] = {
    "listen": AudioLane,
    "look": LookLane,
    "hear": TextLane,
    "typed": TextLane,
    "phase": PhaseLane,
    "think": TextLane,
    "write": TextLane,
    "say": TextLane,
    "tool_call": TextLane,
    "speak": AudioLane,
    "act": ActLane,
}
