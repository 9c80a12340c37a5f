"""Stable ids, the `transformers` tokenizer with the same ids, and a resized model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_samples import RATE_HZ, fitted, path, sound

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet, kinds
from token_schema.codecs.fit import (
    TextSettings,
    VoiceSettings,
    fit_text,
    fit_uniform,
    fit_voice,
)
from token_schema.hf_export import export_tokenizer, full_tokenizer, resize
from token_schema.language import PRESETS, TokenSchema, parse_schema
from token_schema.vocabulary import Codes, Vocabulary

FIFO: dict = {"as": "text", "budget": 4, "end": "<end>", "cut": "<cut>", "idle": "<silence>"}
LISTEN: dict = {"listen": {"as": "codes", "rate_hz": 10, "open": "<l>", "close": "</l>"}}
WRITE: dict = {"write": {**FIFO, "open": "<w>", "close": "</w>"}}
SPEAK: dict = {
    "speak": {"as": "codes", "rate_hz": 10, "codebooks": 4, "open": "<s>", "close": "</s>"}
}
ACT: dict = {"act": {"as": "codes", "open": "<a>", "close": "</a>"}}


def schema_of(*lanes: dict, **more: object) -> TokenSchema:
    head = {"prompt": {"open": "<bop>", "close": "<eop>"}}
    data = {"name": "x", "mode": "interleaved", "clock": {"block_s": 1.0}, **head, **more}
    return parse_schema({**data, "lanes": list(lanes)}, "x.yaml")


def codec_set(schema: TokenSchema) -> CodecSet:
    return CodecSet(schema, fitted())


def meanings(vocabulary: Vocabulary) -> list[str]:
    return [vocabulary.name(i) for i in range(vocabulary.size)]


def test_text_is_first_then_the_head_then_lane_by_lane() -> None:
    codecs = codec_set(schema_of(LISTEN, WRITE, SPEAK, ACT))
    vocabulary, text = codecs.vocabulary, codecs.get("text").size
    assert vocabulary.range("text").start == 0
    names = meanings(vocabulary)
    assert names[:2] == ["text:0", "text:1"]
    assert names[text : text + 4] == ["<bop>", "<eop>", "<l>", "</l>"]
    assert names[text + 4] == "audio:0:0" and names[text + 4 + 64] == "<w>"  # 4 books of 16
    assert names[text + 68 : text + 75] == ["<w>", "</w>", "<silence>", "<end>", "<cut>", "<s>"] + [
        "</s>"
    ]
    assert names[text + 75 : text + 78] == ["<a>", "</a>", "action:0"]
    assert [r.kind for r in vocabulary.ranges] == ["text", "audio", "action"]


def test_a_lane_at_the_end_moves_no_earlier_id() -> None:
    quiet: dict = {"speak": {**SPEAK["speak"], "codebooks": 1}}
    lanes: list[dict] = [LISTEN, WRITE, quiet, ACT]
    for n in range(1, len(lanes)):
        less, more = (codec_set(schema_of(*lanes[:k])).vocabulary for k in (n, n + 1))
        assert meanings(more)[: less.size] == meanings(less) and more.size > less.size
    # another block of the same lane shares all ids
    again: dict = {"write": {**WRITE["write"], "name": "write2", "open": "<w2>", "close": "</w2>"}}
    less = codec_set(schema_of(*lanes)).vocabulary
    more = codec_set(schema_of(*lanes, again)).vocabulary
    assert more.size == less.size + 2


@given(
    st.lists(
        st.sampled_from(["<a>", "<b>", "<c>"])
        | st.builds(Codes, st.sampled_from("xyz"), st.just("audio"), st.just(3), st.just(2)),
        max_size=9,
    )
)
@settings(max_examples=100, deadline=None)
def test_every_id_has_one_name_and_json_comes_back(parts: list[str | Codes]) -> None:
    vocabulary = Vocabulary.build(parts)
    names = meanings(vocabulary)
    assert len(set(names)) == vocabulary.size
    assert [vocabulary.id(name) for name in names] == list(range(vocabulary.size))
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    for n in range(len(parts)):
        assert meanings(Vocabulary.build(parts[:n])) == names[: Vocabulary.build(parts[:n]).size]


def test_a_broken_vocabulary_is_refused() -> None:
    whole = json.loads(codec_set(schema_of(LISTEN)).vocabulary.to_json())
    for change in ({"size": 3}, {"version": 1}, {"specials": {"<l>": 2}}, {"ranges": 7}):
        with pytest.raises(StrettoError, match=r"vocabulary.json"):
            Vocabulary.from_json(json.dumps({**whole, **change}))
    with pytest.raises(StrettoError, match="not a vocabulary"):
        Vocabulary.from_json("[")


# ---- which codecs a schema needs ---------------------------------------------------------------


def test_slots_need_no_codec_and_voices_are_named() -> None:
    slots = {"listen": {"as": "slots", "rate_hz": 5, "slot": "<x>", "open": "<l>", "close": "</l>"}}
    assert kinds(schema_of(slots, WRITE)) == {"text": "text"}
    assert kinds(schema_of(LISTEN, WRITE, prompt=None)) == {"text": "text", "audio": "audio"}
    prompt = {"open": "<bop>", "close": "<eop>", "rows": ["voice", "text"]}
    schema = schema_of(LISTEN, WRITE, prompt=prompt)
    assert kinds(schema) == {"text": "text", "audio": "audio", "voice": "voice"}
    with pytest.raises(StrettoError, match="codec 'voice'.*--schema"):
        CodecSet(schema, fitted())
    clips = fit_voice([("v", sound(1.0, 1))], VoiceSettings(RATE_HZ, 0.5))
    assert "voice" not in str(CodecSet(schema, {**fitted(), "voice": clips}).vocabulary.to_json())
    with pytest.raises(StrettoError, match="named for text and for audio"):
        kinds(schema_of({"listen": {**LISTEN["listen"], "codec": "text"}}, WRITE))


def test_the_declared_type_is_held() -> None:
    uniform = {"codecs": {"action": {"type": "uniform"}}}
    with pytest.raises(StrettoError, match="action.arm: is of type 'fast'.*says 'uniform'"):
        CodecSet(schema_of(LISTEN, ACT, **uniform), fitted())
    held = {**fitted(), "action.arm": fit_uniform([path(50)])}
    assert CodecSet(schema_of(LISTEN, ACT, **uniform), held).vocabulary.range("action").entries == (
        256
    )


# ---- transformers ------------------------------------------------------------------------------


def test_auto_tokenizer_has_the_same_ids(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    codecs = codec_set(schema_of(LISTEN, WRITE, SPEAK, ACT))
    vocabulary = codecs.vocabulary
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        export_tokenizer(codecs, tmp_path / "tokenizer")
    )
    assert len(tokenizer) == vocabulary.size
    for token_id in range(codecs.get("text").size, vocabulary.size):
        name = vocabulary.name(token_id)
        name = name if name.startswith("<") else f"<{name}>"
        assert tokenizer.convert_tokens_to_ids(name) == token_id
        assert tokenizer.convert_ids_to_tokens(token_id) == name
    texts = [
        "the quick brown fox",
        " lazy  dog\n\nopens the drawer",
        "né \U0001f34e e\u0301",
        "a text that says <silence> and <audio:0:3> is text",
        "",
    ]
    for text, ids in zip(texts, codecs.get("text").encode_batch(texts), strict=True):
        assert tokenizer(text)["input_ids"] == ids  # text is the first range: no offset
        assert tokenizer.decode(ids) == text
    mixed = [vocabulary.id("<w>"), *codecs.get("text").encode("fox"), vocabulary.id("</w>")]
    assert tokenizer.decode(mixed) == "<w>fox</w>"
    assert tokenizer.decode(mixed, skip_special_tokens=True) == "fox"
    assert Vocabulary.from_json((tmp_path / "tokenizer/vocabulary.json").read_text()) == vocabulary


def test_a_token_that_the_text_codec_has_already_is_refused() -> None:
    from tokenizers import AddedToken, Tokenizer

    from token_schema.codecs.bpe import TextBPE

    own = Tokenizer.from_str(fitted()["text"].tokenizer.to_str())  # type: ignore[attr-defined]
    own.add_special_tokens([AddedToken("<w>", special=True)])
    codecs = CodecSet(schema_of(LISTEN, WRITE), {**fitted(), "text": TextBPE(own)})
    with pytest.raises(StrettoError, match="<w> is already one of the text codec's"):
        full_tokenizer(codecs)


def test_a_resized_model_keeps_its_text_rows() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    codecs = codec_set(schema_of(LISTEN, WRITE))
    vocabulary, text = codecs.vocabulary, codecs.get("text").size
    for tied, spare in ((False, 0), (True, 5), (False, 500)):
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=text + spare,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=tied,
        )
        model = transformers.LlamaForCausalLM(config).eval()
        ids = torch.arange(6)[None]
        before = model(ids).logits[..., :text].detach()
        old = model.get_input_embeddings().weight.detach()[:text].clone()
        assert resize(model, vocabulary, multiple=8) is model
        rows = model.get_input_embeddings().weight.detach()
        assert len(rows) == -(-vocabulary.size // 8) * 8 == model.config.vocab_size
        assert torch.equal(rows[:text], old)
        assert torch.allclose(model(ids).logits[..., :text], before, atol=1e-6)
        new = rows[text : vocabulary.size]
        away = (new - old.mean(dim=0)).abs() / old.std(dim=0)
        assert 0 < away.max() < 0.2 and len(torch.unique(new, dim=0)) == len(new)
        head = model.get_output_embeddings().weight
        assert (head is model.get_input_embeddings().weight) == tied
        assert head.shape == rows.shape


def test_new_rows_follow_the_name_and_not_the_place() -> None:
    torch = pytest.importorskip("torch")
    small, large = (codec_set(schema_of(*x)).vocabulary for x in ((LISTEN,), (WRITE, LISTEN)))

    def model_rows(vocabulary: Vocabulary) -> dict[str, np.ndarray]:
        transformers = pytest.importorskip("transformers")
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=small.range("text").entries,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
        rows = resize(transformers.LlamaForCausalLM(config), vocabulary).get_input_embeddings()
        table = rows.weight.detach().numpy()
        return {vocabulary.name(i): table[i] for i in range(vocabulary.size)}

    one, two = model_rows(small), model_rows(large)
    assert large.id("audio:3") != small.id("audio:3")
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_model_of_another_tokenizer_is_refused() -> None:
    torch = pytest.importorskip("torch")
    codecs = codec_set(schema_of(LISTEN, WRITE))

    class Small:
        def get_input_embeddings(self) -> object:
            return torch.nn.Embedding(7, 4)

    with pytest.raises(StrettoError, match="7 token embeddings.*hf_text"):
        resize(Small(), codecs.vocabulary)


def test_ellsa_exports_with_another_text_codec() -> None:
    """Ids are checked one by one while exporting, whatever the text codec is."""
    schema = parse_schema(yaml.safe_load((PRESETS / "ellsa.yaml").read_text()), "ellsa.yaml")
    held = {**fitted(), "text": fit_text(["abc"], TextSettings(vocab_size=256))}
    codecs = CodecSet(schema, held)
    full = full_tokenizer(codecs)
    assert full.get_vocab_size(with_added_tokens=True) == codecs.vocabulary.size


def base_tokenizer(folder: Path) -> Path:
    """A pretrained model's tokenizer: its own special tokens behind its BPE, a BOS before texts."""
    from tokenizers import AddedToken, Tokenizer, processors

    own = Tokenizer.from_str(fitted()["text"].tokenizer.to_str())  # type: ignore[attr-defined]
    own.add_special_tokens([AddedToken(t, special=True) for t in ("<|bos|>", "<|im_end|>")])
    own.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", special_tokens=[("<|bos|>", own.token_to_id("<|bos|>"))]
    )
    folder.mkdir()
    own.save(str(folder / "tokenizer.json"))
    return folder


def test_a_base_tokenizer_keeps_its_ids_and_ours_follow(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from token_schema.codecs.pinned import pin

    base = base_tokenizer(tmp_path / "base")
    declared = {"codecs": {"text": {"type": "hf_text", "path": str(base)}}}
    codec = pin("text", "hf_text", str(base))
    codecs = CodecSet(schema_of(LISTEN, WRITE, ACT, **declared), {**fitted(), "text": codec})
    vocabulary = codecs.vocabulary
    ours = transformers.AutoTokenizer.from_pretrained(export_tokenizer(codecs, tmp_path / "ours"))
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(base / "tokenizer.json"))
    assert vocabulary.range("text").entries == codec.size == len(theirs)
    assert len(ours) == vocabulary.size
    for token_id in range(len(theirs)):
        assert ours.convert_ids_to_tokens(token_id) == theirs.convert_ids_to_tokens(token_id)
    for text in ("the lazy dog", "né <|im_end|> <w>"):
        assert ours(text)["input_ids"] == codec.encode(text)
    for name in vocabulary.specials:
        assert ours.convert_tokens_to_ids(name) == vocabulary.id(name) >= len(theirs)
    clash = schema_of({"write": {**WRITE["write"], "close": "<|im_end|>"}}, **declared)
    with pytest.raises(StrettoError, match=r"<\|im_end\|> is already one of the text codec's"):
        full_tokenizer(CodecSet(clash, {"text": codec}))
