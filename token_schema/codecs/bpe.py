"""TextBPE: byte-level BPE fitted on the corpus's own text; any Unicode text comes back exactly.

All 256 bytes are in the vocabulary, so no text is unknown. `tokenizers` trains it (its BPE trainer
gives one result for any thread count and input order; Unigram and WordPiece do not). It holds no
special tokens: the token schema adds its own. `tokenizer.json` is the usual file, which
`transformers` reads as well.

    codec = TextBPE.fit(texts, TextSettings(vocab_size=2048))
    codec.decode(codec.encode("hé 🍎")) == "hé 🍎"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from schemas.errors import StrettoError
from token_schema.codecs import base

VERSION = 1
NAME = "tokenizer.json"


@dataclass(frozen=True)
class TextSettings:
    """`vocab_size` counts the 256 bytes; a small corpus may give fewer."""

    vocab_size: int = 2048
    min_frequency: int = 2


def byte_of_char() -> dict[str, int]:
    """The byte each character of the byte-level alphabet stands for (GPT-2's fixed table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


class TextBPE(base.StoredCodec):
    """Byte-level BPE. `tokenizer` is the `tokenizers.Tokenizer`, for who wants more of it."""

    kind = "text"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        table = byte_of_char()
        self._pieces = [
            bytes(table[c] for c in tokenizer.id_to_token(i) or "")
            for i in range(tokenizer.get_vocab_size())
        ]
        self._lengths = [len(piece) for piece in self._pieces]

    @property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of a text. StrettoError for a lone surrogate, which no UTF-8 can hold."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text: the same as one by one, and faster."""
        try:
            out = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise StrettoError(
                "text is not Unicode (a lone surrogate)",
                "text codec",
                "repair the text in its source",
            ) from error
        return [encoding.ids for encoding in out]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """(ids, ends) of each text: the ids of `encode_batch`, and for each the character offset
        (exclusive) to which it reaches. Ids that share a character have the same end."""
        return [
            (ids, self._ends(text, ids))
            for text, ids in zip(texts, self.encode_batch(texts), strict=True)
        ]

    def _ends(self, text: str, ids: list[int]) -> list[int]:
        """The pieces' bytes are the text's bytes, so their lengths alone tell the ends."""
        ends = list(accumulate(self._lengths[i] for i in ids))
        data = text.encode()
        if len(data) == len(text):
            return ends
        # a byte other than 10xxxxxx begins a character: how many have begun before each end
        begins = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
        return np.cumsum(begins)[np.array(ends) - 1].tolist()

    def piece(self, token_id: int) -> bytes:
        """The bytes of one id."""
        if not 0 <= token_id < self.size:
            raise StrettoError(f"text id {token_id} outside of 0..{self.size - 1}", "text codec")
        return self._pieces[token_id]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. A cut through a character gives U+FFFD there and never raises."""
        return b"".join(self.piece(int(i)) for i in ids).decode("utf-8", errors="replace")

    def to_files(self) -> dict[str, bytes]:
        return base.pack(
            self.kind, "bpe", VERSION, {}, {NAME: self.tokenizer.to_str(pretty=False).encode()}
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> TextBPE:
        """The codec of these files; StrettoError when they are not whole."""
        base.unpack(files, "bpe", VERSION, where)
        codec = base.build(_of_json, {"data": files.get(NAME, b"")}, where)
        if set(byte_of_char()) - set(codec.tokenizer.get_vocab()):
            raise StrettoError("tokenizer lacks some of the 256 bytes", where, base.FIX)
        return codec

    @classmethod
    def fit(cls, texts: Iterable[str], settings: TextSettings | None = None) -> TextBPE:
        """Fit on texts; those with lone surrogates are refused, as `encode` would."""
        settings = settings or TextSettings()
        if not 256 <= settings.vocab_size <= 1 << 20:
            raise StrettoError(
                "vocab_size must be at least 256, one for each byte", "codec settings, vocab_size"
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=settings.vocab_size,
            min_frequency=settings.min_frequency,
            show_progress=False,
            special_tokens=[],
            initial_alphabet=sorted(byte_of_char()),
        )
        tokenizer.train_from_iterator((_checked(text) for text in texts), trainer)
        return cls(tokenizer)


def _checked(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise StrettoError(
            "text is not Unicode (a lone surrogate)", "fit text", "repair the text in its source"
        ) from error
    return text


def _of_json(data: bytes) -> TextBPE:
    """`tokenizers` raises bare Exceptions: turned into ValueError for the one error path."""
    try:
        return TextBPE(Tokenizer.from_str(data.decode()))
    except Exception as error:
        raise ValueError(f"{NAME}: {type(error).__name__} {error}") from error
