"""Tiny random-weight models of the real classes, saved as real ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """int16 noise under a slow envelope: no code stays the same for long."""
    rng = np.random.default_rng(seed)
    envelope = 0.2 + np.abs(np.sin(np.arange(samples) / 3000.0))
    return np.rint(rng.normal(size=samples) * 4000 * envelope).clip(-32768, 32767).astype(np.int16)


def _save(model: Any, folder: Path) -> Path:
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    return folder


def mimi(folder: Path, **changes: Any) -> Path:
    """24 kHz, 12.5 Hz, 6 codebooks of 64."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.MimiConfig(
        **{
            "num_filters": 4,
            "hidden_size": 32,
            "num_quantizers": 6,
            "codebook_size": 64,
            "codebook_dim": 16,
            "vector_quantization_hidden_dimension": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "intermediate_size": 64,
            "sliding_window": 20,
            "upsample_groups": 32,
            **changes,
        }
    )
    model = transformers.MimiModel(config)
    for name, buffer in model.named_buffers():
        if name.endswith("embed_sum"):  # zeros in a new model: every code would be 0
            buffer.normal_()
    return _save(model, folder)


def encodec(folder: Path, **changes: Any) -> Path:
    """24 kHz, 75 Hz, 4 codebooks of 64."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.EncodecConfig(
        **{
            "num_filters": 4,
            "hidden_size": 16,
            "codebook_size": 64,
            "codebook_dim": 16,
            "target_bandwidths": [0.45, 1.8],
            **changes,
        }
    )
    model = transformers.EncodecModel(config)
    with torch.no_grad():  # codebooks around what the encoder says, else one entry takes all
        said = model.encoder(torch.randn(1, config.audio_channels, 32000) * 0.1)[0]
        for q, layer in enumerate(model.quantizer.layers):
            spread = torch.randn(config.codebook_size, len(said)) * said.std(dim=1)
            layer.codebook.embed.copy_(spread * 0.7**q + (0 if q else said.mean(dim=1)))
    return _save(model, folder)


def dac(folder: Path, **changes: Any) -> Path:
    """16 kHz, 50 Hz, 4 codebooks of 64; the ratios of descript/dac_16khz."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.DacConfig(
        **{
            "encoder_hidden_size": 4,
            "decoder_hidden_size": 32,
            "n_codebooks": 4,
            "codebook_size": 64,
            "downsampling_ratios": [2, 4, 5, 8],
            "sampling_rate": 16000,
            **changes,
        }
    )
    return _save(transformers.DacModel(config), folder)
