"""`checks:` of a config: what is measured of finished samples, and what rejects one.

The exact checks (clipping, level, silence, rate) run on every sample; `false` turns one off. Those
that need a model run on a keyed share, `asr` and `speaker` only when they are configured. The bounds
are wide: what lies outside them is broken, not merely unusual. docs/checks.md explains each.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.base import Record
from schemas.config.bounds import Rate


def _between(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"the low bound {bounds[0]:g} is not below the high bound {bounds[1]:g}")
    return bounds


def _switched(value: Any) -> Any:
    """`false` turns a check off, `true` is its defaults."""
    if isinstance(value, bool):
        return {} if value else None
    return value


def _folder(place: str) -> str:
    """Verdicts are published by hard links, which no bucket has."""
    if "://" in place:
        scheme = place.split("://", 1)[0]
        raise ValueError(f"a folder, not {scheme}://: verdicts are kept in a folder by its path")
    return place


Positive = Annotated[float, Field(gt=0)]
Level = Annotated[float, Field(ge=-96, le=0)]
Levels = Annotated[tuple[Level, Level], AfterValidator(_between)]
Speeds = Annotated[tuple[Positive, Positive], AfterValidator(_between)]
Switch = BeforeValidator(_switched)


class ClippingCheck(Record):
    """Samples at full scale: their share of a speaker's speech, and the longest run of them."""

    max_share: Rate = 0.01
    max_run_s: Positive = 0.005
    reject: bool = True


class LevelCheck(Record):
    """RMS of each speaker's speech. A full-scale sine has -3 dBFS."""

    dbfs: Levels = (-50.0, -6.0)
    reject: bool = True


class SilenceCheck(Record):
    """Dead audio (no sample above `floor_dbfs`) where the Timeline says that somebody speaks.

    `max_edge_s`: before the first and after the last sound of a piece. `max_inside_s`: within one
    word. `max_words`: share of the words that are wholly dead.
    """

    floor_dbfs: Level = -54.0
    max_edge_s: Positive = 0.45
    max_inside_s: Positive = 0.6
    max_words: Rate = 0.2
    reject: bool = True


class RateCheck(Record):
    """Speaking rate of each piece, in characters a second.

    `letters` for scripts that spell sounds, `syllables` for those that write a syllable or a word
    with one sign (Han, kana, Hangul).
    """

    letters: Speeds = (1.0, 30.0)
    syllables: Speeds = (0.5, 15.0)
    reject: bool = True


class SpeechCheck(Record):
    """Bounds of the voice detector's check, which `vad` and `vad_share` switch."""

    min_agreement: Rate = 0.85
    max_span_s: Positive = 0.5
    reject: bool = False


class AsrCheck(Record):
    """Word error rate by an ASR model; by character for Chinese, Japanese and Thai.

    `model` is a name or a path. `device` auto takes a GPU where there is one. `compute_type` is
    CTranslate2's (int8, float16, ...) or a dtype of torch.
    """

    backend: Literal["faster-whisper", "transformers"] = "faster-whisper"
    model: str = Field(min_length=1)
    device: str = "auto"
    compute_type: str = "default"
    batch: int = Field(default=16, gt=0)
    max_wer: Positive = 0.5
    share: Rate = 0.05
    reject: bool = False


class SpeakerCheck(Record):
    """Speaker similarity (cosine, -1 to 1) by a speaker-verification model of `transformers`.

    `min_assistant`: each utterance of the assistant to its first one. `max_user`: the assistant to
    the user. Utterances below `min_s` tell nobody; `window_s` of each longer one is compared.
    """

    model: str = Field(min_length=1)
    device: str = "auto"
    batch: int = Field(default=16, gt=0)
    min_assistant: float = Field(default=0.5, ge=-1, le=1)
    max_user: float | None = Field(default=None, ge=-1, le=1)
    min_s: Positive = 1.0
    window_s: Positive = 3.0
    share: Rate = 0.05
    reject: bool = False


class ChecksConfig(Record):
    """Checks of finished samples; their rows stand in `checks/*.jsonl` beside the shards.

    `vad`: does silero-vad find speech where the Timeline says so? On `vad_share` of the samples (a
    keyed draw). true refuses the run where it can't be run; unset runs it where it is installed and
    reports `not_run` elsewhere.

    A model's verdict may differ between processors, so its check only reports. With `reject` it
    quarantines too, and `verdicts`, a folder that all workers share, keeps what was decided.
    """

    vad: bool | None = None
    vad_share: Rate = 0.05
    speech: SpeechCheck = SpeechCheck()
    clipping: Annotated[ClippingCheck | None, Switch] = ClippingCheck()
    level: Annotated[LevelCheck | None, Switch] = LevelCheck()
    silence: Annotated[SilenceCheck | None, Switch] = SilenceCheck()
    rate: Annotated[RateCheck | None, Switch] = RateCheck()
    asr: AsrCheck | None = None
    speaker: SpeakerCheck | None = None
    verdicts: Annotated[str, Field(min_length=1), AfterValidator(_folder)] | None = None

    @model_validator(mode="after")
    def keeps_what_a_model_decides(self) -> ChecksConfig:
        models = {"speech": self.speech, "asr": self.asr, "speaker": self.speaker}
        deciding = [name for name, check in models.items() if check and check.reject]
        if deciding and not self.verdicts:
            raise ValueError(
                f"checks.{deciding[0]}.reject needs checks.verdicts, a folder that all workers share: "
                "a model may decide otherwise on another processor, so its first verdict is kept"
            )
        return self
