"""The held-out report: is each lane learned, and does the model listen?

Two controls that a loss alone does not give:
- each lane's own *unigram entropy* on the held-out split: what one pays who knows how often each
  token occurs there and nothing else. Of the same tokens as the loss beside it: content and idle,
  and content alone. Boundary tokens are forced and would flatter both figures. In the parallel mode
  each stream has its own distribution: the entropies are averaged by tokens. Of a lane of mel
  frames: the L1 distance, beside that of the held-out median of each dimension;
- *shuffled listen*: the same samples with what another sample hears. A model that ignores what it
  hears loses nothing by that. It is read off the decisions: the first token of the text lane (or of
  the phase) in a block or step is silence or not. "begin" are the blocks in which a text starts
  after silence, "stay" those in which silence goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from token_schema.tokens import CONTENT
from trainer.controls import decisions, shuffled_listen
from trainer.held_out import HeldOut, Scorer, Scores, scores_of
from trainer.language import Language
from trainer.model import Model
from trainer.pack import Compiled

Report = dict[str, Any]
# other samples whose listen each sample is given: one donor alone says little about few samples
DONORS = 4


@dataclass(frozen=True)
class Judge:
    """A model and what is needed to ask it."""

    model: Model
    language: Language
    context: int
    device: torch.device
    dtype: torch.dtype

    def scores(self, samples: list[Compiled]) -> list[Scores]:
        """Scores of each sample, in evaluation mode."""
        asked = self.language
        scorer = Scorer(
            self.model,
            self.context,
            self.device,
            self.dtype,
            asked.plan.fixed(),
            asked.layout,
            asked.decision,
        )
        return scores_of(scorer, samples)

    def lane_report(self, samples: list[Compiled], scores: list[Scores]) -> dict[str, Any]:
        """See `lane_report`."""
        return lane_report(samples, scores, self.language.lanes, self.language.layout.frames)


def evaluate(judge: Judge, held: HeldOut) -> Report:
    """The whole report: `lanes`, and `listen_control` where the schema has what it needs."""
    right = judge.scores(held.samples)
    lanes = judge.lane_report(held.samples, right)
    report: Report = {"samples": len(held.samples), "lanes": lanes}
    if judge.language.listen_lanes() and len(held.samples) > 1:
        report["listen_control"] = _listen_control(judge, held.samples, right, list(lanes))
    return report


def _listen_control(
    judge: Judge, samples: list[Compiled], right: list[Scores], lanes: list[str]
) -> Report:
    """Loss of every lane and cost of the decisions, with the right and with another's listen."""
    language, count = judge.language, len(samples)
    donors = range(1, min(DONORS, count - 1) + 1)
    heard = language.listen_lanes()
    wrong = [s for n in donors for s in judge.scores(shuffled_listen(samples, heard, n))]
    # every donor is held against the same right answers
    samples, right = samples * len(donors), right * len(donors)
    control: Report = {
        f"{name}_loss": {
            "right": _lane_mean(samples, right, language.lanes.index(name)),
            "wrong": _lane_mean(samples, wrong, language.lanes.index(name)),
        }
        for name in lanes
    }
    if language.decision is not None:
        for kind, d in decisions(samples, right, wrong, language.decision).items():
            control[kind] = {"blocks": d[2] // len(donors), "right": d[0], "wrong": d[1]}
    return control


def _lane_mean(samples: list[Compiled], scores: list[Scores], lane: int) -> float:
    pairs = zip(samples, scores, strict=True)
    values = [s.nats[(t.lane == lane) & t.told] for t, s in pairs]
    return float(np.nanmean(np.concatenate(values)))


# ---- lanes -------------------------------------------------------------------------------------


def lane_report(
    samples: list[Compiled],
    scores: list[Scores],
    names: tuple[str, ...],
    frames: tuple[int, ...] = (),
) -> dict[str, dict[str, float]]:
    """Lane -> loss, unigram entropy (both nats a token) and tokens, over its loss-bearing content
    and idle tokens; the same under `content_...` without the idle ones.

    Of the lanes in `frames`: `loss` is the L1 distance of their mel frames, `unigram` that of the
    median frame; their other tokens count in no figure.
    """
    if not samples:
        return {}
    nats = np.concatenate([s.nats for s in scores])
    ids, lane, _, _, kind = (
        np.concatenate(a) for a in zip(*(s.arrays() for s in samples), strict=True)
    )
    stream = np.concatenate([np.arange(len(s)) % s.streams for s in samples])
    told = np.concatenate([s.told for s in samples]) & ~np.isnan(nats)
    out: dict[str, dict[str, float]] = {}
    for index, name in enumerate(names):
        if index in frames:
            if found := _frame_report(samples, scores, index):
                out[name] = found
            continue
        own = told & (lane == index)
        for prefix, mine in (("", own), ("content_", own & (kind == CONTENT))):
            if mine.any():
                out.setdefault(name, {}).update(
                    {
                        f"{prefix}loss": float(nats[mine].mean()),
                        f"{prefix}unigram": stream_entropy(ids[mine], stream[mine]),
                        f"{prefix}tokens": int(mine.sum()),
                    }
                )
    return out


def _frame_report(
    samples: list[Compiled], scores: list[Scores], lane: int
) -> dict[str, float] | None:
    """L1 of a lane's scored frames, and of their median: the best constant."""
    found = [s.nats[t.valued(lane)] for t, s in zip(samples, scores, strict=True)]
    rows = [t.values[lane][~np.isnan(f)] for t, f in zip(samples, found, strict=True)]
    frames, nats = np.concatenate(rows), np.concatenate(found)
    if not len(frames):
        return None
    return {
        "loss": float(np.nanmean(nats)),
        "unigram": float(np.abs(frames - np.median(frames, axis=0)).mean()),
        "tokens": len(frames),
    }


def stream_entropy(ids: NDArray[Any], stream: NDArray[Any]) -> float:
    """Nats a token where each stream has a distribution of its own, averaged by tokens."""
    parts = [ids[stream == s] for s in np.unique(stream)]
    return sum(entropy(part) * len(part) for part in parts) / len(ids)


def entropy(ids: NDArray[Any]) -> float:
    """Nats a token of the empirical distribution of `ids`."""
    counts = np.unique(ids, return_counts=True)[1] / len(ids)
    return float(-(counts * np.log(counts)).sum())


# ---- for people --------------------------------------------------------------------------------


def _beside(lane: dict[str, float], prefix: str) -> str:
    loss, unigram = lane[f"{prefix}loss"], lane[f"{prefix}unigram"]
    sign = "<" if loss < unigram else ">="
    return f"{loss:6.3f} {sign:>2} {unigram:.3f} ({lane[f'{prefix}tokens']})"


def report_lines(report: Report, frames: tuple[str, ...] = ()) -> list[str]:
    """The report as plain lines. `frames`: the lanes of mel frames."""
    lines = [
        f"held-out: {report['samples']} samples, nats a token against unigram entropy,"
        " boundary tokens left out"
    ]
    for name, lane in report["lanes"].items():
        what = "mel frames, L1 against their median's" if name in frames else "content and idle"
        text = f"  {name:<8} {_beside(lane, '')} {what}"
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
