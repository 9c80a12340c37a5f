"""A random-weight CTC model of a real class in a folder of its own, as `transformers` would save it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ENGLISH = "abcdefghijklmnopqrstuvwxyz'"


def write_ctc(
    folder: Path,
    letters: str = ENGLISH,
    delimiter: str | None = "|",
    kind: str = "Wav2Vec2",
    norm: str = "layer",
    pad: str = "<pad>",
) -> Path:
    """The folder with config, weights, tokenizer and feature extractor; stride 320 at 16 kHz."""
    import torch
    import transformers

    vocab = {pad: 0, "<unk>": 1}
    for token in [*([delimiter] if delimiter else []), *letters]:
        vocab[token] = len(vocab)
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**_settings(kind, norm), vocab_size=len(vocab))
    folder.mkdir(parents=True, exist_ok=True)
    getattr(transformers, f"{kind}ForCTC")(config).eval().save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    transformers.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"),
        bos_token=None,
        eos_token=None,
        unk_token="<unk>",
        pad_token=pad,
        word_delimiter_token=delimiter or "|",
    ).save_pretrained(folder)
    extractor = (
        transformers.SeamlessM4TFeatureExtractor()
        if kind == "Wav2Vec2Bert"
        else transformers.Wav2Vec2FeatureExtractor(return_attention_mask=norm == "layer")
    )
    extractor.save_pretrained(folder)
    return folder


def _settings(kind: str, norm: str) -> dict[str, Any]:
    small: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "pad_token_id": 0,
    }
    if kind == "Wav2Vec2Bert":
        return small | {"feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 3}
    return small | {
        "conv_dim": (16,) * 7,
        "feat_extract_norm": norm,
        "do_stable_layer_norm": norm == "layer",
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
