"""The speakable form of structured text: Markdown to sentences, code and tables announced."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.speakable import speakable

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


SAID = {
    "en": ("I have put it in a table for you.", "I have written the Python code for you."),
    "de": ("Ich habe es für Sie in eine Tabelle geschrieben.",
           "Ich habe den Python-Code für Sie aufgeschrieben."),
    "fr": ("Je l'ai mis dans un tableau pour vous.", "J'ai écrit le code Python pour vous."),
    "ja": (),
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "de-AT", "fr", "ja"])
def test_code_and_tables_are_announced_not_read(language: str) -> None:
    stop = "。" if language == "ja" else "."
    wanted = [
        f"Plan for today{stop} Here is foo and a link ok: first thing{stop} second thing!"
        f" Mix{stop} Bake{stop}",
        *SAID[language.split("-")[0]],
        "quoted text",
    ]
    assert speakable(ANSWER, language) == " ".join(wanted)


def test_a_user_shows_code_and_a_table_has_its_rows_counted() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"
    assert speakable(table) == "I have put it in a table with two rows for you."
    assert speakable(f"{table}\n```js\nx\n```", role="user") == (
        "Here is a table with two rows. Here is the JavaScript code."
    )


def test_code_is_said_once_and_by_name_only_when_all_is_of_one_language() -> None:
    assert speakable("```py\na\n```\nand\n~~~python\nb\n~~~\n") == (
        "I have written the Python code for you. and"
    )
    assert speakable("```py\na\n```\n~~~c++\nb\n~~~") == "I have written the code for you."
    assert speakable("Look:\n```\na\n```\nand") == "Look: I have written the code for you. and"
    assert speakable("```\ncode", "ja") == ""
    assert speakable("    x = f(1)\n") == "I have written the code for you."
    assert speakable("    an indented line of prose\n") == "an indented line of prose"


def test_lists_become_sentences() -> None:
    text = "Pack:\n\n1. **Tent**\n   - poles\n   - pegs!\n2. Stove\n\n   It burns gas\n\nBye"
    assert speakable(text) == "Pack: Tent. poles. pegs! Stove. It burns gas. Bye"
    assert speakable("• one\n• two") == "one. two."
    assert speakable("Roses are red\nViolets are blue") == "Roses are red. Violets are blue"


def test_a_pasted_spreadsheet_is_a_table() -> None:
    rows = "".join(f"Model {n}\t{n}00\t{n}%\n" for n in range(1, 5))
    assert (
        speakable(f"Sales:\n{rows}") == "Sales: I have put it in a table with three rows for you."
    )


@pytest.mark.parametrize(
    "text, language",
    [
        ("Is it warm? See the café - really!", "en"),
        ("3. Mai passt mir.", "de"),
        ("Henry VIII and World War II", "en"),
        ("नमस्ते, हूँ\u200d आप कैसे हैं?", "hi"),
        ("你好，我想要一杯咖啡。", "zh"),
        ("3 kmは5です", "ja"),
        ("She said “no” (twice), didn't she?", "en"),
    ],
)
def test_plain_text_is_unchanged(text: str, language: str) -> None:
    assert speakable(text, language) == text


def test_white_space_and_odd_characters_go() -> None:
    assert speakable(" a \t b\r\nc\x00d\x01 1️⃣ 👨‍👩‍👧 e\ud800") == "a b c d one e"
    assert speakable(r"\*star\* <br> <b>bold</b> ![alt](x.png)") == "star bold alt"
    assert speakable("<your name> <!-- no --> [Note]: yes") == "your name Note: yes"


@pytest.mark.parametrize("text", ["", "...", "***", "👍", "<br>", "![](a.png)", "- \n- ", ">>>"])
def test_nothing_to_say_is_the_empty_text(text: str) -> None:
    assert speakable(text) == ""


@given(st.text("a*_`#[]()|-> \n1.~$%&@/:", max_size=80) | st.text(max_size=60))
def test_any_text_gives_one_clean_line(text: str) -> None:
    for language in ("en", "fr", "zh", "xx"):
        said = speakable(text, language)
        assert said == " ".join(said.split())
        assert not any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in said)
        assert said == "" or any(char.isalnum() for char in said)


@given(st.from_regex(r"[\s*_#>.!-]{0,9}[a-zé]{1,9}[\s*_.!-]{0,9}", fullmatch=True))
def test_words_are_never_lost(text: str) -> None:
    assert any(char.isalpha() for char in speakable(text))


@pytest.mark.parametrize(
    "bad",
    ["**a ", "`", "![", ">", "![a](", "@", "# ", "1,", "$1,000", "a\tb\tc\n", "* a\n", "½"],
)  # fmt: skip
def test_100_000_characters_take_no_time(bad: str) -> None:
    begin = time.process_time()
    speakable(bad * (100_000 // len(bad)))
    assert time.process_time() - begin < 5
