"""The speakable form of a written answer: what `say` is when `write` holds markdown.

Thin on purpose: issue 4 makes it rich (numbers, units, tables told in words, per-kind summaries).
Code and tables are announced, not read, once each; list items and headings become sentences; links
become their text; emphasis marks, emoji and control characters go. Plain text stays as it is but
for white space. Pure and deterministic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from generators.speech.tokens import CONTROLS, EMOJI
from generators.text_split import CLOSERS, STOPS, WIDE_STOPS

# Languages without a phrase leave code and tables out silently.
CODE = {
    "en": "I have written the code for you.",
    "de": "Ich habe den Code für Sie aufgeschrieben.",
    "es": "He escrito el código para usted.",
    "fr": "J'ai écrit le code pour vous.",
    "it": "Ho scritto il codice per lei.",
    "pt": "Escrevi o código para você.",
}
TABLE = {
    "en": "I have put it in a table for you.",
    "de": "Ich habe es für Sie in eine Tabelle geschrieben.",
    "es": "Lo he puesto en una tabla para usted.",
    "fr": "Je l'ai mis dans un tableau pour vous.",
    "it": "L'ho messo in una tabella per lei.",
    "pt": "Coloquei em uma tabela para você.",
}
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
# Under a table's header: dashes, colons and at least one bar.
_TABLE_RULE = re.compile(r"(?=.*\|)(?=.*-)[ \t|:-]+")
_RULE = re.compile(r"[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*")
_BULLET = re.compile(r"[ \t]*(?:>[ \t]?)*(?:[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?|#{1,6}[ \t]+)")
_NUMBER = re.compile(r"[ \t]*(?:>[ \t]?)*\d{1,3}[.)][ \t]+")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_TAGS = "br|b|i|em|strong|p|div|span|ul|ol|li|code|pre|h[1-6]|sub|sup"
_INLINE = (
    (re.compile(r"!?\[([^\[\]]*)\]\((?:[^()\s]|\([^()]*\))*(?:\s+\"[^\"]*\")?\)"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),
    (re.compile(rf"</?(?:{_TAGS})\s*/?>", re.I), " "),
    (re.compile(r"`+([^`]*)`+"), r"\1"),
    (re.compile(r"(?<!\\)(\*\*|__|~~)(?=\S)(.{1,500}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*\\])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w\\])_(?=\S)([^_]+?)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!|~>])"), r"\1"),
)  # fmt: skip
_UNSPOKEN = re.compile(f"[{CONTROLS}{EMOJI}\ufeff]")
# A joiner shapes letters in Indic scripts and Persian: drop it only beside an emoji.
_JOINER = re.compile(f"(?<=[{EMOJI}])\u200d|\u200d(?=[{EMOJI}])")
_SPACE = re.compile(r"\s+")
_FINISHED = re.compile(rf"[{STOPS}{WIDE_STOPS},;:][{re.escape(CLOSERS)}]*$")


def speakable(text: str, language: str = "en") -> str:
    """The words to say for a markdown `text`; "" when nothing of it can be spoken.

    `language` is a tag; it chooses the phrases that announce code and tables.
    """
    base = language.replace("_", "-").split("-")[0].lower()
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = list(_without_blocks(lines, CODE.get(base, ""), TABLE.get(base, "")))
    # One line that begins "3. " may be a date or an answer; two make a list.
    numbered = sum(1 for line in lines if _NUMBER.match(line)) >= 2
    return _SPACE.sub(" ", " ".join(_line(line, numbered) for line in lines)).strip()


def _without_blocks(lines: list[str], code: str, table: str) -> Iterator[str]:
    """The lines with the first fenced code and the first table announced, the others left out."""
    index = 0
    while index < len(lines):
        fence = _FENCE.match(lines[index])
        end = _fence_end(lines, index, fence[1]) if fence else _table_end(lines, index)
        if end == index:
            yield "" if _RULE.fullmatch(lines[index]) else lines[index]
            index += 1
            continue
        yield code if fence else table
        code, table = ("", table) if fence else (code, "")
        index = end


def _fence_end(lines: list[str], index: int, fence: str) -> int:
    """The line after the block that opens at `index`; the text's end when it is never closed."""
    for end in range(index + 1, len(lines)):
        closing = lines[end].strip()
        if closing.startswith(fence) and not closing.strip(fence[0]):
            return end + 1
    return len(lines)


def _table_end(lines: list[str], index: int) -> int:
    """The line after the table whose header is at `index`; `index` when there is none."""
    below = lines[index + 1] if index + 1 < len(lines) else ""
    if "|" not in lines[index] or not _TABLE_RULE.fullmatch(below):
        return index
    end = index + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _line(line: str, numbered: bool) -> str:
    """One line without its marks; an item or a heading ends like a sentence."""
    item = _BULLET.match(line) or (_NUMBER.match(line) if numbered else None)
    mark = item or _QUOTE.match(line)
    body = line[mark.end() :] if mark else line
    for pattern, replacement in _INLINE:
        body = pattern.sub(replacement, body)
    body = _UNSPOKEN.sub(" ", _JOINER.sub("", body)).strip()
    if item and body and not _FINISHED.search(body):
        body += "."
    return body
