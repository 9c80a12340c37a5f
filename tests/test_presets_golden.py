"""Every preset on one tiny Timeline, each id worked out by hand.

The Timeline: "OK" is heard from 0.2 to 0.6 s; at 0.8 s the answer "ABC DE" is decided, written then
and said from 1.0 s ("ABC") to 1.4 s and on ("DE") to 1.8 s. It lasts 2.4 s; all sound is digital
silence, which is code 0 of every codebook. Capitals and the space are single bytes of the tiny BPE.
"""

from __future__ import annotations

import numpy as np
import pytest
from preset_codecs import all_codecs, preset_set
from schema_samples import ArrayMedia, sample

from schemas.timeline import Hear, Piece, Say, TimedWord, Timeline, Write
from token_schema import compile_sample, load_schema
from token_schema.language import list_presets
from token_schema.tokens import Tokens

LETTERS = ["'A'", "'B'", "'C'", "' '", "'D'", "'E'"]
A, B, C, SPACE, D, E = LETTERS


def word(text: str, at: int, start_s: float, end_s: float) -> TimedWord:
    return TimedWord(
        text=text, char_start=at, char_end=at + len(text), start_s=start_s, end_s=end_s
    )


def tiny() -> tuple[Timeline, ArrayMedia]:
    hear = Hear(
        id="u", text="OK", language="en", voice="u", start_s=0.2, end_s=0.6, plain_s=0.6,
        revealed_s=0.6, words=(word("OK", 0, 0.2, 0.6),),
    )  # fmt: skip
    common = {"decided_s": 0.8, "text": "ABC DE"}
    write = Write(id="w", start_s=0.8, end_s=1.8, planned_end_s=1.8, **common)  # type: ignore[arg-type]
    say = Say(
        id="s", start_s=1.0, end_s=1.8, planned_end_s=1.8, language="en", voice="v",
        words=(word("ABC", 0, 1.0, 1.4), word("DE", 4, 1.4, 1.8)),
        pieces=(Piece(char_start=0, char_end=6, start_s=1.0, end_s=1.8),), **common,
    )  # type: ignore[arg-type]  # fmt: skip
    timeline, media = sample(2.4, [write, say], system="HI")
    quiet = np.zeros_like(media.heard)
    context = timeline.context.model_copy(update={"assistant_voice": "v", "languages": ("F",)})
    changed = {"world": (hear,), "context": context}
    return timeline.model_copy(update=changed), ArrayMedia(quiet, quiet)


def compiled(name: str) -> Tokens:
    timeline, media = tiny()
    return compile_sample(load_schema(name), preset_set(name), timeline, media)


def names(name: str, tokens: Tokens) -> list[str]:
    """The name of each id; a text id is its piece in quotes."""
    codecs = preset_set(name)
    out = []
    for i in tokens.ids.tolist():
        said = codecs.vocabulary.name(i)
        if said.startswith("text:"):
            r = codecs.vocabulary.range("text")
            said = repr(codecs.get("text").piece(i - r.start).decode())
        out.append(said)
    return out


def words(*parts: str | list[str]) -> list[str]:
    """Strings split at spaces (`' '` stands for the letter), lists as they are."""
    out: list[str] = []
    for part in parts:
        out += part.split() if isinstance(part, str) else part
    return out


# ---- blocks ------------------------------------------------------------------------------------


def test_ellsa() -> None:
    """decided 0.8 s is known at the end of block 0: all six tokens and their <silence> fit there."""
    heard = words("<bosp>", ["<speech>"] * 5, "<eosp> <boi> <eoi> <boi> <eoi> <bot>")
    quiet = [*heard, *words("<silence> <eot> <boa> <eoa>")]
    golden = words("<bop> 'H' 'I' <eop>", heard, LETTERS, "<silence> <eot> <boa> <eoa>", quiet * 2)
    assert names("ellsa", compiled("ellsa")) == golden


def test_ellsa_speech() -> None:
    """As ellsa, and behind it 25 codes in block 1, where the answer sounds."""
    heard = words("<bosp>", ["<speech>"] * 5, "<eosp> <boi> <eoi> <boi> <eoi> <bot>")
    rest, quiet = "<eot> <boa> <eoa>", "<bos> <quiet> <eos>"
    golden = words(
        "<bop> 'H' 'I' <eop>", heard, LETTERS, "<silence>", rest, quiet,
        heard, "<silence>", rest, "<bos>", ["audio-25hz:0"] * 25, "<eos>",
        heard, "<silence>", rest, quiet,
    )  # fmt: skip
    assert names("ellsa-speech", compiled("ellsa-speech")) == golden


def test_lws() -> None:
    """Block 0 answers in writing, block 1 is spoken, block 2 listens."""
    heard = words("<unit> <audio>", ["audio:0:0"] * 10, "</audio> <think> <|no_thought|> </think>")
    codes = [f"audio:{q}:0" for q in range(4)] * 10
    golden = words(
        "<|im_start|> 'H' 'I' <|im_end|>",
        heard, "<|speak|> <write>", LETTERS, "<|turn_eos|> </write>",
        "<|tts_bos|> <|tts_pad|> <|tts_eos|> </unit>",
        heard, "<|speak|> <write> <|no_text|> </write> <|tts_bos|>", codes, "<|tts_eos|> </unit>",
        heard, "<|listen|> </unit>",
    )  # fmt: skip
    assert names("lws", compiled("lws")) == golden


def test_minicpm_o() -> None:
    """Its tokens sound from 1.0 s on, so a unit ahead they stand in unit 0 and end it with
    <|turn_eos|>; in unit 1, which only sounds, <|chunk_eos|> stands alone."""
    heard = words("<unit> <image> </image>", ["<audio>"] * 10)
    golden = words(
        "<|im_start|> 'H' 'I' <|im_end|>",
        heard, "<|speak|>", LETTERS, "<|turn_eos|> <|tts_bos|> <|tts_pad|> <|tts_eos|> </unit>",
        heard, "<|speak|> <|chunk_eos|> <|tts_bos|>", ["audio-25hz:0"] * 25, "<|tts_eos|> </unit>",
        heard, "<|listen|> </unit>",
    )  # fmt: skip
    assert names("minicpm-o", compiled("minicpm-o")) == golden


def test_omniflatten() -> None:
    """Chunks of 0.4 s: decided 0.8 s is known at the end of chunk 1; two tokens a chunk from there."""
    code = ["audio-25hz:0"] * 10
    texts = ["<sil> <sil>", [A, B], [C, SPACE], [D, E], "<eos> <sil>", "<sil> <sil>"]
    golden = words(*[x for text in texts for x in (code, text, code)])
    assert names("omniflatten", compiled("omniflatten")) == golden


def test_bayling() -> None:
    """Blocks of 0.8 s. The speech ends at 1.8 s, in block 2: [PAD] until there, then [EPAD]."""
    code = ["audio-12hz5:0"] * 10
    texts = [
        ["<|assistant|>", A, B, C, SPACE],
        [D, E, "[PAD]", "[PAD]", "[PAD]"],
        ["[EPAD]", *["[SILENCE]"] * 4],
    ]
    golden = words(*[x for text in texts for x in (code, text, code)])
    assert names("bayling", compiled("bayling")) == golden


# ---- parallel: 30 steps of 80 ms ---------------------------------------------------------------


def audio(pads: list[int], pad: str, step: int) -> list[str]:
    """Eight codebooks in a step: silence, or the pad in the first steps of a delayed one."""
    return [pad if step < n else f"audio-12hz5:{q}:0" for q, n in enumerate(pads)]


def text_row(at: dict[int, list[str]], idle: str, epad: str | None = None) -> list[str]:
    row = [idle] * 30
    for step, tokens in at.items():
        row[step : step + len(tokens)] = tokens
        if epad:
            row[step - 1] = epad
    return row


def moshi_steps() -> list[str]:
    """1.0 s lies in step 12, 1.4 s in step 17; the space goes with the word behind it."""
    row = text_row({12: [A, B, C], 17: [SPACE, D, E]}, "<pad>", "<epad>")
    late = [0, 1, 1, 1, 1, 1, 1, 1]
    return words(*[[row[t], *audio(late, "<initial>", t) * 2] for t in range(30)])


def test_moshi() -> None:
    assert names("moshi", compiled("moshi")) == moshi_steps()


def roboego_steps(first: int, speak_delay: int, body: bool) -> list[str]:
    row = text_row({first: LETTERS}, "<wait>")
    late = [0, 1, 1, 1, 1, 1, 1, 1]
    spoken = [speak_delay + n for n in late]
    out = []
    for t in range(30):
        out += [row[t], *audio(spoken, "<aud_pad>", t), *["<act_pad>"] * (8 * body)]
        out += [*audio(late, "<aud_pad>", t), *["<img_pad>"] * (4 * body)]
    return out


def test_roboego_and_flm_audio() -> None:
    """The sentence begins in step 12 and its tokens stand side by side; its sound is 2 steps late."""
    assert names("roboego", compiled("roboego")) == roboego_steps(12, 2, True)
    assert names("flm-audio", compiled("flm-audio")) == roboego_steps(12, 2, False)


def test_roboego_trailing() -> None:
    """0.16 s later: 1.16 s lies in step 14; the sound is not delayed."""
    assert names("roboego-trailing", compiled("roboego-trailing")) == roboego_steps(14, 0, True)


def test_personaplex() -> None:
    """50 frames of the voice, 6 of silence, <system> H I <system>, 6 of silence, then Moshi."""
    tokens = compiled("personaplex")
    grid = np.array(names("personaplex", tokens)).reshape(-1, 17)
    live = moshi_steps()
    assert grid[len(grid) - 30 :].reshape(-1).tolist() == live
    head = grid[: len(grid) - 30]
    assert head[:, 0].tolist() == words(["<pad>"] * 56, "<system> 'H' 'I' <system>", ["<pad>"] * 6)
    codec = all_codecs()["audio-12hz5"]
    clip = all_codecs()["voice"].clip("v")  # type: ignore[attr-defined]
    said = codec.encode(clip)  # type: ignore[attr-defined]
    assert said.shape == (50, 8)
    assert head[:50, 1:9].tolist() == [
        [f"audio-12hz5:{q}:{c}" for q, c in enumerate(frame)] for frame in said.tolist()
    ]
    silent = [f"audio-12hz5:{q}:0" for q in range(8)]
    assert all(row.tolist() == silent for row in head[50:, 1:9])
    t = np.arange(len(head) * 1280) / 16000
    sine = np.round(0.1 * 32767 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    heard = codec.encode(sine)  # type: ignore[attr-defined]
    assert head[:, 9:].tolist() == [
        [f"audio-12hz5:{q}:{c}" for q, c in enumerate(frame)] for frame in heard.tolist()
    ]
    assert (tokens.loss[tokens.lane == 255] == 0).all()


# ---- turns: decided at 0.8 s, which is frame 10 of 12.5 Hz ------------------------------------

HEARD = ["audio-12hz5:0"] * 8  # from frame 2, in which "OK" begins, to frame 9
SAID = ["audio-12hz5:0"] * 11  # frames 12 to 22, from 1.0 s to 1.8 s
SYSTEM = "<|system|> 'H' 'I' <|system_end|>"
MOSS_IN = {
    "s": words("<|user|> <|audio_in|>", HEARD, "<|audio_in_end|> <|im_end|>"),
    "t": words("<|user|> <|text_in|> 'O' 'K' <|eot|> <|text_in_end|> <|im_end|>"),
}
MOSS_OUT = {
    "s": words("<|assistant|> <|audio_out|>", SAID, "<|audio_out_end|> <|im_end|>"),
    "t": words("<|assistant|> <|text_out|>", LETTERS, "<|eos|> <|text_out_end|> <|im_end|>"),
}


@pytest.mark.parametrize(
    ("name", "heard", "said"),
    [
        ("moss-speech", "s", "s"),
        ("moss-speech-st", "s", "t"),
        ("moss-speech-ts", "t", "s"),
        ("moss-speech-tt", "t", "t"),
    ],
)
def test_moss_speech(name: str, heard: str, said: str) -> None:
    golden = words(SYSTEM, MOSS_IN[heard], MOSS_OUT[said])
    assert names(name, compiled(name)) == golden


def test_llama_omni() -> None:
    """Slots 1 to 3 of 5 Hz; three of text, ten of speech (frames 25 to 44 of 25 Hz), again."""
    codes = ["audio-25hz:0"] * 10
    golden = words(
        SYSTEM, "<|user|>", ["<speech>"] * 3, "<|user_end|> <|assistant|>",
        [A, B, C], codes, [SPACE, D, E], codes, "<|text_end|> <|eot_id|>",
    )  # fmt: skip
    assert names("llama-omni", compiled("llama-omni")) == golden


def test_speech_translation() -> None:
    """Mel frames in and out, and their numbers beside them; the head names the language."""
    tokens = compiled("speech-translation")
    golden = words(
        "<bos> 'F' <eos> <source>", ["<mel_in>"] * 8, "</source> <target> <speech>",
        ["<mel_out>"] * 11, "</speech> </target>",
    )  # fmt: skip
    assert names("speech-translation", tokens) == golden
    assert tokens.values["listen"].shape == (8, 160) and tokens.values["speak"].shape == (11, 160)
    assert tokens.values["listen"].dtype == np.float32


def test_speech_translation_codes() -> None:
    golden = words(
        "<bos> 'F' <eos> <source>", ["<mel_in>"] * 8, "</source> <target> <text>", LETTERS,
        "<end> </text> <speech>", SAID, "</speech> </target>",
    )  # fmt: skip
    name = "speech-translation-codes"
    assert names(name, compiled(name)) == golden


def test_no_preset_is_without_a_golden() -> None:
    tested = {
        "ellsa", "ellsa-speech", "lws", "minicpm-o", "omniflatten", "bayling", "moshi", "roboego",
        "flm-audio", "roboego-trailing", "personaplex", "moss-speech", "moss-speech-st",
        "moss-speech-ts", "moss-speech-tt", "llama-omni", "speech-translation",
        "speech-translation-codes",
    }  # fmt: skip
    assert set(list_presets()) == tested
