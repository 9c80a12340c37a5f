"""Addresses and names with signs in them: e-mail, URLs, C++, @names, file names.

    say_addresses("Mail jo@x.org or see https://www.x.org/a?b=1", spelling_of("en"))
    # "Mail jo at x dot org or see x dot org"

An URL is announced by its host alone: nobody can follow a path by ear.
"""

from __future__ import annotations

import re

from generators.speakable.spelling import Spelling

_URL = re.compile(
    r"(?<![\w@])(?:https?|ftp)://(?:www\.)?([^\s/?#<>\"'()\[\]]{1,250})([^\s<>\"\[\]]*)", re.I
)
_WWW = re.compile(r"(?<![\w@.])www\.([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})([^\s<>\"\[\]]*)", re.I)
_EMAIL = re.compile(r"(?<![\w.+-])(?:mailto:)?([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})")
_TOPS = "com|org|net|edu|gov|io|ai|co|uk|de|fr|es|it|nl|eu|info|dev|app|me|tv|ru|cn|jp|br|in|ca|au|ch|at|pl"
_HOST = re.compile(
    rf"(?<![\w.@/-])((?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}(?:{_TOPS}))(?![\w@]|\.\w)((?:/[^\s<>\"\[\]()]*)?)"
)
_TAIL = re.compile(r"[.,;:!?)\]*_]+$")
_PLAIN_NAMES = (
    (re.compile(r"(?<!\w)([A-Za-z])\+\+(?!\w)"), r"\1 {plus} {plus}"),
    (re.compile(r"(?<!\w)([CFJ])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"(?<!\w)\.NET\b"), "{dot} NET"),
    (re.compile(r"(?<![\w.])([\w-]{1,60})\.(js|py|txt|md|json|csv|pdf|html|css|exe|zip|yaml|yml|sh|cpp|docx?|"
                r"xlsx?|png|jpe?g|mp[34]|ts|java|toml|xml)(?!\w)"), r"\1 {dot} \2"),
)  # fmt: skip


def say_addresses(text: str, spelling: Spelling) -> str:
    """`text` with its addresses as they are said; an URL in an unknown language is its host."""
    text = _URL.sub(lambda m: _said_host(m[1], spelling) + _closing(m[2] or m[1], m[1]), text)
    text = _EMAIL.sub(lambda m: _email(m, spelling), text)
    text = _WWW.sub(lambda m: _said_host(m[1], spelling) + _closing(m[2] or "", ""), text)
    text = _HOST.sub(lambda m: _said_host(m[1], spelling) + _closing(m[2], ""), text)
    words = {"plus": "plus", "dot": "."} | dict(spelling.words)
    for pattern, said in _PLAIN_NAMES:
        if "dot" in spelling.words or "{dot}" not in said:
            text = pattern.sub(said.format(**words), text)
    return text


def _said_host(host: str, spelling: Spelling) -> str:
    """ "x.org:80" as "x dot org"."""
    name = _TAIL.sub("", host.split("@")[-1].split(":")[0])
    dot = spelling.words.get("dot")
    return name.replace(".", f" {dot} ").replace("-", " ") if dot else name


def _closing(rest: str, host: str) -> str:
    """The punctuation that closes the sentence, not the address."""
    tail = _TAIL.search(rest)
    found = tail[0].strip("*_") if tail else ""
    # a bracket that the address itself opened is a part of it
    return found[1:] if found.startswith(")") and "(" in rest else found


def _email(match: re.Match[str], spelling: Spelling) -> str:
    words = spelling.words
    if "at" not in words:
        return match[0].removeprefix("mailto:")
    name = re.sub(r"[._+-]+", lambda m: f" {words['dot']} " if m[0] == "." else " ", match[1])
    return f"{name} {words['at']} {_said_host(match[2], spelling)}"
