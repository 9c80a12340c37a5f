"""`speech.cosyvoice:` of a config: where CosyVoice's code and model lie and how it may speak."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Record

Pace = Annotated[float, Field(gt=0, le=5)]


class CosyVoiceConfig(Record):
    """CosyVoice 2 or 3 (docs/cosyvoice.md).

    `model_dir`: the model's folder; nothing is ever downloaded. `home`: the FunAudioLLM checkout
    (default: the environment's COSYVOICE_HOME). `device`: `auto` is a GPU where there is one.
    `threads`: CPU threads of one instance; the audio can hang on it in its last bits, so it is set.
    `fp16`, `load_jit`, `load_trt` and `load_vllm` are handed on and need a GPU; vLLM draws
    without our seeds. `min_s_per_char` and `max_s_per_char` bound the pace of a sentence (a wide
    character, such as Chinese, counts as three; `max` allows a second more): outside it the speech
    is cut short or has run away. Such speech, or silence, is spoken again up to `max_retries` times
    with other seeds. `short_text`: a sentence under half its prompt's length is spoken in
    cross-lingual mode (the LLM does not see the prompt and can't go on with it), or `as_is`.
    """

    model_dir: str = ""
    home: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1, le=256)
    fp16: bool = False
    load_jit: bool = False
    load_trt: bool = False
    load_vllm: bool = False
    min_s_per_char: Pace = 0.025
    max_s_per_char: Pace = 0.15
    max_retries: int = Field(default=2, ge=0, le=20)
    short_text: Literal["cross_lingual", "as_is"] = "cross_lingual"

    @model_validator(mode="after")
    def pace_rises(self) -> CosyVoiceConfig:
        if self.min_s_per_char >= self.max_s_per_char:
            raise ValueError("min_s_per_char is not below max_s_per_char")
        return self

    @model_validator(mode="after")
    def speeds_up_on_a_gpu(self) -> CosyVoiceConfig:
        asked = [n for n in ("fp16", "load_jit", "load_trt", "load_vllm") if getattr(self, n)]
        if asked and self.device == "cpu":
            raise ValueError(f"{asked[0]} needs a GPU and device is `cpu`")
        return self
