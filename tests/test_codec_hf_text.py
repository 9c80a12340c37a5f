"""Hugging Face text tokenizers of each family, built small here and loaded from disk by path."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.bpe import TextBPE
from token_schema.codecs.pinned import pin

CORPUS = [
    "The kettle is on the second shelf, next to the blue cups.",
    "Wait, do you mean the one by the door? Yes, that one.",
    "Ünïcödé, naïve café, 中文和日本語, and 👩‍👩‍👧 too.",
] * 4
HARD = [
    "",
    "a",
    " ",
    "  two  spaces  ",
    "line\n\n\tend \r\n",
    "naïve café 中文 한국어",
    "👩‍👩‍👧 says 🇪🇺",
    "e\u0301 decomposed, \ufb01 ligature",
    "<|im_end|> <s> </s> is text here",
    "\x00\x01\ufeff",
]


def _save(tokenizer: Tokenizer, folder: Path) -> Path:
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def qwen_like(folder: Path) -> Path:
    """Byte level, NFC, a regex, a special token, a template that would add one, truncation."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = Regex(r"\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(split, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", special=True)])
    end = tokenizer.token_to_id("<|im_end|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", end)]
    )
    tokenizer.enable_truncation(5)
    return _save(tokenizer, folder)


def llama2_like(folder: Path) -> Path:
    """SentencePiece's BPE with byte fallback and a space put before every text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    first = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=first, limit_alphabet=40
    )
    tokenizer.train_from_iterator(CORPUS[:2], trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]  # bytes are plain vocabulary in the real ones
    return _save(Tokenizer.from_str(json.dumps(data)), folder)


def bert_like(folder: Path) -> Path:
    """WordPiece in lower case: it loses case, spaces and what it does not know."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, show_progress=False, special_tokens=["[UNK]", "[CLS]"]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _save(tokenizer, folder)


MAKERS = {"qwen": qwen_like, "llama2": llama2_like, "bert": bert_like}


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {n: pin("text", "hf_text", str(make(root / n))) for n, make in MAKERS.items()}


def test_what_each_family_promises(codecs: dict[str, Any]) -> None:
    found = {n: (c.facts.style, c.facts.prefix, c.exact) for n, c in codecs.items()}
    assert found == {
        "qwen": ("bytes", 0, True),
        "llama2": ("fallback", 1, True),
        "bert": ("other", 0, False),
    }
    for codec in codecs.values():
        assert codec.kind == "text" and isinstance(codec, base.Codec)
        assert codec.size == codec.model.get_vocab_size()


@pytest.mark.parametrize("name", ["qwen", "llama2"])
def test_hard_texts_come_back_exactly(codecs: dict[str, Any], name: str) -> None:
    codec = codecs[name]
    for text, ids in zip(HARD, codec.encode_batch(HARD), strict=True):
        assert codec.decode(ids) == text
        assert ids == codec.encode(text)
        whole = b"".join(codec.piece(i) for i in ids)
        assert whole.decode() == (" " * codec.facts.prefix + text if text else "")


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_any_text_comes_back_with_its_ends(codecs: dict[str, Any], text: str) -> None:
    for name in ("qwen", "llama2"):
        codec = codecs[name]
        ((ids, ends),) = codec.encode_spans([text])
        assert codec.decode(ids) == text and ids == codec.encode(text)
        assert len(ends) == len(ids) and ends == sorted(ends)
        assert not text or ends[-1] == len(text)
        for k, end in enumerate(ends):  # the ids so far hold the text up to there, and no more
            so_far = b"".join(codec.piece(i) for i in ids[: k + 1])[codec.facts.prefix :]
            assert text[:end].encode().startswith(so_far) and (
                end == 0 or len(text[: end - 1].encode()) < max(1, len(so_far))
            )


def test_ends_agree_with_the_embedded_codecs(codecs: dict[str, Any]) -> None:
    """A byte-level tokenizer by path and TextBPE of the same file: one and the same."""
    codec = codecs["qwen"]
    same = TextBPE(codec.model)
    texts = [t for t in HARD if t and "<|im_end|>" not in t]
    assert codec.encode_spans(texts) == same.encode_spans(texts)


def test_a_special_token_in_a_text_stays_text(codecs: dict[str, Any]) -> None:
    codec = codecs["qwen"]
    end = codec.model.token_to_id("<|im_end|>")
    ids = codec.encode("over <|im_end|> now")
    assert end not in ids and end == codec.size - 1
    assert codec.piece(end) == b"<|im_end|>"


def test_nothing_is_added_cut_or_padded(codecs: dict[str, Any]) -> None:
    ids = codecs["qwen"].encode(CORPUS[0] * 5)
    assert len(ids) > 20 and codecs["qwen"].decode(ids) == CORPUS[0] * 5


def test_ids_are_the_tokenizers_own(codecs: dict[str, Any], tmp_path: Path) -> None:
    """As `transformers` gives them for the same file, where the text is plain."""
    transformers = pytest.importorskip("transformers")
    folder = qwen_like(tmp_path / "q")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text in [*CORPUS[:3], "  two  spaces "]:
        want = fast(text, add_special_tokens=False, truncation=False)["input_ids"]
        assert codecs["qwen"].encode(text) == want


def test_a_normaliser_can_be_kept(tmp_path: Path) -> None:
    folder = qwen_like(tmp_path / "q")
    codec = pin("text", "hf_text", str(folder), options={"normalize": True})
    assert not codec.exact
    assert codec.decode(codec.encode("e\u0301")) == "\u00e9"


def test_a_tokenizer_that_loses_says_so_and_works(codecs: dict[str, Any]) -> None:
    codec = codecs["bert"]
    ids = codec.encode("The Kettle is on")
    assert codec.decode(ids) == "the kettle is on"
    ((again, ends),) = codec.encode_spans(["The Kettle is on"])
    assert again == ids and ends == sorted(ends) and ends[-1] == 16
    assert codec.piece(ids[0])


def test_a_cut_through_a_character_does_not_raise(codecs: dict[str, Any]) -> None:
    for name in ("qwen", "llama2"):
        ids = codecs[name].encode("𝔘")
        assert len(ids) >= 4 and "\ufffd" in codecs[name].decode(ids[:-1])


def test_lone_surrogates_and_ids_out_of_range_are_refused(codecs: dict[str, Any]) -> None:
    codec = codecs["qwen"]
    with pytest.raises(StrettoError, match="lone surrogate"):
        codec.encode("\ud800")
    with pytest.raises(StrettoError, match=r"outside of 0\.\."):
        codec.decode([codec.size])


def test_kept_changed_and_gone(tmp_path: Path) -> None:
    folder = qwen_like(tmp_path / "q")
    codec = pin("text", "hf_text", str(folder))
    base.save(codec, tmp_path / "text")
    assert sorted(p.name for p in (tmp_path / "text").iterdir()) == ["codec.json"]
    loaded: Any = base.load(tmp_path / "text", expect_hash=codec.hash)
    assert loaded.encode_batch(HARD) == codec.encode_batch(HARD)
    assert pickle.loads(pickle.dumps(loaded)).encode_batch(HARD) == codec.encode_batch(HARD)

    path = folder / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    fresh: Any = base.load(tmp_path / "text")
    assert fresh.size == codec.size
    with pytest.raises(StrettoError, match=r"weights changed: .*tokenizer\.json"):
        fresh.encode("a")
    path.unlink()
    with pytest.raises(StrettoError, match="no tokenizer in"):
        fresh.encode("a")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(StrettoError, match="tokenizer cannot be read"):
        pin("text", "hf_text", str(folder))


def test_a_file_is_a_path_too(tmp_path: Path) -> None:
    folder = qwen_like(tmp_path / "q")
    one = pin("text", "hf_text", str(folder / "tokenizer.json"))
    assert one.encode("the cups") == pin("text", "hf_text", str(folder)).encode("the cups")


def test_a_folder_without_tokenizer_json_goes_through_autotokenizer(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    data = json.loads((qwen_like(tmp_path / "q") / "tokenizer.json").read_text(encoding="utf-8"))
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(data["model"]["vocab"]), encoding="utf-8")
    merges = [" ".join(m) if isinstance(m, list) else m for m in data["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "GPT2Tokenizer"}), encoding="utf-8"
    )
    codec = pin("text", "hf_text", str(folder))
    assert codec.exact and sorted(codec.pin.weights) == [
        "merges.txt",
        "tokenizer_config.json",
        "vocab.json",
    ]
    assert codec.decode(codec.encode(CORPUS[2])) == CORPUS[2]
