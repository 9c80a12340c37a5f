"""The speakable form of structured text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.speakable import CODE, TABLE, speakable

ANSWER = """# Plan for **today**

Here is `foo()` and [a link](http://x.y/z_(a)) 🍎👍🏽 ok:

- first *thing*
- [ ] second thing!
1. Mix
2. Bake

| a | b |
|---|:-:|
| 1 | 2 |

```python
x = 1  # **not** read
```
> quoted __text__
---
"""


@pytest.mark.parametrize("language", ["en", "de-AT", "es", "fr", "it", "pt-BR", "ja"])
def test_code_and_tables_are_announced_not_read(language: str) -> None:
    base = language.split("-")[0]
    wanted = [
        "Plan for today. Here is foo() and a link ok: first thing. second thing! Mix. Bake.",
        TABLE.get(base, ""),
        CODE.get(base, ""),
        "quoted text",
    ]
    assert speakable(ANSWER, language) == " ".join(part for part in wanted if part)


def test_an_open_fence_runs_to_the_end_and_is_said_once() -> None:
    assert speakable("Look:\n```\na\n```\nand\n~~~\nb **c**\n") == f"Look: {CODE['en']} and"
    assert speakable("```\ncode", "ja") == ""


@pytest.mark.parametrize(
    "text",
    [
        "I paid $3.50 for 2 * 3 * 4 in snake_case_name, C# and a*b.",
        "Is 3 < 4 & 5 > 4? See https://example.com/a_b?c=1!",
        "3. Mai passt mir.",
        "a | b",
        "#1 in sales - really",
        "नमस्ते, हूँ\u200d आप कैसे हैं?",
        "你好，我想要一杯咖啡。",
    ],
)
def test_plain_text_is_unchanged(text: str) -> None:
    assert speakable(text) == text


def test_white_space_and_odd_characters_go() -> None:
    assert speakable(" a \t b\r\nc\x00d\x01 1️⃣ 👨‍👩‍👧 e\ud800") == "a b c d 1 e"
    assert speakable(r"\*star\* <br> <b>bold</b> ![alt](x.png)") == "*star* bold alt"


@given(st.text("a*_`#[]()|-> \n1.~", max_size=80) | st.text(max_size=60))
def test_any_text_gives_one_clean_line(text: str) -> None:
    said = speakable(text)
    assert said == " ".join(said.split())
    assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in said)
    if CODE["en"] not in said and TABLE["en"] not in said:
        # What is said was written, in that order: nothing is made up.
        written = iter(text)
        assert all(char in written for char in said if char.isalnum())


@pytest.mark.parametrize("bad", ["|", "**a ", "`", "[", "> ", "![a](", "<b", "_a ", "```\n"])
def test_100_000_characters_take_no_time(bad: str) -> None:
    begin = time.process_time()
    speakable(bad * (100_000 // len(bad)))
    assert time.process_time() - begin < 5
