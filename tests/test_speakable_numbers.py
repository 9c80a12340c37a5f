"""Numbers, units, signs and addresses in words: one line a rule, in several languages."""

from __future__ import annotations

import pytest

from generators.speakable import speakable

ENGLISH = [
    ("1,234.5", "one thousand two hundred thirty-four point five"),
    ("it is 3,5", "it is three, five"),
    ("pi is 3.14159...", "pi is three point one four one five nine..."),
    ("at 3.30pm", "at three thirty PM"),
    ("At 9:05 a.m. Then 12:00", "At nine oh five AM. Then twelve o'clock"),
    ("from 6-7pm", "from six PM to seven PM"),
    ("on 2023-12-25", "on December twenty-fifth, twenty twenty-three"),
    ("on 12/25/2023", "on December twenty-fifth, twenty twenty-three"),
    ("on 13/13/2023", "on thirteen thirteen two thousand twenty-three"),
    ("March 8th, Mar. 3, 2019", "March eighth, March third, twenty nineteen"),
    ("Call 650-941-2900", "Call six five zero, nine four one, two nine zero zero"),
    ("+1 404-745-5000", "plus one, four zero four, seven four five, five zero zero zero"),
    ("pages 3-5, 1914-18", "pages three to five, nineteen fourteen to nineteen eighteen"),
    ("5 - 3 = 2", "five minus three equals two"),
    ("10–20%", "ten to twenty percent"),
    ("1/2 cup, 2 1/2 hours, ¾ tsp", "one half cup, two and a half hours, three quarters teaspoon"),
    ("24/7 and 8/10", "twenty-four seven and eight out of ten"),
    ("v2.0, Python 3.11.7", "version two point zero, Python three point eleven point seven"),
    ("90 km/h, -5 °C, 16GB", "ninety kilometers per hour, minus five degrees Celsius, sixteen gigabytes"),
    ("an 8 oz cup of 12 oz", "an eight ounce cup of twelve ounces"),
    ("$3.50, $1, $0.99, £2", "three dollars and fifty cents, one dollar, ninety-nine cents, two pounds"),
    ("$5k or $1.5 million", "five thousand dollars or one point five million dollars"),
    ("in 1984, the 1990s, '80s", "in nineteen eighty-four, the nineteen nineties, eighties"),
    ("2500 people", "two thousand five hundred people"),
    ("the 1st and 22nd", "the first and twenty-second"),
    ("id 00712 and 123456789012", "id zero zero seven one two and one two three four five six seven eight"
     " nine zero one two"),
    ("GPT-4, MP3, RTX 3070", "GPT four, MP three, RTX thirty seventy"),
    ("R&D, A -> B, ~5, 5+", "R and D, A to B, about five, five plus"),
    ("x^2 >= 4", "x squared at least four"),
    (r"$\frac{a}{b} \times \sqrt{c}$ but $5 and $6", "a over b times the square root of c but five dollars"
     " and six dollars"),
    ("jo.x@ex-a.org", "jo dot x at ex a dot org"),
    ("See https://www.x.org/a?b=1.", "See x dot org."),
    ("C++, C#, snake_case, run()", "C plus plus, C sharp, snake case, run"),
    ("e.g. tea, cats etc. and so on :)", "for example, tea, cats etcetera and so on"),
    ("#1 of 5'10\"", "number one of five foot ten"),
]  # fmt: skip
OTHERS = [
    ("de", "120 km/h um 14:30 Uhr", "einhundertzwanzig Kilometer pro Stunde um vierzehn Uhr dreißig"),
    ("de", "1.234,56 €, z.B. 5 %", "eintausendzweihundertvierunddreißig Euro sechsundfünfzig, zum Beispiel"
     " fünf Prozent"),
    ("de", "Am 25.12.2023, 3,5", "Am 25. Dezember zweitausenddreiundzwanzig, drei Komma fünf"),
    ("fr", "à 15h30, 1 000 000, le 1er, 1 h", "à quinze heures trente, un million, le premier, une heure"),
    ("es", "21 km a las 1:30", "veintiún kilómetros a las una y treinta"),
    ("it", "3-5 kg", "tre a cinque chilogrammi"),
    ("pt-BR", "50% de 1/4", "cinquenta por cento de um quarto"),
    ("nl", "om 9:00 uur", "om negen uur"),
    ("zh", "我有2只猫，2024年，5km，50%", "我有两只猫，二零二四年，五公里，百分之五十"),
    ("ru", "21 км + 5", "двадцать один километр плюс пять"),
    ("hi", "5 km", "पाँच किलोमीटर"),
    ("ja", "5 kmと15:30", "5 kmと15:30"),
    ("xx", "5 km & 3.5", "5 km & 3.5"),
]  # fmt: skip


@pytest.mark.parametrize("text, said", ENGLISH)
def test_english(text: str, said: str) -> None:
    assert speakable(text) == said


@pytest.mark.parametrize("language, text, said", OTHERS)
def test_other_languages(language: str, text: str, said: str) -> None:
    assert speakable(text, language) == said


def test_no_digit_is_left_where_the_language_has_numbers() -> None:
    text = (
        "1 2.5 3,000 4th 5/6 7-8 9:10 €11.12 13% v1.4 15-16-17 0x18 19 °C 2020-21-22 1e5 #23 24/25"
    )
    assert not any(char.isdigit() for char in speakable(text))
