"""Promise 2 as a comparison: what two worlds that agree until T must have in common."""

from __future__ import annotations

import numpy as np

from token_schema.schema import TokenSchema
from token_schema.tokens import CONTENT, Tokens

FIELDS = ("ids", "lane", "kind", "block", "loss", "known_s")


def same_first(schema: TokenSchema, a: Tokens, b: Tokens, n: int) -> None:
    """The first n tokens are equal in everything, numbers of slots and mel lanes included."""
    for field in FIELDS:
        x, y = (getattr(t, field)[:n] for t in (a, b))
        assert np.array_equal(x, y), (schema.name, field, int(np.flatnonzero(x != y)[0]), n)
    for i, lane in enumerate(schema.lanes):
        if lane.name in a.values:
            rows = int(((a.lane[:n] == i) & (a.kind[:n] == CONTENT)).sum())
            assert np.array_equal(a.values[lane.name][:rows], b.values[lane.name][:rows])


def assert_same_where_known(schema: TokenSchema, a: Tokens, b: Tokens, t_s: float) -> int:
    """All tokens with known_s <= T are the same, at the same place; how many there are.

    One of the two may have fewer: where its world is over, or, in turns, where the world ended an
    output turn (`cut` stands there and is known later than T).
    """
    assert (np.diff(a.known_s) >= 0).all() and (np.diff(b.known_s) >= 0).all()
    known = [int(np.searchsorted(t.known_s, t_s, side="right")) for t in (a, b)]
    n = min(known)
    same_first(schema, a, b, n)
    if known[0] != known[1]:
        short = (a, b)[int(known[1] < known[0])]
        over = n == len(short)
        cut = schema.timing == "turns" and not over and short.block[n] % 2 == 1
        assert over or (cut and short.block[n] == short.block[n - 1]), (schema.name, known, t_s)
    return n
