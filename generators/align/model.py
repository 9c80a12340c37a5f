"""Opening a CTC model of `transformers`: found, of the right kind, all weights there, or one line why.

emitter, identity = open_model(name, revision, device)

Any model with a ...ForCTC class whose tokenizer writes single letters: wav2vec 2.0, HuBERT, WavLM,
UniSpeech, data2vec, Wav2Vec2-BERT. The name is a folder, one below STRETTO_MODELS, or one on the hub;
safetensors only. `identity` is a digest of its files.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from generators.align.emissions import MOST_ROWS, Emitter
from generators.align.labels import Vocabulary, vocabulary
from schemas.draws import digest
from schemas.errors import StrettoError
from token_schema.codecs.pinned import digests, locate

WHERE = "align.model"
# Trained, but used only in training: wav2vec2-base-960h and others leave it out.
UNUSED = ("masked_spec_embed",)
FILES = (
    "config.json",
    "*.safetensors",
    "?*.safetensors.index.json",
    "?preprocessor_config.json",
    "?processor_config.json",
    "?vocab.json",
    "?tokenizer*.json",
    "?special_tokens_map.json",
    "?added_tokens.json",
)


def require(device: str) -> None:
    """StrettoError when the libraries or the device aren't there."""
    for library in ("torch", "transformers"):
        if find_spec(library) is None:
            raise StrettoError(
                f"{library} is not installed, so `align` can't run a model",
                WHERE,
                "pip install 'stretto[align]', or set `align: {backend: duration}`",
            )
    if device.startswith("cuda"):
        import torch

        index = int(device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise StrettoError(
                f"there is no GPU {index} here", "align.device", "use `auto` or `cpu`"
            )


def open_model(name: str, revision: str | None, device: str) -> tuple[Emitter, str]:
    """The model on its device, and a digest of its files. StrettoError when it can't be used."""
    require(device)
    folder = locate(name, revision, FILES, WHERE)
    identity = digest(digests(folder, FILES, WHERE))
    extractor, tokenizer = _parts(folder)
    model = _weights(folder)
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    rate_hz = int(extractor.sampling_rate)
    stride, offset = _geometry(model, extractor, rate_hz)
    known = _vocabulary(tokenizer, model.config)
    rows = 1 if device == "cpu" else MOST_ROWS
    return Emitter(
        model.to(device), extractor, known, rate_hz, stride, offset, device, rows
    ), identity


def _parts(folder: Path) -> tuple[Any, Any]:
    """The feature extractor and the tokenizer."""
    from transformers import AutoFeatureExtractor, AutoTokenizer

    try:
        return (
            AutoFeatureExtractor.from_pretrained(str(folder), local_files_only=True),
            AutoTokenizer.from_pretrained(str(folder), local_files_only=True),
        )
    except Exception as error:
        raise _not_had(folder, error) from error


def _weights(folder: Path) -> Any:
    """The model in float32; StrettoError when a weight is missing: it would be a random number."""
    import torch
    from transformers import AutoModelForCTC
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, info = AutoModelForCTC.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:
        raise _not_had(folder, error) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    absent = {*map(str, info["missing_keys"]), *map(str, info["mismatched_keys"])}
    if wrong := sorted(key for key in absent if not key.endswith(UNUSED)):
        raise StrettoError(f"{folder} lacks {len(wrong)} weights, the first {wrong[0]}", WHERE,
                           "use a model that was fine-tuned for CTC")  # fmt: skip
    return model.eval()


def _geometry(model: Any, extractor: Any, rate_hz: int) -> tuple[int, int]:
    """Stride and offset in samples, measured: inputs four seconds apart differ by whole frames."""
    import numpy as np

    name = model.main_input_name

    def frames(seconds: int) -> int:
        silence = np.zeros(seconds * rate_hz, dtype=np.float32)
        found = extractor(silence, sampling_rate=rate_hz, return_tensors="np")[name][0]
        return int(model._get_feat_extract_output_lengths(len(found)))

    if not hasattr(model, "_get_feat_extract_output_lengths"):
        raise StrettoError(f"{type(model).__name__} is no wav2vec2-style model", WHERE)
    stride, rest = divmod(4 * rate_hz, frames(6) - frames(2))
    if rest:
        raise StrettoError(f"{type(model).__name__} has no constant stride", WHERE)
    reach = 1
    kernels = zip(getattr(model.config, "conv_kernel", ()), getattr(model.config, "conv_stride", ()),
                  strict=False)  # fmt: skip
    step = 1
    for kernel, hop in kernels:
        reach += (kernel - 1) * step
        step *= hop
    if step == 1 and hasattr(extractor, "stride"):  # Wav2Vec2-BERT: stacked filterbank frames
        reach, step = 400 + 160 * (extractor.stride - 1), 160 * extractor.stride
    # a frame stands for the middle of what it was made from
    return stride, max(0, reach - step) // 2


def _vocabulary(tokenizer: Any, config: Any) -> Vocabulary:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    delimiter = getattr(tokenizer, "word_delimiter_token", None)
    try:
        return vocabulary(tokenizer.get_vocab(), config.vocab_size, pad, delimiter)
    except ValueError as error:
        raise StrettoError(str(error), WHERE, "use a model that writes letters") from error


def _not_had(folder: Path, error: Exception) -> StrettoError:
    said = " ".join(str(error).split())[:200]
    return StrettoError(
        f"{folder} can't be opened as a CTC model ({type(error).__name__}: {said})",
        WHERE,
        "give the folder of a model, or fetch it first where there is a network",
    )
