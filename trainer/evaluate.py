"""The held-out report: is each lane learned, and does the model listen?

Two controls that a loss alone does not give:
- each lane's own *unigram entropy* on the held-out split: what one pays who knows how often each
  token occurs there and nothing else. Of the same tokens as the loss beside it: content and idle,
  and content alone. Boundary tokens are forced and would flatter both figures;
- *shuffled listen*: the same samples with the `listen` tokens of another sample. A model that
  ignores what it hears loses nothing by that. It is read off the decisions: the first token after
  `<bot>` in a block is `<silence>` or text. "begin" are the blocks in which a text starts after
  silence, "stay" those in which silence goes on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from token_schema.encode import CONTENT, IDLE
from trainer.held_out import HeldOut, Scores, score
from trainer.language import Language
from trainer.model import Decoder
from trainer.pack import Compiled

Report = dict[str, Any]
# other samples whose listen each sample is given: one donor alone says little about few samples
DONORS = 4


@dataclass(frozen=True)
class Judge:
    """A model and what is needed to ask it."""

    model: Decoder
    language: Language
    context: int
    device: torch.device
    dtype: torch.dtype

    def scores(self, samples: list[Compiled]) -> list[Scores]:
        """Scores of each sample, in evaluation mode."""
        silence_id = self.language.decision[1] if self.language.decision else None
        training = self.model.training
        self.model.eval()
        try:
            return [
                score(self.model, s, self.context, silence_id, self.device, self.dtype)
                for s in samples
            ]
        finally:
            self.model.train(training)


def evaluate(judge: Judge, held: HeldOut) -> Report:
    """The whole report: `lanes`, and `listen_control` where the schema has what it needs."""
    right = judge.scores(held.samples)
    report: Report = {
        "samples": len(held.samples),
        "lanes": lane_report(held.samples, right, judge.language.lanes),
    }
    heard, decision = judge.language.lane_of("listen"), judge.language.decision
    if heard is not None and decision is not None and len(held.samples) > 1:
        donors = range(1, min(DONORS, len(held.samples) - 1) + 1)
        shuffled = [shuffled_listen(held.samples, heard, n) for n in donors]
        wrong = [s for samples in shuffled for s in judge.scores(samples)]
        # every donor is held against the same right answers
        samples, again = held.samples * len(donors), right * len(donors)
        write = judge.language.lane_of("write")
        report["listen_control"] = {
            "write_loss": {
                name: _lane_mean(samples, scores, write)
                for name, scores in (("right", again), ("wrong", wrong))
            },
            **{
                name: {"blocks": d[2] // len(donors), "right": d[0], "wrong": d[1]}
                for name, d in _decisions(samples, again, wrong, decision).items()
            },
        }
    return report


def lane_report(
    samples: list[Compiled], scores: list[Scores], names: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Lane -> loss, unigram entropy (both nats a token) and tokens, over its loss-bearing content
    and idle tokens; the same under `content_...` without the idle ones."""
    if not samples:
        return {}
    nats = np.concatenate([s.nats for s in scores])
    ids, lane, _, _, kind = (
        np.concatenate(a) for a in zip(*(s.arrays() for s in samples), strict=True)
    )
    out: dict[str, dict[str, float]] = {}
    for index, name in enumerate(names):
        told = (lane == index) & (kind <= IDLE) & ~np.isnan(nats)
        for prefix, mine in (("", told), ("content_", told & (kind == CONTENT))):
            if mine.any():
                out.setdefault(name, {}).update(
                    {
                        f"{prefix}loss": float(nats[mine].mean()),
                        f"{prefix}unigram": entropy(ids[mine]),
                        f"{prefix}tokens": int(mine.sum()),
                    }
                )
    return out


def entropy(ids: NDArray[Any]) -> float:
    """Nats a token of the empirical distribution of `ids`."""
    counts = np.unique(ids, return_counts=True)[1] / len(ids)
    return float(-(counts * np.log(counts)).sum())


def _lane_mean(samples: list[Compiled], scores: list[Scores], lane: int | None) -> float:
    pairs = zip(samples, scores, strict=True)
    values = [s.nats[(t.lane == lane) & t.told] for t, s in pairs]
    return float(np.nanmean(np.concatenate(values)))


# ---- shuffled listen ---------------------------------------------------------------------------


def shuffled_listen(samples: list[Compiled], lane: int, shift: int = 1) -> list[Compiled]:
    """Each sample with the listen blocks of the one `shift` after it; past its end, the quiet block.

    The samples stand in the order of (subset, key), so a donor is mostly of the same kind. Block
    lengths stay as they are: where the donor's block has another length, the quiet one is taken.
    """
    blocks = [_listen_blocks(s, lane) for s in samples]
    quiet = _quiet(blocks)
    out = []
    for i, sample in enumerate(samples):
        donor, ids = blocks[(i + shift) % len(samples)], sample.ids.copy()
        for block, own in blocks[i].items():
            new = donor.get(block, ())
            where = np.flatnonzero((sample.lane == lane) & (sample.block == block))
            ids[where] = new if len(new) == len(own) else quiet[len(own)]
        out.append(replace(sample, ids=ids))
    return out


def _listen_blocks(sample: Compiled, lane: int) -> dict[int, tuple[int, ...]]:
    """Block -> its listen tokens."""
    out: dict[int, list[int]] = {}
    mine = (sample.lane == lane) & (sample.block >= 0)
    for block, token in zip(sample.block[mine].tolist(), sample.ids[mine].tolist(), strict=True):
        out.setdefault(block, []).append(token)
    return {block: tuple(tokens) for block, tokens in out.items()}


def _quiet(blocks: list[dict[int, tuple[int, ...]]]) -> dict[int, tuple[int, ...]]:
    """Length -> the commonest listen block of that length: silence, which is coded alike always."""
    counts = Counter(tokens for sample in blocks for tokens in sample.values())
    out: dict[int, tuple[int, ...]] = {}
    for tokens, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        out.setdefault(len(tokens), tokens)
    return out


# ---- decisions ---------------------------------------------------------------------------------


def _decisions(
    samples: list[Compiled], right: list[Scores], wrong: list[Scores], decision: tuple[int, int]
) -> dict[str, tuple[float, float, int]]:
    """Kind -> mean binary cross-entropy with the right and the wrong listen, and the blocks."""
    found: dict[str, list[tuple[float, float]]] = {"decide": [], "begin": [], "stay": []}
    for sample, a, b in zip(samples, right, wrong, strict=True):
        was_silent = True
        for i in decision_places(sample, decision[0]):
            silent = bool(sample.ids[i] == decision[1])
            costs = _cost(a.silence[i], silent), _cost(b.silence[i], silent)
            found["decide"].append(costs)
            if was_silent:
                found["stay" if silent else "begin"].append(costs)
            was_silent = silent
    means = {k: np.mean(v, axis=0).tolist() for k, v in found.items() if v}
    return {k: (m[0], m[1], len(found[k])) for k, m in means.items()}


def decision_places(sample: Compiled, open_id: int) -> NDArray[np.int64]:
    """Where the loss-bearing first token after the token that opens `write` stands."""
    after = np.flatnonzero(sample.ids[:-1] == open_id) + 1
    return after[sample.loss[after] > 0]


def _cost(log_silence: float, silent: bool) -> float:
    """-log of the probability given to what happened: silence, or anything but silence."""
    if silent:
        return -float(log_silence)
    return -float(np.log(-np.expm1(min(log_silence, -1e-12))))


# ---- for people --------------------------------------------------------------------------------


def _beside(lane: dict[str, float], prefix: str) -> str:
    loss, unigram = lane[f"{prefix}loss"], lane[f"{prefix}unigram"]
    sign = "<" if loss < unigram else ">="
    return f"{loss:6.3f} {sign:>2} {unigram:.3f} ({lane[f'{prefix}tokens']})"


def report_lines(report: Report) -> list[str]:
    """The report as plain lines."""
    lines = [
        f"held-out: {report['samples']} samples, nats a token against unigram entropy,"
        " boundary tokens left out"
    ]
    for name, lane in report["lanes"].items():
        text = f"  {name:<8} {_beside(lane, '')} content and idle"
        if "content_loss" in lane:
            text += f" | {_beside(lane, 'content_')} content"
        lines.append(text)
    control = report.get("listen_control", {})
    if control:
        lines.append("listen control: right listen against another sample's")
        for name, c in control.items():
            count = f"  ({c['blocks']} blocks)" if "blocks" in c else ""
            lines.append(f"  {name:<10} {c['right']:6.3f} right  {c['wrong']:6.3f} wrong{count}")
    return lines
