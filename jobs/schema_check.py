"""The part of `stretto schema check FILE DIR` that tries the schema on a corpus's samples.

Evenly spaced samples are compiled; the grammar must accept and read each, `known` must never fall,
and every token rate must lie inside what the schema announces. One line a finding.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pipeline.stream import Corpus
from schemas.errors import StrettoError
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.counted import Counted
from token_schema.encode import compile_sample
from token_schema.grammar import Grammar
from token_schema.measure import announced
from token_schema.schema import TokenSchema
from token_schema.tokens import Tokens


def try_corpus(schema: TokenSchema, corpus: Corpus, samples: int) -> int:
    """Print what is wrong, and the corpus's rates; 1 when anything is."""
    codecs = CodecSet.load(corpus.store, schema)
    counted, findings, spent_s = Counted(schema), 0, 0.0
    rows = corpus.index.num_rows
    for row in range(0, rows, max(1, -(-rows // samples))):
        timeline, media = corpus.read(row)
        start = time.perf_counter()
        try:
            tokens = compile_sample(schema, codecs, timeline, media)
        except StrettoError as error:
            print(f"{timeline.key}: {error}")
            findings += 1
            continue
        spent_s += time.perf_counter() - start
        counted.add(tokens, timeline.duration_s)
        for finding in _findings(schema, codecs, timeline, tokens):
            print(f"{timeline.key}: {finding}")
            findings += 1
    if counted.samples:
        print(
            f"{counted.samples} samples: {counted.per_second:.1f} tokens a second,"
            f" {counted.bearing_share:.0%} bear loss, {counted.boundary_share:.0%} are boundaries;"
            f" compiled at {counted.tokens / max(spent_s, 1e-9) / 1000:.0f}k tokens a second"
        )
    print("works" if not findings else f"{findings} findings")
    return 1 if findings else 0


def _findings(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, tokens: Tokens
) -> Iterator[str]:
    try:
        subset = timeline.subset if timeline.act else None
        read = Grammar(schema, codecs, subset).read(tokens.ids)
        for name in ("lane", "kind", "block"):
            if not np.array_equal(getattr(read, name), getattr(tokens, name)):
                yield f"the grammar reads another {name} than was written"
    except StrettoError as error:
        yield f"the grammar refuses it: {error}"
    if (np.diff(tokens.known_s) < 0).any():
        yield "known(p) falls"
    if schema.timing == "turns":
        return
    own = Counted(schema)
    own.add(tokens, timeline.duration_s)
    for rate in announced(schema, codecs):
        content, boundary, _ = own.rates().get(rate.name, (None, None, None))
        if content is not None and boundary is not None and not rate.content.holds(content):
            yield f"lane {rate.name}: {content:g} tokens a second, {rate.content} announced"
