"""VITS in batches, each utterance as if it were alone.

The model draws its noise for a whole padded batch; here every row has its own, from its own seed,
drawn time-major so that a longer neighbour only adds to the end. The decoder sees a margin of
silence behind every row, alone or not, so that padding sounds the same as the end of the audio.
What is left between alone and batched is rounding: matrix products of another shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.speech.backend import SpeechRequest
from generators.speech.hf_models import ModelName, loading, tokenizer_of
from generators.speech.hf_speaker import Wave, speech_of
from generators.speech.tokens import readable
from schemas.config.speech import TransformersSpeech
from schemas.errors import StrettoError


def row_noise(seeds: Sequence[int]) -> Any:
    """Within it, `torch.randn` and `randn_like` of [batch, channel, time] draw by row."""
    import torch
    from torch.overrides import TorchFunctionMode

    class RowNoise(TorchFunctionMode):
        draws = 0

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.randn:
                return self.noise(tuple(int(size) for size in args))
            if func is torch.randn_like:
                return self.noise(tuple(args[0].shape)).to(args[0])
            return func(*args, **(kwargs or {}))

        def noise(self, shape: tuple[int, ...]) -> Any:
            self.draws += 1
            return torch.from_numpy(_rows(seeds, self.draws, shape))

    return RowNoise()


def _rows(seeds: Sequence[int], draw: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise of `shape`, row b from (seed b, draw); its start is the same for any length."""
    batch, channels, steps = shape
    if batch != len(seeds):
        raise ValueError(f"noise for {batch} rows of {len(seeds)}")
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, draw])).standard_normal(
            (steps, channels), dtype=np.float32
        )
        for seed in seeds
    ]
    return np.ascontiguousarray(np.stack(rows).transpose(0, 2, 1))


class VitsSpeaker:
    """A loaded VITS. See `hf_speaker.Speaker`."""

    def __init__(self, model: ModelName, settings: TransformersSpeech) -> None:
        import torch
        from transformers import VitsModel

        self._tokenizer = tokenizer_of(model)
        revision: Any = model.revision
        loaded: Any = VitsModel.from_pretrained(
            loading(model), revision=revision, dtype=getattr(torch, settings.dtype)
        )
        self._model = loaded.to(settings.device).eval()
        self._defaults = {
            name: getattr(loaded, name)
            for name in ("speaking_rate", "noise_scale", "noise_scale_duration")
        }
        self.sample_rate_hz = int(loaded.config.sampling_rate)
        margin = decoder_margin(loaded.config)
        self._model.decoder.register_forward_pre_hook(
            lambda module, args: (torch.nn.functional.pad(args[0], (0, margin)), *args[1:])
        )

    def refusal(self, request: SpeechRequest) -> StrettoError | None:
        """The tokenizer drops what it does not know without a word: digits, for one."""
        tokenizer, text = self._tokenizer, readable(request.text)
        where = f"speech {request.voice.name} {request.text[:40]!r}"
        most = max(0, self._model.config.num_speakers - 1)
        if request.voice.get("speaker_id", 0) > most:
            return StrettoError(f"the model has speakers 0 to {most} only", where)
        if tokenizer.phonemize or tokenizer.is_uroman:
            return None
        known = set(tokenizer.get_vocab())
        known_lower = text.lower() if tokenizer.normalize else text
        lost = sorted({c for c in known_lower if c.isalnum() and c not in known})
        if not lost:
            return None
        return StrettoError(
            f"the model can't read {' '.join(lost[:8])!r}",
            where,
            "write it in the model's letters, numbers as words (a turn's `say`)",
        )

    def waves(self, requests: Sequence[SpeechRequest], seeds: Sequence[int]) -> list[Wave]:
        """The audio of each request with the noise of its seed."""
        import torch

        texts = [readable(request.text) for request in requests]
        inputs = self._tokenizer(texts, padding=True, return_tensors="pt")
        inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        inputs = {name: value.to(self._model.device) for name, value in inputs.items()}
        voices = _Voices(self._model, self._defaults, requests)
        with torch.inference_mode(), voices, row_noise(seeds):
            out = self._model(**inputs, speaker_id=self._any_speaker(), speaking_rate=None)
        lengths = [int(length) for length in out.sequence_lengths]
        audio = out.waveform.float().cpu().numpy()
        return [speech_of(row[:length]) for row, length in zip(audio, lengths, strict=True)]

    def _any_speaker(self) -> int | None:
        """Speakers are put in row by row (`_Voices`); the model wants to hear of one."""
        return 0 if self._model.config.num_speakers > 1 else None


class _Voices:
    """Within it, each row of the model's batch has its own speaker, rate and noise."""

    def __init__(
        self, model: Any, defaults: dict[str, float], requests: Sequence[SpeechRequest]
    ) -> None:
        self.model, self.defaults, self.requests = model, defaults, requests
        self.hook: Any = None

    def __enter__(self) -> None:
        import torch

        for name, default in self.defaults.items():
            rows = [float(request.voice.get(name, default)) for request in self.requests]
            value = torch.tensor(rows, device=self.model.device, dtype=self.model.dtype)
            setattr(self.model, name, value.view(-1, 1, 1))
        if self.model.config.num_speakers > 1:
            ids = [int(request.voice.get("speaker_id", 0)) for request in self.requests]
            speakers = torch.tensor(ids, device=self.model.device)
            self.hook = self.model.embed_speaker.register_forward_pre_hook(
                lambda module, args: (speakers,)
            )

    def __exit__(self, *fault: object) -> None:
        for name, default in self.defaults.items():
            setattr(self.model, name, default)
        if self.hook:
            self.hook.remove()


def decoder_margin(config: Any) -> int:
    """Frames of silence behind which the decoder can't hear anything: its receptive field."""
    reach, hop = 3.0, 1.0  # the first convolution is 7 wide
    blocks = zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True)
    widest = max((k - 1) // 2 * sum(d + 1 for d in dilations) for k, dilations in blocks)
    stages = zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
    for rate, kernel in stages:
        reach += math.ceil(kernel / rate) / hop
        hop *= rate
        reach += widest / hop
    return math.ceil(reach + 3.0 / hop) + 1
