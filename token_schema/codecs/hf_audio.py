"""Mimi, EnCodec and DAC through `transformers`, encoded in fixed windows (windows.py).

    codec = pin("audio", "mimi", "kyutai/mimi", None, {"codebooks": 8}, source_rate_hz=16000)
    codec.encode(pcm)           # int16 [n] -> int32 [n // frame_samples, 8]

Options: `codebooks` (the first so many; default all), `chunk_frames` and `context_frames` of the
windows. What each network is, read from its code and held by tests on its real classes:

- Mimi (24 kHz, 12.5 Hz): causal convolutions padded with zeros, attention over the last
  `sliding_window` steps (10 s) in each of 8 layers. Windows begin cold at t = 0 as a stream does;
  later ones have 10 s of context, so that a code is told 10 to 20 s of the past where the stacked
  layers could see 80. Lookahead 0.
- EnCodec (24 kHz, 75 Hz): causal convolutions, but they mirror the first samples for padding, which
  shows the first frames their future; so a window begins with silence. The LSTM is told 4 s of the
  past. Lookahead 0. The 48 kHz stereo model scales by the loudness of a whole second, also of what
  is still to come, and is refused.
- DAC: symmetric convolutions. Its reach to both sides is counted from kernels and strides; the
  reach to the right is its lookahead, and windows have all of it. Nothing is cut short.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codecs.torch_once import one_thread, read_config, read_model, transformers_class
from token_schema.codecs.windows import AudioFacts, WindowedAudio, whole_option

_CHUNK_S, _ENCODEC_CONTEXT_S = 10.0, 4.0


class _HFAudio(WindowedAudio):
    """One of the three; `model_class` and what differs are below."""

    weight_files = ("config.json", "*.safetensors", "?*.safetensors.index.json")
    options_known = ("codebooks", "chunk_frames", "context_frames")
    model_class: ClassVar[str]

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> AudioFacts:
        """Facts from config.json and the options. Raises StrettoError when they do not fit."""
        config_class = transformers_class(f"{cls.model_class}Config", where)
        config = read_config(config_class, folder, where)
        most = cls.books(config)
        books = whole_option(options, "codebooks", most, where)
        if books > most:
            raise StrettoError(f"{books} codebooks wanted, the model has {most}", where)
        hop = cls.hop(config)
        rate = config.sampling_rate / hop
        chunk = whole_option(options, "chunk_frames", math.ceil(_CHUNK_S * rate), where)
        plan = cls.plan(config, hop)
        if "context_frames" in options:
            wanted = whole_option(options, "context_frames", 1, where)
            plan["left"] = max(wanted, plan.pop("least", 0))
        plan.pop("least", None)
        source = source_rate_hz or config.sampling_rate
        return AudioFacts(
            config.codebook_size, books, config.sampling_rate, source, hop, chunk, **plan
        )

    @classmethod
    def books(cls, config: Any) -> int:
        """Codebooks that the model has."""
        return config.num_quantizers

    @classmethod
    def hop(cls, config: Any) -> int:
        """Model samples a code frame."""
        return config.hop_length

    @classmethod
    def plan(cls, config: Any, hop: int) -> dict[str, Any]:
        """`left` (at least `least`), `right`, `cold` and `ahead` of AudioFacts."""
        raise NotImplementedError

    def load_model(self, folder: Path) -> Any:
        cls = transformers_class(f"{self.model_class}Model", self.where)
        return read_model(cls, folder, self.where)

    def encode_window(self, wave: NDArray[np.float32]) -> NDArray[Any]:
        import torch

        with one_thread():
            codes = self._codes(self.model, torch.from_numpy(wave)[None, None])
        return codes[: self.codebooks].T.numpy()

    def decode_wave(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        import torch

        with one_thread():
            return self._wave(self.model, torch.from_numpy(codes.T.copy())[None]).numpy()

    def _codes(self, model: Any, wave: Any) -> Any:
        """Codes [Q, frames] of a wave [1, 1, n]."""
        raise NotImplementedError

    def _wave(self, model: Any, codes: Any) -> Any:
        """Wave [n] of codes [1, Q, frames]."""
        raise NotImplementedError


class Mimi(_HFAudio):
    """Kyutai's Mimi (`kyutai/mimi`): `MimiModel`."""

    type_ = "mimi"
    model_class = "Mimi"

    @classmethod
    def hop(cls, config: Any) -> int:
        down = config.latent_stride if config.frame_rate != config.encodec_frame_rate else 1
        return math.prod(config.upsampling_ratios) * down

    @classmethod
    def plan(cls, config: Any, hop: int) -> dict[str, Any]:
        _mono_and_causal(config)
        steps_per_frame = hop // math.prod(config.upsampling_ratios)
        return {
            "left": math.ceil(config.sliding_window / steps_per_frame),
            "cold": config.pad_mode == "constant",
        }

    def _codes(self, model: Any, wave: Any) -> Any:
        least = model.config.num_semantic_quantizers
        return model.encode(wave, num_quantizers=max(self.codebooks, least)).audio_codes[0]

    def _wave(self, model: Any, codes: Any) -> Any:
        return model.decode(codes).audio_values[0, 0]


class Encodec(_HFAudio):
    """Meta's EnCodec (`facebook/encodec_24khz`): `EncodecModel`."""

    type_ = "encodec"
    model_class = "Encodec"

    @classmethod
    def plan(cls, config: Any, hop: int) -> dict[str, Any]:
        _mono_and_causal(config)
        if config.normalize or config.norm_type != "weight_norm" or config.chunk_length_s:
            raise StrettoError(
                "this EnCodec scales by the loudness of what is still to come",
                "codec encodec",
                "use the causal 24 kHz model, facebook/encodec_24khz",
            )
        reach = _mirror_frames(config)
        left = max(reach, math.ceil(_ENCODEC_CONTEXT_S * config.sampling_rate / hop))
        return {"left": left, "cold": config.pad_mode == "constant", "least": reach}

    def _codes(self, model: Any, wave: Any) -> Any:
        # the quantizer floors a bandwidth to codebooks: the middle of the step gives ours
        per_book = math.log2(self.size) * model.config.frame_rate / 1000
        bandwidth = (self.codebooks + 0.5) * per_book
        return model.quantizer.encode(model.encoder(wave), bandwidth)[:, 0]

    def _wave(self, model: Any, codes: Any) -> Any:
        return model.decode(codes[None], [None]).audio_values[0, 0]


class Dac(_HFAudio):
    """Descript's DAC (`descript/dac_16khz`, `dac_24khz`, `dac_44khz`): `DacModel`."""

    type_ = "dac"
    model_class = "Dac"

    @classmethod
    def books(cls, config: Any) -> int:
        return config.n_codebooks

    @classmethod
    def plan(cls, config: Any, hop: int) -> dict[str, Any]:
        before, after = dac_reach(config.downsampling_ratios)
        ahead = max(0, after - (hop - 1))
        left, right = math.ceil(before / hop), math.ceil(ahead / hop)
        return {"left": left, "right": right, "ahead": ahead, "least": left}

    def _codes(self, model: Any, wave: Any) -> Any:
        return model.encode(wave, n_quantizers=self.codebooks).audio_codes[0]

    def _wave(self, model: Any, codes: Any) -> Any:
        return model.decode(audio_codes=codes).audio_values[0]


def dac_reach(ratios: tuple[int, ...] | list[int]) -> tuple[int, int]:
    """(before, after): frame 0 rests on samples -before .. after, by kernels and strides.

    Layer by layer from the top: a kernel k with dilation d, stride s and padding p at output o
    reads inputs o * s - p .. o * s - p + (k - 1) * d (`DacEncoder` in transformers).
    """
    layers = [(7, 1, 1, 3)]
    for s in ratios:
        layers += [(7, d, 1, 3 * d) for d in (1, 3, 9)]
        layers.append((2 * s, 1, s, math.ceil(s / 2)))
    layers.append((3, 1, 1, 1))
    low = high = 0
    for k, d, s, p in reversed(layers):
        low, high = low * s - p, high * s - p + (k - 1) * d
    return -low, high


def _mirror_frames(config: Any) -> int:
    """Frames of a window's begin that EnCodec's mirrored padding reaches, with what they reach.

    Each layer mirrors as many of its own steps as it pads; in samples that is at most the sum of
    the paddings times their steps, twice: once for the mirror, once for what it spreads to.
    """
    step, total = 1, config.kernel_size - 1
    for ratio in reversed(config.upsampling_ratios):
        spread = (config.residual_kernel_size - 1) * sum(
            config.dilation_growth_rate**j for j in range(config.num_residual_layers)
        )
        total += (spread + ratio) * step
        step *= ratio
    total += (config.last_kernel_size - 1) * step
    return 2 * math.ceil(total / step)


def _mono_and_causal(config: Any) -> None:
    if config.audio_channels != 1:
        raise StrettoError(
            f"the model has {config.audio_channels} audio channels, tracks have one",
            f"codec {config.model_type}",
        )
    if not config.use_causal_conv:
        raise StrettoError(
            "the model's convolutions look ahead (use_causal_conv is false)",
            f"codec {config.model_type}",
        )
