"""Markdown to sentences: what a page shows, without its marks, in the order in which it is read.

    plain("# Plan\\n- *one*\\n- two", "en")    # "Plan. one. two."

Parsed by markdown-it-py (CommonMark with tables and strikethrough). A heading, a list item and a
paragraph before more text end like a sentence. Code and tables become one announcement each. Tags of
HTML go, their text stays. Numbers and signs are left to `verbal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from generators.speakable.announce import code_phrase, table_phrase
from generators.speakable.math import add_math, plain_math
from generators.speakable.spelling import Spelling, spelling_of
from generators.speech.tokens import CONTROLS, EMOJI
from generators.text_split import CLOSERS, STOPS, WIDE_STOPS

_TAGS = (
    "a|abbr|b|big|blockquote|br|center|code|dd|del|details|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|"
    "mark|ol|p|pre|q|s|samp|small|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|u|ul"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]{{0,500}})?\s?/?>", re.I)
_COMMENT = re.compile(r"<!--(?:(?!-->).){0,500}-->", re.S)
_BULLET = re.compile(r"^([ \t]*)[•●▪◦‣·][ \t]+", re.M)
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
_UNSPOKEN = re.compile(f"[{CONTROLS}{EMOJI}\ufeff\ufffd]")
# A joiner shapes letters in Indic scripts and Persian: drop it only beside an emoji.
_JOINER = re.compile(f"(?<=[{EMOJI}])\u200d|\u200d(?=[{EMOJI}])")
_CODE = re.compile(
    r"[{}=<>\\]|;\s*$|\w\(|^\s*(?:def|import|class|return|\$|#include|>>>)(?:\s|$)", re.M
)
_FINISHED = re.compile(rf"[{STOPS}{WIDE_STOPS},;:，；：、][{re.escape(CLOSERS)}*_]*$")
_LEFTOVER = re.compile(r"\*\*|``|https?://|</\w|\|.*\|")
_SPACE = re.compile(r"\s+")
# A line this short that the next one does not continue was broken on purpose.
_SHORT_LINE = 60
_TSV = re.compile(r"(?:^[^\t\n`]{0,200}\t[^\t\n`]{0,200}\t[^\n`]{0,2000}\n?){3,}", re.M)
# Dozens of brackets open no link, and each would be looked at by markdown-it's link rule.
_BRACKETS = re.compile(r"(?:!?\[){32,}")
_FIRST = re.compile(r"[^\W_]")


def plain(text: str, language: str = "en", role: str = "assistant", announce: bool = True) -> str:
    """`text` on one line without its marks; "" when nothing is left to say."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", " ")
    spelling = spelling_of(language)
    page = _Page(spelling, role, announce, _parse(text))
    parts = [part for part in page.parts() if part.text]
    if not parts and not page.left_out:
        parts = [_Part(_clean(text))]
    if not parts:
        return ""
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        finish = part.closed or after is not None
        part.text += _stop(spelling) if finish and not _FINISHED.search(part.text) else ""
    return _SPACE.sub(" ", " ".join(part.text for part in parts)).strip()


def has_marks(text: str) -> bool:
    """Whether a text that should be plain speech still holds Markdown, a tag or an address."""
    blocks = _parser().parse(text)
    inline = [child.type for block in blocks for child in block.children or []]
    plain_blocks = {block.type for block in blocks} <= {
        "paragraph_open",
        "inline",
        "paragraph_close",
    }
    only_text = set(inline) <= {"text", "text_special", "softbreak"}
    return not plain_blocks or not only_text or bool(_LEFTOVER.search(text))


@dataclass
class _Part:
    """One block's text; `closed` when it ends like a sentence even where nothing follows."""

    text: str
    closed: bool = False


@dataclass
class _Page:
    """Walks the tokens of one text once."""

    spelling: Spelling
    role: str
    announce: bool
    tokens: Sequence[Token]
    open_items: int = 0
    mark: str = ""
    said: set[str] = field(default_factory=set)
    left_out: bool = False

    def parts(self) -> Iterator[_Part]:
        """The blocks in order. Sets `left_out` when code, a table or a picture was passed over."""
        numbered = sum(t.type == "list_item_open" and bool(t.info) for t in self.tokens)
        in_table = in_heading = False
        # a picture without a text has been passed over too
        self.left_out = any(c.type == "image" for t in self.tokens for c in t.children or [])
        for token in self.tokens:
            in_table = token.type == "table_open" or in_table and token.type != "table_close"
            in_heading = (
                token.type == "heading_open" or in_heading and token.type != "heading_close"
            )
            if token.type == "table_close":
                yield self._announced("table")
            elif in_table:
                continue
            elif token.type in ("fence", "code_block"):
                yield self._code(token)
            elif token.type == "inline":
                text = self.mark + _lines(inline_text(token.children or []), self.spelling)
                self.mark = ""
                yield _Part(text, in_heading or self.open_items > 0)
            elif token.type == "list_item_open":
                self.open_items += 1
                # one line that begins "3. " may be a date or an answer; two make a list
                self.mark = f"{token.info}. " if token.info and numbered < 2 else ""
            elif token.type == "list_item_close":
                self.open_items -= 1

    def _code(self, token: Token) -> _Part:
        if token.type == "code_block" and not _CODE.search(token.content):
            return _Part(_clean(token.content), self.open_items > 0)
        return self._announced("code")

    def _announced(self, kind: str) -> _Part:
        """The announcement where the first code or table stands, nothing for the others."""
        self.left_out = True
        if kind in self.said or not self.announce:
            return _Part("")
        self.said.add(kind)
        if kind == "table":
            return _Part(table_phrase(self.spelling, _row_counts(self.tokens), self.role))
        infos = [t.info if t.type == "fence" else "" for t in self.tokens if _is_code(t)]
        return _Part(code_phrase(self.spelling, infos, self.role))


def inline_text(children: Sequence[Token]) -> str:
    """The text of a block's inline tokens."""
    found: list[str] = []
    links: list[tuple[int, str]] = []
    for token in children:
        if token.type in ("text", "code_inline", "text_special"):
            found.append(token.content)
        elif token.type == "math":
            found.append(f" {plain_math(token.content)} ")
        elif token.type in ("softbreak", "hardbreak"):
            found.append("\n")
        elif token.type == "image":
            found.append(inline_text(token.children or []))
        elif token.type == "link_open":
            links.append((len(found), str(token.attrs.get("href", ""))))
        elif token.type == "link_close" and links:
            begin, target = links.pop()
            if not "".join(found[begin:]).strip():  # a link without a text is its address
                found.append(target)
    return "".join(found)


def _lines(text: str, spelling: Spelling) -> str:
    """The lines of a paragraph as one; a short line that is broken on purpose ends like a sentence."""
    lines = [line for line in map(_clean, text.split("\n")) if line]
    for index, after in enumerate(lines[1:]):
        line, first = lines[index], _FIRST.search(after)
        goes_on = first is None or first[0].islower() or len(line) >= _SHORT_LINE
        if not goes_on and not _FINISHED.search(line):
            lines[index] += _stop(spelling)
    return " ".join(lines)


def _clean(text: str) -> str:
    """One line without tags, control characters and emoji."""
    text = _CHECKBOX.sub("", text, 1) if text.startswith("[") else text
    text = _TAG.sub(" ", _COMMENT.sub(" ", text)) if "<" in text else text
    return _SPACE.sub(" ", _UNSPOKEN.sub(" ", _JOINER.sub("", text))).strip()


def _parse(text: str) -> list[Token]:
    text = _BRACKETS.sub(" ", text)
    return _parser().parse(_pasted_tables(_BULLET.sub(r"\1- ", text)))


def _pasted_tables(text: str) -> str:
    """Three or more lines with two tabs or more, as a spreadsheet pastes them, made a table."""
    return _TSV.sub(_as_table, text)


def _as_table(match: re.Match[str]) -> str:
    rows = match[0].strip().split("\n")[1:]
    return "\n".join(["", "", "| |", "|-|", *(row.replace("\t", "|") for row in rows), "", ""])


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # no reference definitions: "[Note]: important" is text in a chat; no HTML: "<your name>" is text
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    add_math(parser)
    return parser


def _is_code(token: Token) -> bool:
    return token.type == "fence" or token.type == "code_block" and bool(_CODE.search(token.content))


def _row_counts(tokens: Sequence[Token]) -> list[int]:
    """The rows of each table, without its header."""
    counts: list[int] = []
    for token in tokens:
        if token.type == "table_open":
            counts.append(-1)
        elif token.type == "tr_open":
            counts[-1] += 1
    return counts


def _stop(spelling: Spelling) -> str:
    return "。" if spelling.base in ("zh", "yue", "ja") else "."
