"""`acoustics:` of a config: what the room, the noise and the line do to `listen`.

    acoustics:
      share: 0.5                       # of the samples; the others stay clean
      reverb: {rate: 0.5, rt60_s: [0.2, 0.5]}
      noise: {rate: 0.5, snr_db: [5, 30]}
      telephone: {}                    # an effect that is named is on, at its default rate
      keep_stems: true                 # the clean sources beside `listen`: effects can be redrawn

Nothing is done by default. `[low, high]` is drawn uniformly for each sample, and an effect is in
`rate` of the samples that `share` picks. Docs: `docs/acoustics.md`. Published values behind the
defaults: Moshi augments the user's stream with a gain of -24 to +15 dB (half of the time), noise at
-30 to +6 dB of the speech (0.3), and an echo of its own voice times 0 to 0.2 after 100 to 500 ms
with reverberation (0.3); OmniFlatten mixes noise at 15 to 30 dB (recalled from the papers).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.base import Record
from schemas.config.bounds import Rate, _rising

NoiseKind = Literal["white", "pink", "brown", "speech", "hum", "file"]
SYNTHETIC: tuple[NoiseKind, ...] = ("white", "pink", "brown", "speech", "hum")

Decibels = Annotated[float, Field(ge=-60, le=60)]
DecibelBounds = Annotated[tuple[Decibels, Decibels], AfterValidator(_rising)]
FullScale = Annotated[float, Field(ge=-40, le=0)]
FullScaleBounds = Annotated[tuple[FullScale, FullScale], AfterValidator(_rising)]
Rt60 = Annotated[float, Field(ge=0.15, le=1.0)]
Distance = Annotated[float, Field(ge=0.1, le=2.0)]
Delay = Annotated[float, Field(ge=0, le=2.0)]
LossShare = Annotated[float, Field(ge=0, le=0.3)]


class ReverbConfig(Record):
    """A shoebox room by image sources (pyroomacoustics); every source has a place of its own.

    `rt60_s` below 0.15 s needs walls that absorb more than all; above 1 s it takes seconds to
    compute. `distance_m` is from the user to the microphone. The corpus has `rooms` rooms, so that
    each is computed once in a process.
    """

    rate: Rate = 0.5
    rt60_s: Annotated[tuple[Rt60, Rt60], AfterValidator(_rising)] = (0.2, 0.5)
    distance_m: Annotated[tuple[Distance, Distance], AfterValidator(_rising)] = (0.3, 1.2)
    rooms: int = Field(default=32, ge=1, le=4096)


class NoiseConfig(Record):
    """Noise that is there all the time. `snr_db` is against `acoustics.speech_dbfs`.

    `kinds` are drawn with equal shares (default: the five synthetic ones, or `file` where `files`
    is set). `files` is a glob of sound files (WAV, FLAC ...), pinned by hash like the sources; of
    each the first two minutes are used, in a loop from a drawn place.
    """

    rate: Rate = 0.3
    snr_db: DecibelBounds = (5.0, 30.0)
    kinds: tuple[NoiseKind, ...] = Field(default=(), max_length=32)
    files: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def files_and_kind(self) -> NoiseConfig:
        if "file" in self.kinds and not self.files:
            raise ValueError("the kind `file` needs `files`, a glob of sound files")
        if self.files is not None and self.kinds and "file" not in self.kinds:
            raise ValueError("`files` is set, but `file` is not among the `kinds`")
        return self

    @property
    def drawn(self) -> tuple[NoiseKind, ...]:
        """The kinds to draw from."""
        return self.kinds or (("file",) if self.files else SYNTHETIC)


class EchoConfig(Record):
    """The assistant's own voice in the user's microphone: `gain_db` -14 is times 0.2."""

    rate: Rate = 0.3
    gain_db: DecibelBounds = (-40.0, -14.0)
    delay_s: Annotated[tuple[Delay, Delay], AfterValidator(_rising)] = (0.1, 0.5)


class GainConfig(Record):
    """One gain for the whole sample. Moshi goes up to +15 dB, which clips our speech."""

    rate: Rate = 0.5
    db: DecibelBounds = (-24.0, 6.0)


class ClipConfig(Record):
    """An overdriven microphone: hard limits at `dbfs`."""

    rate: Rate = 0.1
    dbfs: FullScaleBounds = (-15.0, -6.0)


class TelephoneConfig(Record):
    """A telephone line: 300 to 3,400 Hz at 8 kHz in G.711, one of `laws`."""

    rate: Rate = 0.2
    laws: tuple[Literal["mu", "a"], ...] = Field(default=("mu", "a"), min_length=1, max_length=2)


class CodecConfig(Record):
    """Loss of a speech codec, one of `names`; not on top of the telephone's.

    `opus` takes `kbps`; `g722` always has 64 kbit/s. Codecs that look more than 20 ms ahead (AMR,
    GSM, MP3, AAC) are left out: `listen` would hold what is not yet said.
    """

    rate: Rate = 0.2
    names: tuple[Literal["opus", "g722"], ...] = Field(
        default=("opus", "g722"), min_length=1, max_length=2
    )
    kbps: Annotated[
        tuple[Annotated[float, Field(ge=6, le=128)], Annotated[float, Field(ge=6, le=128)]],
        AfterValidator(_rising),
    ] = (8.0, 32.0)


class LossConfig(Record):
    """Packets of 20 ms that do not arrive: `share` of them, in bursts of `burst_packets` on average.

    No burst is longer than 3 packets, so that no word is lost whole.
    """

    rate: Rate = 0.1
    share: Annotated[tuple[LossShare, LossShare], AfterValidator(_rising)] = (0.0, 0.1)
    burst_packets: float = Field(default=1.5, ge=1, le=3)


class AcousticsConfig(Record):
    """What is done to what is heard. Nothing by default. See the module.

    `speech_dbfs` is the level of active speech that `snr_db` is against: fixed, never measured of a
    sample. -21 dBFS is what espeak's voices have on average (standard deviation 3 dB).
    """

    share: Rate = 1.0
    speech_dbfs: FullScale = -21.0
    reverb: ReverbConfig | None = None
    echo: EchoConfig | None = None
    noise: NoiseConfig | None = None
    gain: GainConfig | None = None
    clip: ClipConfig | None = None
    telephone: TelephoneConfig | None = None
    codec: CodecConfig | None = None
    loss: LossConfig | None = None
    keep_stems: bool = False
