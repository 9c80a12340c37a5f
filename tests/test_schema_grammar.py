"""The grammar accepts what `compile_sample` makes and refuses what was changed, with the place."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schema_samples import SMALL, sample, say, write
from schema_samples import codec_set as codecs_of

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.decode import decode
from token_schema.encode import Tokens, compile_sample
from token_schema.grammar import Grammar

QUICK = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def codec_set() -> CodecSet:
    return codecs_of(SMALL)


@lru_cache
def robot() -> tuple[Grammar, Tokens]:
    timeline, media = sample(
        5.5,
        [write("a", "ABCDEFGHIJKL", 0.4), write("b", "mno PQR", 1.5, 2.5), say("s", 1.2, 2.4)],
        moves=(20, 14),
    )
    return (
        Grammar(SMALL, codec_set(), "arm", 10),
        compile_sample(SMALL, codec_set(), timeline, media),
    )


@lru_cache
def dialogue() -> tuple[Grammar, Tokens]:
    timeline, media = sample(4.0, [write("a", "ABCDEFGHIJKL", 0.4), say("s", 1.2, 2.4)])
    return Grammar(SMALL, codec_set()), compile_sample(SMALL, codec_set(), timeline, media)


def names(tokens: Tokens) -> list[str]:
    return [codec_set().vocabulary.name(i) for i in tokens.ids.tolist()]


def ids(changed: list[str]) -> list[int]:
    return [codec_set().vocabulary.id(n) for n in changed]


def refused(grammar: Grammar, changed: list[int]) -> str:
    with pytest.raises(StrettoError) as caught:
        grammar.check(changed)
    assert "expected " in str(caught.value)
    return str(caught.value)


def nth(items: list[str], name: str, n: int) -> int:
    return [i for i, x in enumerate(items) if x == name][n]


def test_accepts_what_encode_makes() -> None:
    for grammar, tokens in (robot(), dialogue()):
        grammar.check(tokens.ids)
    Grammar(SMALL, codec_set()).check(robot()[1].ids)  # without the embodiment: fewer checks


def test_wrong_boundary() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    at = nth(items, "<eot>", 2)
    items[at] = "<eos>"
    text = refused(grammar, ids(items))
    assert text.startswith(f"position {at}, block 2, lane write: id ") and "(<eos>)" in text
    assert "expected <eot>" in text or "or <eot>" in text


def test_missing_eot_and_truncation() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    at = nth(items, "<eot>", 0)
    without = ids(items[:at] + items[at + 1 :])
    assert f"position {at}, block 0, lane write" in refused(grammar, without)
    assert "lane act: the sequence ends here; expected <eoa>" in refused(grammar, ids(items[:-1]))
    assert "expected <bop>" in refused(grammar, [])
    # the first text is not whole at the end of block 0: a sequence may not end there
    whole_block = nth(items, "<eoa>", 0) + 1
    assert "block 1, lane listen: the sequence ends here" in refused(
        grammar, ids(items[:whole_block])
    )


def test_too_few_and_too_many_codes() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    end = nth(items, "<eosp>", 1)
    text = refused(grammar, ids(items[: end - 1] + items[end:]))
    assert f"position {end - 1}, block 1, lane listen" in text and "(1 to come)" in text
    assert "expected <eosp>" in refused(grammar, ids(items[:end] + ["audio:0:1"] + items[end:]))
    picture = nth(items, "<eoi>", 0)
    assert "lane look" in refused(grammar, ids(items[: picture - 1] + items[picture:]))
    act = nth(items, "<eoa>", 0)
    assert "more coefficients" in refused(grammar, ids(items[: act - 1] + items[act:]))
    assert "expected <eoa>" in refused(grammar, ids(items[:act] + [items[act - 1]] + items[act:]))


def test_code_of_another_range_or_codebook() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    at = nth(items, "<bosp>", 0) + 3
    assert f"position {at}, block 0, lane listen: id" in refused(
        grammar, ids([*items[:at], "image:1", *items[at + 1 :]])
    )
    spoken = next(i for i, x in enumerate(items) if x.startswith("audio:1:"))
    text = refused(grammar, ids([*items[:spoken], "audio:2:1", *items[spoken + 1 :]]))
    assert "lane speak" in text and "codebook 1" in text
    assert "no token" in refused(grammar, [*tokens.ids[:5].tolist(), 10**6])
    assert "no token" in refused(grammar, [-1])


def test_text_beyond_its_budget_and_idle_inside_text() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    full = nth(items, "<eot>", 0)
    assert full - nth(items, "<bot>", 0) == 9  # block 0 is full
    assert "expected <eot>" in refused(grammar, ids(items[:full] + ["text:5"] + items[full:]))
    start = nth(items, "<bot>", 1) + 1
    text = refused(grammar, ids([*items[:start], "<silence>", *items[start:]]))
    assert f"position {start}, block 1, lane write" in text and "<cut>" in text
    quiet = nth(items, "<bot>", 4) + 1
    assert items[quiet] == "<silence>"
    assert "<silence>" in refused(grammar, ids([*items[:quiet], "<cut>", *items[quiet + 1 :]]))


def test_a_channel_is_there_in_every_block_or_in_none() -> None:
    grammar, tokens = robot()
    items = names(tokens)
    a, b = nth(items, "<boi>", 2) + 1, nth(items, "<eoi>", 2)
    assert f"position {a}, block 2, lane look" in refused(grammar, ids(items[:a] + items[b:]))
    a, b = nth(items, "<boa>", 3) + 1, nth(items, "<eoa>", 3)
    assert f"position {a}, block 3, lane act" in refused(grammar, ids(items[:a] + items[b:]))
    grammar, tokens = dialogue()
    items = names(tokens)
    at = nth(items, "<eoi>", 1)
    assert "expected <eoi>" in refused(grammar, ids(items[:at] + ["image:1"] + items[at:]))
    # a hold repeats the row before it: there is none before block 0
    grammar, tokens = robot()
    items = names(tokens)
    a, b = nth(items, "<boa>", 0) + 1, nth(items, "<eoa>", 0)
    assert "block 0, lane act" in refused(grammar, ids(items[:a] + ["<hold>"] + items[b:]))


@QUICK
@given(st.booleans(), st.data())
def test_a_mutated_sequence_is_refused_or_is_another_valid_one(
    robotic: bool, data: st.DataObject
) -> None:
    """A deletion, a doubling or another id is refused, unless it is another valid sample."""
    grammar, tokens = robot() if robotic else dialogue()
    sound = tokens.ids.tolist()
    at = data.draw(st.integers(0, len(sound) - 1))
    other = data.draw(st.integers(0, codec_set().vocabulary.size - 1))
    kind = data.draw(st.sampled_from(["delete", "double", "replace"]))
    middle = {"delete": [], "double": [sound[at]] * 2, "replace": [other]}[kind]
    changed = sound[:at] + middle + sound[at + 1 :]
    if changed == sound:
        return
    try:
        grammar.check(changed)
    except StrettoError as error:
        assert "position " in str(error) and "expected " in str(error)
        return
    # only inside text or codes may an id be exchanged: the frame of boundary tokens is rigid
    kinds = tokens.kind[at]
    assert kinds in (0, 1)
    out = decode(
        SMALL,
        codec_set(),
        changed,
        "arm" if robotic else None,
        55 if robotic else None,
        10.0 if robotic else None,
    )
    assert out.block_count == tokens.report.blocks


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_every_walk_over_allowed_ids_is_accepted_and_decodes(seed: int, robotic: bool) -> None:
    """`allowed`, `step`, `may_end` and `check` agree: constrained decoding stays valid."""
    grammar = robot()[0] if robotic else dialogue()[0]
    special = np.zeros(codec_set().vocabulary.size, bool)
    special[list(codec_set().vocabulary.special_ids)] = True
    rng, state, out = np.random.default_rng(seed), grammar.start, []
    while not (state.block >= 2 and grammar.may_end(state)):
        mask = grammar.allowed(state)
        choices, refused_ids = np.flatnonzero(mask), np.flatnonzero(~mask)
        with pytest.raises(StrettoError):
            grammar.step(state, int(rng.choice(refused_ids)))
        # boundary, idle and end tokens are few: take one often, or text would never end
        few = np.flatnonzero(mask & special)
        out.append(int(rng.choice(few if len(few) and rng.random() < 0.3 else choices)))
        state = grammar.step(state, out[-1])
        assert len(out) < 20_000
    grammar.check(out)
    decode(SMALL, codec_set(), out, "arm" if robotic else None, None, 10.0 if robotic else None)
