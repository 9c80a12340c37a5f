"""Views: what each hides, that no token bears loss twice, and that draws come again on resuming."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.order import SampleOrder
from schemas.errors import StrettoError
from token_schema.language import load_schema
from token_schema.views import Plan, hides
from trainer.config import ModelConfig, TrainConfig
from trainer.data import Feed, Packer, fresh_state, regroup
from trainer.model import Decoder
from trainer.pack import Compiled, Held, Piece, cut, split
from trainer.rows import Layout, collate
from trainer.step import to_device

CONTEXT = 64
HEAR, LOOK, TEXT, ACT = range(4)
BLOCK = (HEAR, HEAR, LOOK, LOOK, LOOK, TEXT, TEXT, ACT, ACT)
ELLSA = Plan(5, {LOOK: 2, ACT: 2})


def toy(number: int, blocks: int, prompt: int = 3) -> Compiled:
    """Ids say sample and place; text and act bear loss, and the prompt from its second token on."""
    lane = np.array([255] * prompt + list(BLOCK) * blocks, np.uint8)
    n = len(lane)
    loss = np.where(lane >= TEXT, 1, 0).astype(np.float32)
    loss[0] = 0
    return Compiled(
        (number * 1000 + np.arange(n)).astype(np.int32),
        lane,
        np.repeat(np.arange(-1, blocks), [prompt, *[len(BLOCK)] * blocks]).astype(np.int32),
        loss,
        np.zeros(n, np.uint8),
    )


def loss_ids(pieces: list[Any]) -> list[int]:
    return [int(i) for h in pieces for i in h.tokens.ids[h.tokens.loss > 0]]


# ---- history -----------------------------------------------------------------------------------


def test_an_old_image_and_an_old_action_are_left_out() -> None:
    [held] = split(toy(0, 4), 0, 128, "s", ELLSA)
    tree, tokens = held.tree, held.tokens
    assert held.piece == Piece(0, 0, 4, 0) and tree is not None

    def of(branch: int) -> list[tuple[int, int]]:
        mine = np.flatnonzero(tree.branch == branch)
        return [(int(tokens.block[k]), int(tokens.lane[k])) for k in mine]

    assert of(0)[3:] == [(b, x) for b in (0, 1) for x in (HEAR, HEAR, TEXT, TEXT)]
    assert of(4) == [(b, x) for b in (2, 3) for x in BLOCK]
    assert [len(of(k)) for k in (1, 2, 3, 4)] == [9, 18, 18, 18]
    # only the newest block of a branch bears loss: all it needs is there, and nothing more
    for branch in (1, 2, 3, 4):
        bears = tokens.block[(tree.branch == branch) & (tokens.loss > 0)]
        assert set(bears.tolist()) == {branch - 1}


def alone(sample: Compiled, newest: int, back: int, history: dict[int, int]) -> Held:
    """The sequence of one block as the view defines it, with nothing shared."""
    keep = (sample.block < 0) | ((sample.block >= back) & (sample.block <= newest))
    for lane, n in history.items():
        keep &= (sample.lane != lane) | (sample.block > newest - n)
    part = sample.take(np.flatnonzero(keep))
    bears = part.block == newest
    return Held(Piece(0), replace(part, loss=np.where(bears, part.loss, 0).astype(np.float32)))


@pytest.mark.parametrize("history", [{LOOK: 2, ACT: 2}, {LOOK: 1, ACT: 3}, {TEXT: 1}])
@pytest.mark.parametrize(("context", "crop"), [(200, None), (96, None), (40, None), (200, 4)])
def test_branches_give_what_separate_sequences_give(
    history: dict[int, int], context: int, crop: int | None
) -> None:
    sample, plan = toy(0, 8), Plan(5, history, crop)
    layout = Layout(branches=True)
    model = Decoder(ModelConfig(dim=32, layers=2, heads=2), 1000, seed=2)

    def nats(held: Held, length: int) -> dict[int, float]:
        """Id of a target -> its cost."""
        rows = collate([[held]], length, layout)
        with torch.no_grad():
            found = model(to_device(rows, torch.device("cpu"))).nats
        return dict(zip(rows.target.tolist(), found.tolist(), strict=True))

    pieces = split(sample, 0, context, "s", plan)
    assert (len(pieces) == 1) == (context == 200 and not crop)
    seen = 0
    for held in pieces:
        together = nats(held, context)
        first, end, back = held.piece[1:]
        for block in range(first, end):
            single = nats(alone(sample, block, back, history), 128)
            assert single and all(i in together for i in single)
            for i, cost in single.items():
                assert together[i] == pytest.approx(cost, abs=2e-5), (held.piece, block, i)
            seen += len(single)
    assert seen == int((sample.loss[sample.block >= 0] > 0).sum())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(24, 200),
    st.sampled_from([{}, {LOOK: 2, ACT: 2}, {LOOK: 1}, {TEXT: 3}]),
    st.one_of(st.none(), st.integers(1, 8)),
    st.booleans(),
    st.integers(0, 50),
)
def test_every_token_bears_its_loss_once(
    blocks: int,
    context: int,
    history: dict[int, int],
    crop: int | None,
    random_start: bool,
    position: int,
) -> None:
    plan, sample = Plan(3, history, crop, random_start), toy(0, blocks)
    pieces = split(sample, position, context, "s", plan)
    start = plan.start(blocks, position)
    assert 0 <= start < blocks and (random_start or start == 0)
    expected = sample.ids[(sample.loss > 0) & ((sample.block >= start) | (sample.block < 0))]
    assert Counter(loss_ids(pieces)) == Counter(expected.tolist())
    for held in pieces:
        assert len(held.tokens) <= context
        assert (held.tokens.block < 0).sum() == 3, "every window has the prompt, once"
        own = np.unique(held.tokens.block[held.tokens.block >= 0])
        assert crop is None or len(own) <= crop
        for lane, kept in history.items() if held.tree else ():
            mine, branch = held.tokens.lane == lane, held.tree.branch
            assert not (mine & (branch == 0)).any()
            newest = held.piece.first_block + branch - 1
            assert (held.tokens.block[mine] > (newest - kept)[mine]).all()
        # a piece comes back from its reference alone
        again = cut(sample, held.piece, plan).tokens
        assert (again.ids == held.tokens.ids).all() and (again.loss == held.tokens.loss).all()


def test_a_window_goes_back_as_far_as_fits() -> None:
    pieces = split(toy(0, 20), 0, CONTEXT, "s", ELLSA)
    # 61 beside the prompt: one branch of 2 blocks takes 18 and a second would pass half of them;
    # each block further back takes 4
    assert len(pieces) == 19 and pieces[0].piece == Piece(0, 0, 2, 0)
    assert pieces[-1].piece == Piece(0, 19, 20, 8)
    assert len(pieces[-1].tokens) == 3 + 18 + 10 * 4
    cropped = split(toy(0, 20), 0, CONTEXT, "s", Plan(5, {LOOK: 2, ACT: 2}, 4))
    assert all(h.piece.end_block - h.piece.back_block <= 4 for h in cropped)


def test_a_block_or_turn_that_does_not_fit_is_refused() -> None:
    for plan in (Plan(), ELLSA):
        with pytest.raises(StrettoError, match=r"block 0 has 9 tokens.*`context` to 12"):
            split(toy(0, 3), 0, 11, "s", plan)


# ---- the schema's words ------------------------------------------------------------------------


def schema(**view: Any) -> Any:
    found = load_schema("ellsa")
    return found.model_copy(update={"view": type(found.view).model_validate(view)})


def test_a_plan_is_read_from_the_schema() -> None:
    made = schema(history_blocks={"look": 2, "act": 3}, crop_s=4.5, random_start=True)
    lanes = [lane.name for lane in made.lanes]
    plan = Plan.of(made, 7)
    assert plan.history == {lanes.index("look"): 2, lanes.index("act"): 3}
    assert plan.crop_blocks == 4 and plan.random_start and plan.fixed().start(9, 3) == 0
    assert any("newest 2 blocks" in line for line in hides(made)) and len(hides(made)) == 4
    assert Plan.of(schema(), 7) == Plan(7) and hides(schema()) == []
    with pytest.raises(StrettoError, match="no lane named 'looks'"):
        Plan.of(schema(history_blocks={"looks": 2}), 7)
    with pytest.raises(StrettoError, match="no block fits into 0.5 s"):
        Plan.of(schema(crop_s=0.5), 7)
    parallel = made.model_copy(update={"mode": "parallel"})
    with pytest.raises(StrettoError, match="streams of a step cannot be left out"):
        Plan.of(parallel, 7)


# ---- draws and resuming ------------------------------------------------------------------------


def test_draws_are_of_the_position_alone_and_reach_every_start() -> None:
    plan = Plan(1, random_start=True, random_phase_s=2.0)
    starts = [plan.start(6, p) for p in range(300)]
    assert starts == [plan.start(6, p) for p in range(300)]
    counts = Counter(starts)
    assert set(counts) == set(range(6)) and min(counts.values()) > 25
    assert starts != [Plan(2, random_start=True).start(6, p) for p in range(300)]
    phases = [plan.phase(p) for p in range(300)]
    assert 0 <= min(phases) < 0.1 and 0.9 < max(phases) < 1
    assert Plan(1).phase(3) == 0.0


class ToyCompiler:
    """Row r has r % 11 + 1 blocks, and a lead-in block in the later half of the phases."""

    def now(self, row: int, phase: float = 0.0) -> Compiled:
        return toy(row, row % 11 + 1 + int(phase * 2))

    def name(self, row: int) -> str:
        return f"toy {row}"


PLANS = [ELLSA, Plan(5, {LOOK: 1}, 5, True, 1.0), Plan(5, random_start=True, random_phase_s=1.0)]


def flow(plan: Plan, state: dict[str, Any], rank: int = 0) -> Any:
    config = TrainConfig.model_validate(
        {"corpus": "c", "out": "o", "context": CONTEXT, "batch_rows": 2, "lookahead": 6}
    )
    feed = Feed(list(range(13)), SampleOrder(13, 5), cast(Any, ToyCompiler()), 1, 0, plan)
    return iter(Packer(config, feed, state, rank, Layout(branches=bool(plan.history))))


@pytest.mark.parametrize("plan", PLANS)
def test_resuming_draws_the_same_again(plan: Plan) -> None:
    straight = flow(plan, fresh_state(1))
    batches = [next(straight) for _ in range(12)]
    for stop in (1, 5, 8):
        again = flow(plan, {**fresh_state(1), "ranks": [batches[stop - 1][1]]})
        for rows, state in batches[stop : stop + 4]:
            new, own = next(again)
            assert (rows.ids == new.ids).all() and (rows.weight == new.weight).all()
            assert own == state and all(len(p) == 4 for p in own["buffer"])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 1)])
def test_another_number_of_ranks_trains_the_same_tokens(
    plan: Plan, before: int, after: int
) -> None:
    state, seen = fresh_state(before), []
    ranks = []
    for rank in range(before):
        batches, own = flow(plan, state, rank), state["ranks"][rank]
        for _ in range(2 + rank):
            rows, own = next(batches)
            seen += [int(i) for i in rows.target]
        ranks.append(own)
    state = regroup({**state, "ranks": ranks}, after)
    order = SampleOrder(13, 5)

    def visit(position: int) -> list[Any]:
        sample = ToyCompiler().now(order.sample(position), plan.phase(position))
        return split(sample, position, CONTEXT, "s", plan)

    for piece in (Piece(*p) for p in state["pending"]):
        mine = visit(piece.position)
        seen += loss_ids(mine if piece.end_block < 0 else [h for h in mine if h.piece == piece])
    every = [i for p in range(state["next"]) for i in loss_ids(visit(p))]
    assert Counter(seen) == Counter(every)
