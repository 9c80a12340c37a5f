"""`stretto schema diff A B [DIR]`: what another schema changes, a second.

Tokens, boundaries, budgets and loss-bearing tokens of each lane, from the YAML alone; a span where
the content decides. With DIR, a corpus with codecs for both, the corpus means stand beside them.
Exit code 0 when the two say the same, 1 when they differ.
"""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from jobs.schema_show import clock_words, console, prompt_words
from pipeline.stream import Corpus, open_corpus
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.counted import Counted
from token_schema.encode import compile_sample
from token_schema.language import load_schema
from token_schema.measure import LaneRate, announced, total
from token_schema.schema import TokenSchema

SAMPLES = 32  # of the corpus that are compiled for its means, evenly spaced


def run(a: str, b: str, dir: str | None = None) -> int:
    """Print the differences."""
    schemas = load_schema(a), load_schema(b)
    if schemas[0].hash == schemas[1].hash:
        print(f"{a} and {b} make the same tokens")
        return 0
    corpus = open_corpus(dir) if dir else None
    codecs = [CodecSet.load(corpus.store, s) if corpus else None for s in schemas]
    rates = [announced(s, c) for s, c in zip(schemas, codecs, strict=True)]
    out = console()
    out.print(_plain_table(schemas))
    out.print(_rates_table(schemas, rates))
    out.print()
    for line in field_changes(*schemas):
        out.print(Text(line))
    if corpus:
        out.print(_means_table(corpus, schemas, codecs))
    return 1


# ---- from the YAML -----------------------------------------------------------------------------


def _names(schemas: tuple[TokenSchema, TokenSchema]) -> list[str]:
    return [Text(s.name).plain for s in schemas]


def _plain_table(schemas: tuple[TokenSchema, TokenSchema]) -> Table:
    table = Table(show_edge=False)
    for name in ("", *_names(schemas)):
        table.add_column(name)
    table.add_row("clock", *(Text(clock_words(s)) for s in schemas))
    table.add_row("prompt", *(Text(prompt_words(s)) for s in schemas))
    table.add_row("lanes", *(Text(", ".join(x.name for x in s.lanes)) for s in schemas))
    return table


def _rates_table(schemas: tuple[TokenSchema, TokenSchema], rates: list[list[LaneRate]]) -> Table:
    turns = any(s.timing == "turns" for s in schemas)
    title = "tokens a second" + (" (in turns: a second of the turn)" if turns else "")
    table = Table(title=f"{title}: {' -> '.join(_names(schemas))}", title_justify="left")
    for name in ("lane", "tokens", "of these boundaries", "loss-bearing", "text budget"):
        table.add_column(name, justify="left" if name == "lane" else "right")
    by_name = [{r.name: r for r in side} for side in rates]
    for name in dict.fromkeys(n for side in by_name for n in side):
        table.add_row(Text(name), *_pairs(by_name[0].get(name), by_name[1].get(name)))
    table.add_section()
    table.add_row("all", *_pairs(total(rates[0]), total(rates[1])))
    return table


def _pairs(a: LaneRate | None, b: LaneRate | None) -> list[str]:
    """`7 -> 12` for each column; one number where nothing changes, `-` where a side has no lane."""
    pairs = zip(_cells(a), _cells(b), strict=True)
    return [x if x == y else f"{x or 'none'} -> {y or 'none'}" for x, y in pairs]


def _cells(rate: LaneRate | None) -> list[str]:
    if rate is None:
        return ["-"] * 3 + [""]
    budget = "" if rate.budget is None else f"{float(rate.budget):g}"
    return [str(rate.tokens), str(rate.boundary), str(rate.bearing), budget]


def field_changes(a: TokenSchema, b: TokenSchema) -> list[str]:
    """Lines `LANE: field old -> new, ...` of the lanes that both have, and what only one has."""
    left, right = ({x.name: x for x in s.lanes} for s in (a, b))
    lines = []
    for name in left:
        if name not in right:
            lines.append(f"{name}: only in {a.name}")
            continue
        one, two = (_fields(x) for x in (left[name], right[name]))
        changes = [
            f"{field} {_word(one.get(field))} -> {_word(two.get(field))}"
            for field in dict.fromkeys((*one, *two))
            if one.get(field) != two.get(field)
        ]
        lines += [f"{name}: {', '.join(changes)}"] if changes else []
    lines += [f"{name}: only in {b.name}" for name in right if name not in left]
    if a.view != b.view:
        one, two = (_said(s.view) for s in (a, b))
        lines += [
            f"view: {field} {_word(one.get(field))} -> {_word(two.get(field))}"
            for field in dict.fromkeys((*one, *two))
        ]
    return lines


def _fields(lane: Any) -> dict[str, Any]:
    """What the lane says, defaults left out, loss weights by class."""
    out = _said(lane)
    out.pop("name", None)
    loss = out.pop("loss", {})
    return {**out, **{f"loss.{k}": v for k, v in loss.items() if v}}


def _said(record: Any) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{k}:{_word(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "[" + " ".join(map(_word, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---- from a corpus -----------------------------------------------------------------------------


def count_corpus(
    corpus: Corpus, schema: TokenSchema, codecs: CodecSet, samples: int = SAMPLES
) -> tuple[Counted, dict[str, str]]:
    """Counts over evenly spaced samples, and why each sample that does not compile does not."""
    counted, refused = Counted(schema), {}
    rows = corpus.index.num_rows
    step = max(1, -(-rows // samples))
    for row in range(0, rows, step):
        timeline, media = corpus.read(row)
        try:
            counted.add(compile_sample(schema, codecs, timeline, media), timeline.duration_s)
        except StrettoError as error:
            refused[timeline.key] = str(error)
    return counted, refused


def _means_table(
    corpus: Corpus, schemas: tuple[TokenSchema, TokenSchema], codecs: list[CodecSet | None]
) -> Table:
    sides = [
        count_corpus(corpus, s, c) for s, c in zip(schemas, codecs, strict=True) if c is not None
    ]
    table = Table(title=f"means of {corpus.url}", title_justify="left", show_edge=False)
    for name in ("", *_names(schemas)):
        table.add_column(name, justify="left" if not name else "right")
    for label, value in (
        ("tokens a second", lambda c: f"{c.per_second:.1f}"),
        ("boundary tokens", lambda c: f"{c.boundary_share:.0%}"),
        ("loss-bearing", lambda c: f"{c.bearing_share:.0%}"),
        ("samples compiled", lambda c: str(c.samples)),
    ):
        table.add_row(label, *(value(c) for c, _ in sides))
    names = list(dict.fromkeys(x.name for s in schemas for x in s.lanes))
    table.add_section()
    for name in names:
        cells = [c.rates().get(name) for c, _ in sides]
        table.add_row(Text(name), *("-" if r is None else f"{r[0] + r[1]:.1f}" for r in cells))
    for (_, refused), schema in zip(sides, schemas, strict=True):
        for key, reason in list(refused.items())[:1]:
            table.caption = f"{schema.name}: {len(refused)} refused, the first {key}: {reason}"
    return table
