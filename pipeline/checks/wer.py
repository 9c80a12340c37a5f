"""Is what was said what the Timeline says? Word error rate of each speaker, by an ASR model.

All utterances of a shard go through the model in batches. A sample fails when a speaker's errors over
the whole sample exceed the bound; its worst utterances are the reasons, with what was understood.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.checks.asr import Asr, open_asr, require
from pipeline.checks.base import Check, Figure, Finding, Models, Reason
from pipeline.checks.snippets import Snippet, snippets
from pipeline.checks.wer_score import Errors, errors
from schemas.config.checks import AsrCheck
from schemas.sample import Sample

WORST = 3
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Heard:
    """One utterance: what of it was understood."""

    who: str
    event: str
    start_s: float
    end_s: float
    text: str
    errors: Errors


def _run(samples: Sequence[Sample], settings: AsrCheck, models: Models) -> list[Finding]:
    asr: Asr = models.model("asr", lambda: open_asr(settings))
    cut = [list(snippets(sample)) for sample in samples]
    texts = iter(asr.transcribe([snippet for of in cut for snippet in of]))
    return [finding([(snippet, next(texts)) for snippet in of], settings) for of in cut]


def finding(heard: Sequence[tuple[Snippet, str | None]], settings: AsrCheck) -> Finding:
    """What the texts of one sample's snippets say of it."""
    figures: dict[str, Figure] = {}
    reasons: list[Reason] = []
    utterances = _utterances([(s, text) for s, text in heard if text is not None])
    for who in ("user", "assistant"):
        own = [u for u in utterances if u.who == who]
        total = sum((u.errors for u in own), Errors(0, 0))
        if total.rate is None:
            continue
        counts = {f"{who}_errors": total.wrong, f"{who}_words": total.due}
        figures |= {f"{who}_wer": total.rate, **counts}
        if total.rate > settings.max_wer:
            reasons += _reasons(own, settings)
    rows = [{"event": u.event, "wer": u.errors.rate} for u in utterances if u.errors.due]
    # in languages that the model does not know
    skipped = sum(text is None for _, text in heard)
    return Finding(figures, tuple(reasons), {"utterances": rows, "skipped": skipped})


def _utterances(heard: Sequence[tuple[Snippet, str]]) -> list[Heard]:
    """Snippets of one utterance together."""
    parts: defaultdict[tuple[str, str], list[tuple[Snippet, str]]] = defaultdict(list)
    for snippet, text in heard:
        parts[snippet.who, snippet.event].append((snippet, text))
    return [
        Heard(
            who=who,
            event=event,
            start_s=own[0][0].start_s,
            end_s=own[-1][0].end_s,
            text=" ".join(text.strip() for _, text in own),
            errors=sum((errors(s.text, text, s.language) for s, text in own), Errors(0, 0)),
        )
        for (who, event), own in parts.items()
    ]


def _reasons(heard: Sequence[Heard], settings: AsrCheck) -> list[Reason]:
    rated = [(u.errors.rate or 0.0, u) for u in heard]
    worst = sorted((r for r in rated if r[0] > settings.max_wer), key=lambda r: -r[0])[:WORST]
    return [
        Reason(
            what=f"WER {rate:.0%}, above {settings.max_wer:.0%}; heard {_short(u.text)!r}",
            event=u.event,
            start_s=u.start_s,
            end_s=u.end_s,
        )
        for rate, u in worst
    ]


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _ratios() -> dict[str, tuple[str, str]]:
    return {f"{w}_wer": (f"{w}_errors", f"{w}_words") for w in ("user", "assistant")}


def _settings(checks: Any) -> AsrCheck | None:
    return checks.asr


CHECK = Check(
    name="wer",
    needs="an ASR model: checks.asr",
    cost="the model's: seconds a minute on a CPU",
    fix="speak it again or mend its text, or raise `checks.asr.max_wer`",
    settings=_settings,
    share=lambda checks: checks.asr.share if checks.asr else 0.0,
    run=_run,
    require=require,
    exact=False,
    shown=("user_wer", "assistant_wer"),
    ratios=_ratios(),
)
