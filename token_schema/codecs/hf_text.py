"""Any Hugging Face text tokenizer, by name or path, as it encodes text: nothing added.

    codec = pin("text", "hf_text", "Qwen/Qwen2.5-7B", None, {})
    codec.encode_batch(["hi there"]), codec.encode_spans(["hi there"])

`tokenizer.json` is read by `tokenizers`; a folder without one goes through `AutoTokenizer` once
(its own code only). No special token is added, and one that a text spells out ("<|im_end|>") is
encoded as plain text: what a user typed cannot close a turn. Ids are the tokenizer's own, so that a
pretrained model's embeddings fit; ids that it skips have no piece.

Byte-level tokenizers (GPT-2, Llama 3, Qwen) and byte-fallback ones (Llama 2, Mistral, Gemma) give
any text back exactly: `exact` is true. To that end a Unicode normaliser (Qwen has NFC) is left out:
text in that form has the same ids, other text keeps its own bytes; `normalize: true` keeps it.
(One exception: byte-fallback tokenizers write a space as U+2581, and that character itself comes
back as a space.)
Tokenizers that lose something (BERT's lower case, an unknown token) are taken with `exact` false,
and decode as `tokenizers` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from schemas.errors import StrettoError
from token_schema.codecs import pinned
from token_schema.codecs.bpe import byte_of_char
from token_schema.codecs.torch_once import transformers_class

_FILE = "tokenizer.json"
_SLOW = ("?tokenizer*.json", "?tokenizer.model", "?*.model", "?vocab.*", "?merges.txt")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
# what a tokenizer that claims to lose nothing must give back: spaces at both ends and doubled,
# line ends, case, other scripts, joined emoji, a decomposed accent, markup, a lone control
PROBES = (
    "plain words, 3.14!",
    " two  spaces ",
    "\n\tline\r\nend\n",
    "Ünïcödé ŞİĞ ß",
    "中文，日本語 한국어 हिन्दी ไทย",
    "👩‍👩‍👧 🇪🇺 𝔘",
    "e\u0301 \ufb01",
    '<b>&amp;</b> {"a": [1]} `x`',
    "\x01\u200b\ufeff",
)


@dataclass(frozen=True)
class TextFacts:
    """`style`: `bytes` (byte level), `fallback` (byte fallback) or `other`. `prefix`: bytes of a
    space that the tokenizer puts before every text."""

    size: int
    style: str
    prefix: int
    exact: bool


class HFText(pinned.PinnedCodec):
    """A text tokenizer. The `tokenizers.Tokenizer` is `model`."""

    kind = "text"
    type_ = "hf_text"
    options_known = ("normalize",)
    weight_files = (f"?{_FILE}", *_SLOW)
    facts_type = TextFacts
    facts: TextFacts

    @property
    def size(self) -> int:
        """Ids are in 0..size-1, special ones of the tokenizer included."""
        return self.facts.size

    @property
    def exact(self) -> bool:
        """Does decode(encode(text)) give back any text, character by character?"""
        return self.facts.exact

    def encode(self, text: str) -> list[int]:
        """Ids of a text. StrettoError for a lone surrogate, which no UTF-8 can hold."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text: the same as one by one, and faster."""
        return [encoding.ids for encoding in self._encodings(texts)]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """(ids, ends) of each text: the ids of `encode_batch`, and for each the character offset
        (exclusive) to which it reaches. Ids that share a character have the same end."""
        out = []
        for text, encoding in zip(texts, self._encodings(texts), strict=True):
            ends = self._ends_by_bytes(text, encoding.ids) if self.exact else None
            if ends is None:
                ends = list(accumulate((end for _, end in encoding.offsets), max))
            out.append((encoding.ids, ends))
        return out

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        try:
            return self.model.encode_batch(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise StrettoError(
                "text is not Unicode (a lone surrogate)",
                "text codec",
                "repair the text in its source",
            ) from error

    def _ends_by_bytes(self, text: str, ids: list[int]) -> list[int] | None:
        """From the pieces' lengths; None where they are not the text's bytes after all."""
        if not ids:
            return []
        data, prefix = text.encode(), self.facts.prefix
        ends = list(accumulate(map(self._lengths.__getitem__, ids), initial=-prefix))[1:]
        if ends[-1] != len(data):
            return None
        if prefix:
            ends[0] = max(ends[0], 0)
        if len(data) == len(text):
            return ends
        # a byte other than 10xxxxxx begins a character: how many have begun before each end
        begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
        return np.concatenate([[0], np.cumsum(begins)])[ends].tolist()

    def piece(self, token_id: int) -> bytes:
        """The bytes of one id; empty for an id that the tokenizer skips."""
        if not 0 <= token_id < self.size:
            raise StrettoError(f"text id {token_id} outside of 0..{self.size - 1}", "text codec")
        return self._pieces[token_id]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. A cut through a character gives U+FFFD there and never raises."""
        whole = [int(i) for i in ids]
        if self.facts.style == "other":
            for i in whole:
                self.piece(i)
            return self.model.decode(whole, skip_special_tokens=False)
        data = b"".join(map(self.piece, whole))
        if self.facts.prefix and data.startswith(b" "):
            data = data[self.facts.prefix :]
        return data.decode("utf-8", errors="replace")

    @cached_property
    def _pieces(self) -> list[bytes]:
        return pieces(self.model, self.facts.style, self.size)

    @cached_property
    def _lengths(self) -> list[int]:
        return [len(piece) for piece in self._pieces]

    def __getstate__(self) -> dict[str, Any]:
        dropped = ("_pieces", "_lengths")
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}

    @classmethod
    def digests(cls, folder: Path, where: str) -> dict[str, str]:
        """tokenizer.json alone where there is one, else whatever the tokenizer is made of."""
        if (folder / _FILE).is_file():
            return pinned.digests(folder, (_FILE,), where)
        found = pinned.digests(folder, _SLOW, where)
        if not found:
            raise StrettoError(f"no tokenizer in {folder}", where, f"it needs a {_FILE}")
        return found

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> TextFacts:
        """Facts from the tokenizer itself; `exact` by trying it on hard texts."""
        if not isinstance(options.get("normalize", False), bool):
            raise StrettoError("normalize is true or false", where)
        tokenizer = read_tokenizer(folder, bool(options.get("normalize")), where)
        ids = tokenizer.get_vocab(with_added_tokens=True).values()
        style, size = _style(tokenizer), max(ids, default=-1) + 1
        prefix = 0
        if style == "fallback":
            first = tokenizer.encode("a", add_special_tokens=False).ids[:1]
            prefix = int(b"".join(pieces(tokenizer, style, size)[i] for i in first)[:1] == b" ")
        trial = cls(pinned.Pin("", None, {}, {}), TextFacts(size, style, prefix, True), where)
        trial._model = tokenizer
        exact = style != "other" and all(
            trial.decode(trial.encode(text)) == text for text in ("a", *PROBES)
        )
        return TextFacts(size, style if exact else "other", prefix if exact else 0, exact)

    def load_model(self, folder: Path) -> Tokenizer:
        return read_tokenizer(folder, bool(self.pin.options.get("normalize")), self.where)


def read_tokenizer(folder: Path, normalize: bool, where: str) -> Tokenizer:
    """The `tokenizers.Tokenizer` of a folder, with nothing that adds, cuts or pads."""
    path = folder / _FILE
    try:
        if path.is_file():
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        else:
            auto = transformers_class("AutoTokenizer", where)
            fast = auto.from_pretrained(
                str(folder), local_files_only=True, use_fast=True, trust_remote_code=False
            )
            tokenizer = fast.backend_tokenizer
    except StrettoError:
        raise
    except Exception as error:  # `tokenizers` raises bare Exceptions
        raise StrettoError(
            f"tokenizer cannot be read ({type(error).__name__}: {error})", where
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    if not normalize and tokenizer.normalizer is not None:
        if json.loads(tokenizer.to_str())["normalizer"]["type"] in _FORMS:
            tokenizer.normalizer = None  # type: ignore[assignment]
    return tokenizer


def _style(tokenizer: Tokenizer) -> str:
    """How its tokens hold bytes, by the decoder that it declares."""
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    kinds = {d["type"] for d in [decoder, *decoder.get("decoders", [])] if "type" in d}
    if "ByteLevel" in kinds:
        return "bytes"
    return "fallback" if "ByteFallback" in kinds else "other"


def pieces(tokenizer: Tokenizer, style: str, size: int) -> list[bytes]:
    """The bytes of each id 0..size-1. Added tokens stand for their own text."""
    table = byte_of_char()
    added = {i: t.content for i, t in tokenizer.get_added_tokens_decoder().items()}
    out = []
    for i in range(size):
        token = tokenizer.id_to_token(i)
        if i in added or token is None:
            out.append(added.get(i, "").encode())
        elif style == "bytes" and all(c in table for c in token):
            out.append(bytes(table[c] for c in token))
        elif style == "fallback" and (byte := _BYTE.fullmatch(token)):
            out.append(bytes([int(byte[1], 16)]))
        elif style == "fallback":
            out.append(token.replace("\u2581", " ").encode())
        elif style == "other":
            out.append(tokenizer.decode([i], skip_special_tokens=False).encode())
        else:
            out.append(token.encode())
    return out
