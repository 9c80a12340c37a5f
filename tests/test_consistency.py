"""The score that says how well the spoken words agree with the written ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.consistency import consistency
from generators.speakable import speakable

WRITE = "The train leaves at 9:45 from platform 12.\n\n- Bring **water**\n- Bring 2 maps\n"


@given(st.text("ab 1.,%$*_`#[]()|-> \n一二", max_size=80))
def test_what_the_rules_say_scores_1(text: str) -> None:
    assert consistency(text, speakable(text)) == 1.0


@pytest.mark.parametrize("language", ["en", "de", "fr", "zh", "ru", "xx"])
def test_code_and_tables_count_on_neither_side(language: str) -> None:
    text = "See:\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert consistency(text, speakable(text, language), language) == 1.0
    assert consistency(text, "See:", language) == 1.0


def test_dropped_content_lowers_it_more_the_more_is_dropped() -> None:
    one = consistency(WRITE, "The train leaves at 9:45 from platform 12. Bring 2 maps.")
    two = consistency(WRITE, "The train leaves at 9:45 from platform 12.")
    assert 1 > one > two > consistency(WRITE, "Bye.") == 0


def test_a_wrong_number_costs_more_than_a_wrong_word() -> None:
    said = speakable(WRITE)
    wrong_word = consistency(WRITE, said.replace("water", "bread"))
    wrong_number = consistency(WRITE, speakable(WRITE.replace("12", "13")))
    assert wrong_number < wrong_word < 1


def test_things_made_up_lower_it() -> None:
    assert consistency("It rains.", "It rains. It also snows in the hills today.") < 0.5


def test_digits_and_words_are_the_same_number() -> None:
    assert consistency("I have 12 cats.", "I have twelve cats.") == 1.0
    assert consistency("I have twelve cats.", "I have 12 cats.") == 1.0


def test_an_announcement_in_other_words_costs_little() -> None:
    text = "Here is how to add two numbers in the shell.\n\n```sh\necho $((1 + 2))\n```\n"
    said = "Here is how to add two numbers in the shell. I put it on your screen."
    assert 0.7 < consistency(text, said) < 1


def test_chinese_is_compared_by_character() -> None:
    assert consistency("我想要一杯咖啡。", "我想要一杯咖啡", "zh") == 1.0
    assert 0.4 < consistency("我想要一杯咖啡。", "我想要一杯茶。", "zh") < 1
