"""Emu3's image VQ through `transformers` (`Emu3VQVAE`): a frame as (H / 8) * (W / 8) ids of 32,768.

    codec = pin("image", "emu3", PATH, None, {"height_px": 128, "width_px": 128})
    codec.encode_batch(frames)      # uint8 [h, w, 3] each -> int32 [n, 16 * 16]

PATH is a folder that `Emu3VQVAE.save_pretrained` wrote, or a whole Emu3 checkpoint in transformers'
format (Emu3-community/Emu3-Chat-hf), of which the `vqmodel` weights alone are read.
Frames are resized by Pillow's bicubic filter to exactly `height_px` x `width_px` (multiples of 8,
default 256: a lane has one number of ids a frame, so Emu3's own "keep the area" resize is not
used), scaled and normalised with the mean and deviation of preprocessor_config.json, or without
the file those of `Emu3ImageProcessor`. Each frame is encoded alone, in one thread: no batch can
change a code. As upstream does for an image, it is shown to the network four times in a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import StrettoError
from token_schema.codecs import pinned
from token_schema.codecs.torch_once import one_thread, read_config, read_model, transformers_class
from token_schema.codecs.windows import whole_option

_PROCESSOR, _INDEX = "preprocessor_config.json", "model.safetensors.index.json"
_INSIDE = ("model.vqmodel.", "vqmodel.")  # where the VQ stands in a whole checkpoint
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # defaults of transformers' Emu3ImageProcessor
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ImageFacts:
    """`factor` is pixels an id along an edge; mean and std are of values in 0..1."""

    size: int
    height_px: int
    width_px: int
    factor: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.height_px % self.factor or self.width_px % self.factor or self.size < 1:
            raise StrettoError(
                f"{self.height_px} x {self.width_px} pixels are no multiple of {self.factor}",
                "image codec",
                "set height_px and width_px",
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std are three numbers each")


class Emu3(pinned.PinnedCodec):
    """The image tokenizer of Emu3."""

    kind = "image"
    type_ = "emu3"
    weight_files = ("config.json", "*.safetensors", f"?{_INDEX}", f"?{_PROCESSOR}")
    options_known = ("height_px", "width_px")
    facts_type = ImageFacts
    facts: ImageFacts

    @property
    def size(self) -> int:
        """Codes are in 0..size-1."""
        return self.facts.size

    @property
    def tokens(self) -> int:
        """Codes in a frame."""
        return self._grid[0] * self._grid[1]

    @property
    def _grid(self) -> tuple[int, int]:
        return (
            self.facts.height_px // self.facts.factor,
            self.facts.width_px // self.facts.factor,
        )

    def encode(self, frame: np.ndarray) -> np.ndarray:
        """Codes int32 [tokens] of a frame uint8 [H, W, 3], row by row from the top."""
        import torch

        pixels = torch.from_numpy(self.pixels(frame))[None]
        size = torch.tensor([[self.facts.height_px, self.facts.width_px]])
        with one_thread():
            grid = self.model.encode(pixels, size).image_tokens[0]
        return grid.flatten().numpy().astype(np.int32)

    def encode_batch(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Codes int32 [n, tokens] of n frames: the same as one by one."""
        codes = [self.encode(frame) for frame in frames]
        return np.stack(codes) if codes else np.zeros((0, self.tokens), np.int32)

    def pixels(self, frame: np.ndarray) -> np.ndarray:
        """What the network sees: float32 [3, height_px, width_px]."""
        from PIL import Image

        frame, facts = np.asarray(frame), self.facts
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise StrettoError(
                f"frame must be uint8 [H, W, 3], not {frame.dtype} {list(frame.shape)}", self.where
            )
        if frame.shape[:2] != (facts.height_px, facts.width_px):
            size = (facts.width_px, facts.height_px)
            frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
        unit = (frame / 255.0 - np.array(facts.mean)) / np.array(facts.std)
        return np.ascontiguousarray(unit.transpose(2, 0, 1), np.float32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Picture uint8 [height_px, width_px, 3] of codes [tokens]."""
        import torch

        codes = np.asarray(codes)
        if codes.shape != (self.tokens,):
            raise StrettoError(f"{codes.size} image codes, not {self.tokens}", self.where)
        if not (0 <= codes.min() and codes.max() < self.size):
            raise StrettoError(f"image code outside of 0..{self.size - 1}", self.where)
        with one_thread():
            grid = torch.from_numpy(codes.astype(np.int64).reshape(1, *self._grid))
            unit = self.model.decode(grid)[0].numpy().transpose(1, 2, 0)
        shown = (unit * np.array(self.facts.std) + np.array(self.facts.mean)) * 255.0
        return np.clip(np.rint(shown), 0, 255).astype(np.uint8)

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> ImageFacts:
        """Facts from config.json, preprocessor_config.json and the options."""
        config = read_config(transformers_class("Emu3VQVAEConfig", where), folder, where)
        mean, std = _normaliser(folder, where)
        return ImageFacts(
            size=config.codebook_size,
            height_px=whole_option(options, "height_px", 256, where),
            width_px=whole_option(options, "width_px", 256, where),
            factor=2 ** (len(config.channel_multiplier) - 1),
            mean=mean,
            std=std,
        )

    @classmethod
    def digests(cls, folder: Path, where: str) -> dict[str, str]:
        """Of a whole checkpoint, the shards that hold the VQ alone: the others are 17 GB."""
        parts = _shards(folder, where)
        patterns = cls.weight_files if parts is None else ("config.json", f"?{_PROCESSOR}", *parts)
        return pinned.digests(folder, patterns, where)

    def load_model(self, folder: Path) -> Any:
        cls = transformers_class("Emu3VQVAE", self.where)
        parts = _shards(folder, self.where)
        if parts is None:
            return read_model(cls, folder, self.where)
        config = read_config(transformers_class("Emu3VQVAEConfig", self.where), folder, self.where)
        model = cls(config).float()
        try:
            model.load_state_dict(_inside(folder, parts))
        except RuntimeError as error:
            raise StrettoError(f"weights cannot be loaded ({error})", self.where) from error
        return model.eval()


def _normaliser(folder: Path, where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    path = folder / _PROCESSOR
    if not path.is_file():
        return _CLIP_MEAN, _CLIP_STD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        mean, std = values.get("image_mean", _CLIP_MEAN), values.get("image_std", _CLIP_STD)
        return tuple(map(float, mean)), tuple(map(float, std))
    except (ValueError, TypeError, AttributeError) as error:
        raise StrettoError(f"{_PROCESSOR} is not a processor's ({error})", where) from error


def _shards(folder: Path, where: str) -> tuple[str, ...] | None:
    """The files of a whole checkpoint that hold VQ weights; None for a folder of the VQ alone."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if "vq_config" not in config:
            return None
        if not (folder / _INDEX).is_file():
            return tuple(sorted(p.name for p in folder.glob("*.safetensors"))) or ("*.safetensors",)
        named = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"]
        parts = tuple(sorted({str(f) for k, f in named.items() if k.startswith(_INSIDE)}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StrettoError(f"config.json or {_INDEX} unreadable ({error})", where) from error
    if not parts:
        raise StrettoError("the checkpoint holds no vqmodel", where, "give Emu3's own")
    return parts


def _inside(folder: Path, parts: tuple[str, ...]) -> dict[str, Any]:
    """The VQ's tensors of the shards in float32, by the names that they have alone."""
    from safetensors import safe_open

    out = {}
    for part in parts:
        with safe_open(str(folder / part), framework="pt") as file:
            for key in file.keys():
                prefix = next((p for p in _INSIDE if key.startswith(p)), None)
                if prefix:
                    out[key.removeprefix(prefix)] = file.get_tensor(key).float()
    return out
