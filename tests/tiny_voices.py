"""Tiny text-to-speech models of the real classes with random weights, saved to a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LETTERS = " '-abcdefghijklmnopqrstuvwxyzäöüß.,!?"


def save_vits(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A VITS of 0.2 million parameters that speaks 16 kHz noise, with a tokenizer of letters."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    torch.manual_seed(seed)
    config = VitsConfig(
        vocab_size=len(LETTERS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=48,
        flow_size=16,
        spectrogram_bins=33,
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=2,
        posterior_encoder_num_wavenet_layers=2,
        duration_predictor_num_flows=2,
        duration_predictor_filter_channels=16,
        depth_separable_num_layers=2,
        upsample_initial_channel=32,
        upsample_rates=[8, 8, 4],
        upsample_kernel_sizes=[16, 16, 8],
        resblock_kernel_sizes=[3, 7],
        resblock_dilation_sizes=[[1, 3], [1, 3]],
        sampling_rate=16000,
        **changes,
    )
    model = VitsModel(config).eval()
    for name, weight in model.named_parameters():  # as drawn it is driven into clipping
        if name.startswith("decoder") and name.endswith("weight") and "conv_post" in name:
            weight.data.mul_(0.1)
    model.save_pretrained(folder)
    vocab = {letter: index for index, letter in enumerate(LETTERS)}
    (folder / "v.json").write_text(json.dumps(vocab))
    tokenizer = VitsTokenizer(
        str(folder / "v.json"), pad_token=" ", unk_token="?", phonemize=False, language="eng"
    )
    tokenizer.save_pretrained(folder)
    (folder / "v.json").unlink()
    return folder


def save_speecht5(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """A SpeechT5 and its vocoder, tiny: (model folder, vocoder folder)."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SpeechT5Config,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    torch.manual_seed(seed)
    small = {"hidden_size": 16, "speech_decoder_prenet_units": 16, "speaker_embedding_dim": 4}
    layers = {f"{side}_{name}": value for side in ("encoder", "decoder")
              for name, value in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 16))}  # fmt: skip
    config = SpeechT5Config(
        vocab_size=40, num_mel_bins=8, speech_decoder_postnet_units=16, **small, **layers
    )
    model = SpeechT5ForTextToSpeech(config)
    model.speech_decoder_postnet.prob_out.bias.data.fill_(-8.0)  # else it stops at once
    model.save_pretrained(folder / "model")
    vocab = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *LETTERS[:36]])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "model")
    vocoder = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=8,
            sampling_rate=16000,
            upsample_initial_channel=16,
            upsample_rates=[8, 8],
            upsample_kernel_sizes=[16, 16],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]],
        )
    )
    for module in vocoder.modules():  # as drawn it is silent
        if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            torch.nn.init.normal_(module.weight, std=0.2)
    vocoder.save_pretrained(folder / "vocoder")
    return folder / "model", folder / "vocoder"
