"""Is there speech where the Timeline says, and only there? By a voice detector, on both tracks.

`listen` and `speak` are the shares of time in which silero-vad and the Timeline agree. Where they
differ for longer than a bound, the stretch is a reason: missing speech (words without voice) or
unexpected speech (voice without words).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from pipeline.checks.base import Check, Finding, Models, Reason
from pipeline.vad import Difference, Vad
from schemas.config import ChecksConfig
from schemas.config.checks import SpeechCheck
from schemas.errors import StrettoError
from schemas.sample import Sample

TRACKS = ("listen", "speak")


def _settings(checks: ChecksConfig) -> SpeechCheck | None:
    """Unset is decided by the driver, once for all workers: `pipeline.check.settled`."""
    asked = checks.vad or (checks.vad is None and checks.speech.reject)
    return checks.speech if asked else None


def _require(bounds: SpeechCheck) -> None:
    if find_spec("silero_vad") is None:
        raise StrettoError(
            "silero-vad is not installed, so this check can't run",
            "checks.vad",
            "pip install 'stretto[qa]', or set `checks: {vad: false}`",
        )


def _run(samples: Sequence[Sample], bounds: SpeechCheck, models: Models) -> list[Finding]:
    vad: Vad = models.model("vad", Vad)
    return [_finding({t: vad.compare(sample, t) for t in TRACKS}, bounds) for sample in samples]


def _finding(found: dict[str, Difference], bounds: SpeechCheck) -> Finding:
    figures = {track: difference.agreement for track, difference in found.items()}
    reasons = [r for track, d in found.items() for r in _reasons(track, d, bounds)]
    return Finding(figures, tuple(reasons))


def _reasons(track: str, found: Difference, bounds: SpeechCheck) -> Iterator[Reason]:
    if found.agreement < bounds.min_agreement:
        share = f"{found.agreement:.0%} of the time, below {bounds.min_agreement:.0%}"
        yield Reason(what=f"the detector agrees on {track} for {share}")
    for kind, spans in (("missing", found.missing), ("unexpected", found.unexpected)):
        for start_s, end_s in spans:
            if end_s - start_s > bounds.max_span_s:
                what = f"{kind} speech in {track}"
                yield Reason(what=what, start_s=start_s, end_s=end_s)


CHECK = Check(
    name="speech",
    needs="silero-vad",
    cost="about 90 times real time",
    fix="look at the sample's word times, or set `checks.speech`",
    settings=_settings,
    share=lambda checks: checks.vad_share,
    run=_run,
    shown=("listen", "speak"),
    require=_require,
    exact=False,
    draw="vad",
)
