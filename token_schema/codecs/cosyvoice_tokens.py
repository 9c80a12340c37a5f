"""CosyVoice 2's speech tokenizer from its ONNX file: 25 ids a second of 6,561, one codebook.

    codec = pin("audio", "cosyvoice2", "FunAudioLLM/CosyVoice2-0.5B", None, {}, source_rate_hz=16000)
    codec.encode(pcm)            # int16 [n] -> int32 [n // 640, 1] at 16 kHz

`speech_tokenizer_v2.onnx` takes Whisper's log-mel (128 bands, 100 frames a second at 16 kHz) as
`feats` [1, 128, T] and their number as `feats_length` [1]; four mel frames give an id (FSQ, 3**8
levels). Needs `onnxruntime` when it is used (`pip install 'stretto[codecs]'`), with one thread.

Its attention sees a whole utterance to both sides, and Whisper's mel is clipped 8 below the loudest
frame, future ones too. So it looks ahead as far as it is let: windows of `chunk_frames` (25) with
`left_frames` (75) before and `right_frames` (10) after them, and `lookahead_s` is the worst case,
(chunk_frames - 1 + right_frames) / 25 = 1.36 s. A whole utterance at once, as CosyVoice's own
frontend does it for prompts, gives somewhat other ids.
Ids become sound only through CosyVoice's flow and vocoder: `decode` is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codecs.torch_once import INSTALL
from token_schema.codecs.windows import AudioFacts, WindowedAudio, whole_option

FILE = "speech_tokenizer_v2.onnx"
RATE_HZ, HOP, SIZE = 16000, 640, 6561
_N_FFT, _MEL_HOP, _N_MELS = 400, 160, 128


class CosyVoice2(WindowedAudio):
    """The speech tokenizer. The onnxruntime session is `model`."""

    type_ = "cosyvoice2"
    weight_files = (FILE,)
    options_known = ("chunk_frames", "left_frames", "right_frames")

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> AudioFacts:
        """Facts: fixed by the model, but for the windows."""
        chunk = whole_option(options, "chunk_frames", 25, where)
        left = whole_option(options, "left_frames", 75, where)
        right = whole_option(options, "right_frames", 10, where)
        if (chunk + left + right) * HOP > 30 * RATE_HZ:
            raise StrettoError("windows are longer than the tokenizer's 30 s", where)
        return AudioFacts(
            size=SIZE,
            codebooks=1,
            model_rate_hz=RATE_HZ,
            source_rate_hz=source_rate_hz or RATE_HZ,
            hop=HOP,
            chunk=chunk,
            left=left,
            right=right,
            cold=True,
            ahead=(chunk - 1 + right) * HOP,
        )

    def load_model(self, folder: Path) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise StrettoError("onnxruntime is not installed", self.where, INSTALL) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(folder / FILE), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a kind of error for each status
            raise StrettoError(f"{FILE} cannot be loaded ({error})", self.where) from error
        if len(session.get_inputs()) != 2:
            raise StrettoError(f"{FILE} does not take feats and feats_length", self.where)
        return session

    def encode_window(self, wave: NDArray[np.float32]) -> NDArray[Any]:
        feats = log_mel(wave)[None]
        names = [x.name for x in self.model.get_inputs()]
        length = np.array([feats.shape[2]], np.int32)
        ids = np.asarray(self.model.run(None, dict(zip(names, (feats, length), strict=True)))[0])
        frames = len(wave) // HOP
        if ids.size != frames or not (0 <= ids.min() and ids.max() < SIZE):
            raise StrettoError(f"{FILE} gave {ids.size} ids for {frames} frames", self.where)
        return ids.reshape(frames, 1)

    def decode_wave(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        raise StrettoError(
            "CosyVoice's speech ids become sound through its flow and vocoder only",
            self.where,
            "give the ids to CosyVoice's token2wav",
        )


def log_mel(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whisper's log-mel float32 [128, n // 160] of samples [n] at 16 kHz in -1..1.

    openai/whisper, `log_mel_spectrogram`: centred Hann windows of 400 every 160, power, Slaney mel,
    log10 floored at 1e-10 and at the loudest less 8, then (x + 4) / 4. In float64 until the end.
    """
    padded = np.pad(wave.astype(np.float64), _N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_MEL_HOP]
    frames = frames[: len(wave) // _MEL_HOP]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_N_FFT) / _N_FFT)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    bands = np.einsum("tf,fm->mt", power, mel_bank())  # no BLAS: threads cannot change a bit
    mel = np.log10(np.maximum(bands, 1e-10))
    return ((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


@lru_cache(maxsize=1)
def mel_bank() -> NDArray[np.float64]:
    """Slaney's mel filters, area-normalised, float64 [201, 128]: 0 to 8 kHz."""
    edges = _hz(np.linspace(0.0, _mel(RATE_HZ / 2), _N_MELS + 2))
    bins = np.linspace(0.0, RATE_HZ / 2, _N_FFT // 2 + 1)[:, None]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - low) / (peak - low), (high - bins) / (high - peak)
    return np.maximum(0.0, np.minimum(rise, fall)) * (2.0 / (high - low))


def _mel(hz: float) -> float:
    """Slaney: linear to 1 kHz (15 mel), then 27 mel for each factor of 6.4."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    high = 1000 * np.exp((np.maximum(mel, 15) - 15) * math.log(6.4) / 27)
    return np.where(mel < 15, mel * 200 / 3, high)
