"""The vocabulary for other trainers: a `transformers` tokenizer folder, and a resized model.

    export_tokenizer(codecs, "out/tokenizer")     # tokenizer.json, tokenizer_config.json,
                                                  # vocabulary.json; no transformers needed
    AutoTokenizer.from_pretrained("out/tokenizer")
    resize(model, codecs.vocabulary)              # a pretrained causal language model

The text codec's tokenizer is taken as it is: its ids are the first ones of the vocabulary. Special
tokens and codes (`<silence>`, `<image:5>`, `<audio:CODEBOOK:CODE>`) are added tokens behind it, in
the order of their ids; every id is checked. `split_special_tokens` is on: a text that holds the
characters `<silence>` is text, as it is in our encoder. Ids of lanes are not made by tokenizing
strings: they come from `compile_sample` or from `stretto retokenize`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas import draws
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet, kinds
from token_schema.vocabulary import CodeRange, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NOISE = 0.02  # of a new row, in standard deviations of the old ones: enough to tell codes apart


def export_tokenizer(codecs: CodecSet, folder: str | Path) -> Path:
    """Write the folder and return it. Its ids equal the vocabulary's.

    Raises StrettoError when a special token is already one of the text codec's.
    """
    vocabulary, folder = codecs.vocabulary, Path(folder)
    tokenizer = full_tokenizer(codecs)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "model_max_length": int(1e30),  # what transformers writes for "no limit"
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
        (folder / "vocabulary.json").write_text(vocabulary.to_json(), encoding="utf-8")
    except OSError as error:
        raise StrettoError(f"cannot be written ({error.strerror})", str(folder)) from None
    return folder


def full_tokenizer(codecs: CodecSet) -> Tokenizer:
    """The text codec's tokenizer with every other token of the vocabulary added behind it."""
    from tokenizers import AddedToken, Tokenizer

    vocabulary = codecs.vocabulary
    text = next((n for n, kind in kinds(codecs.schema).items() if kind == "text"), None)
    if text is None:
        raise StrettoError("the schema has no text codec", codecs.schema.name)
    tokenizer = Tokenizer.from_str(_bare(codecs.get(text)))
    held = tokenizer.get_vocab(with_added_tokens=True)
    first, names = max(held.values()) + 1, added_names(vocabulary, text)
    # rows behind the tokenizer's last token that a model has and nobody uses
    names = [f"<unused:{i}>" for i in range(first, vocabulary.range(text).stop)] + names
    _refuse_known(names, held, codecs.schema.name)
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    for token_id, name in enumerate(names, first):
        if tokenizer.token_to_id(name) != token_id:
            raise StrettoError(
                f"token {name} got the id {tokenizer.token_to_id(name)}, not {token_id}",
                f"{codecs.schema.name}: codec {text}",
                "its tokenizer has gaps in its ids: it cannot be extended",
            )
    return tokenizer


def _bare(codec: Any) -> str:
    """A text codec's tokenizer as JSON, without the BOS and the like that it would put around a
    text: a schema says where special tokens stand."""
    own = getattr(codec, "tokenizer", None) or codec.model
    return json.dumps({**json.loads(own.to_str()), "post_processor": None})


def _refuse_known(names: list[str], held: dict[str, int], where: str) -> None:
    for name in names:
        if name in held:
            raise StrettoError(
                f"token {name} is already one of the text codec's (id {held[name]})",
                where,
                "give the schema's token another name",
            )


def added_names(vocabulary: Vocabulary, text: str) -> list[str]:
    """The string of every id behind the text codec's, in their order."""
    first = vocabulary.range(text).stop
    names = dict(zip(vocabulary.special_ids, vocabulary.specials, strict=True))
    for r in vocabulary.ranges:
        if r.codec != text:
            names.update(enumerate(_code_names(r), r.start))
    return [names[i] for i in range(first, vocabulary.size)]


def _code_names(r: CodeRange) -> list[str]:
    if r.codebooks == 1:
        return [f"<{r.codec}:{c}>" for c in range(r.entries)]
    return [f"<{r.codec}:{q}:{c}>" for q in range(r.codebooks) for c in range(r.entries)]


# ---- a pretrained model ------------------------------------------------------------------------


def resize(model: Any, vocabulary: Vocabulary, seed: int = 0, multiple: int = 1) -> Any:
    """Give a `transformers` causal language model a row for every id; returns the model.

    Rows of the text ids stay. New ones are the mean of those plus a little noise that is keyed by
    the token's name, so a token begins alike wherever a schema puts it. `multiple` rounds the rows
    up (64 is kind to a GPU). Raises StrettoError when the model has fewer rows than text ids.
    """
    text = next((r.entries for r in vocabulary.ranges if r.start == 0), 0)
    old = model.get_input_embeddings().weight.shape[0]
    if text < 1 or old < text:
        raise StrettoError(
            f"the model has {old} token embeddings, the vocabulary {text} text ids",
            "resize",
            "declare the model's own tokenizer as the schema's text codec (type: hf_text)",
        )
    rows = -(-vocabulary.size // multiple) * multiple
    model.resize_token_embeddings(rows, mean_resizing=False)
    names = [vocabulary.name(i) for i in range(text, vocabulary.size)]
    head = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight]
    if head is not None and head.weight is not tables[0]:
        tables.append(head.weight)
    for part, table in zip(("input", "output"), tables, strict=False):
        _fill(table, text, names, part, seed)
    if head is not None and getattr(head, "bias", None) is not None:
        head.bias.data[text:] = head.bias.data[:text].mean()
    return model


def _fill(table: Any, text: int, names: list[str], part: str, seed: int) -> None:
    """Rows from `text` on: the mean of the rows before, and noise for each name."""
    import torch

    old = table.data[:text].to(torch.float64)
    mean, spread = old.mean(dim=0), old.std(dim=0, correction=0)
    table.data[text:] = mean.to(table.dtype)
    for row, name in enumerate(names, text):
        noise = draws.rng(seed, "resize", name, part).standard_normal(table.shape[1])
        drawn = torch.from_numpy(noise).to(mean.device)
        table.data[row] = (mean + NOISE * spread * drawn).to(table.dtype)
