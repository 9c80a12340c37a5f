"""`stretto schema list | show S | check FILE [DIR] | diff A B [DIR] | explain S DIR [KEY]`.

The schema researcher's bench. `list` and `check` are here; the others have a file each.
"""

from __future__ import annotations

from jobs.schema_show import clock_words
from pipeline.stream import open_corpus
from schemas.errors import StrettoError
from token_schema.language import TextLane, TokenSchema, list_presets, load_schema
from token_schema.measure import announced, total

CHECKED = 8  # samples of the corpus that `check` compiles, decodes and compares


def list_() -> int:
    """The presets, one line each: name, clock, lanes."""
    for name in list_presets():
        schema = load_schema(name)
        lanes = ", ".join(lane.name for lane in schema.lanes)
        print(f"{name}: {clock_words(schema)}: {lanes}")
    return 0


def check(file: str, dir: str | None = None) -> int:
    """Is the schema sound, and (with DIR) does it work on that corpus? 1 when it does not."""
    schema = load_schema(file)
    rates = total(announced(schema))
    print(f"{schema.name}: {clock_words(schema)}; {rates.tokens} tokens a second")
    for word in remarks(schema):
        print(f"note: {word}")
    if dir is None:
        print("sound")
        return 0
    from jobs.schema_check import try_corpus  # codecs and tokenizers, only when asked for

    return try_corpus(schema, open_corpus(dir), CHECKED)


def remarks(schema: TokenSchema) -> list[str]:
    """What is allowed and yet worth a look."""
    out = []
    bearing = [x for x in schema.lanes if max(x.loss.weights()) > 0]
    if not bearing:
        out.append("no lane bears loss: there is nothing to train")
    for lane in bearing:
        if schema.is_input(lane):
            out.append(f"lane {lane.name} is an input and bears loss: the model learns to hear it")
    spoken = [x for x in schema.lanes if isinstance(x, TextLane) and x.channel == "say"]
    for lane in spoken if schema.timing == "blocks" else []:
        rate = (lane.budget or 1) / schema.block_s
        if rate < 4:  # 150 words a minute are 2.5 words a second, at 1.3 to 2 tokens each
            out.append(f"lane {lane.name} has {rate:g} tokens a second: speech has 3 to 5")
    channels = {x.channel for x in schema.lanes}
    if not channels & {"listen", "hear", "look", "typed"}:
        out.append("no lane takes in anything: what the agent does has no cause in the tokens")
    return out


def explain(schema: str, dir: str, key: str | None = None) -> int:
    """Every id of one sample, block by block."""
    from jobs.schema_explain import run  # codecs and tokenizers, only when asked for

    corpus = open_corpus(dir)
    if not corpus.index.num_rows:
        raise StrettoError("the corpus has no samples", corpus.url)
    return run(load_schema(schema), corpus, key)
