"""What is said instead of code and tables: one sentence for all code of a text, one for all tables.

    code_phrase(spelling_of("en"), {"py"}, "assistant")  # "I have written the Python code for you."

A language without a phrase leaves code and tables out silently. `without_announcements` takes these
sentences out of a text again, for the consistency score.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from generators.speakable.spelling import Spelling, spelling_of

# The names of a fence's info string, as they are said.
NAMES = {
    "bash": "shell", "sh": "shell", "shell": "shell", "zsh": "shell", "console": "shell",
    "c": "C", "c++": "C plus plus", "cpp": "C plus plus", "c#": "C sharp", "csharp": "C sharp",
    "css": "CSS", "go": "Go", "golang": "Go", "html": "HTML", "java": "Java", "javascript": "JavaScript",
    "js": "JavaScript", "jsx": "JavaScript", "json": "JSON", "julia": "Julia", "kotlin": "Kotlin",
    "latex": "LaTeX", "tex": "LaTeX", "lua": "Lua", "matlab": "Matlab", "perl": "Perl", "php": "PHP",
    "powershell": "PowerShell", "py": "Python", "python": "Python", "python3": "Python", "r": "R",
    "ruby": "Ruby", "rb": "Ruby", "rust": "Rust", "rs": "Rust", "scala": "Scala", "sql": "SQL",
    "swift": "Swift", "ts": "TypeScript", "tsx": "TypeScript", "typescript": "TypeScript",
    "xml": "XML", "yaml": "YAML", "yml": "YAML",
}  # fmt: skip
_INFO = re.compile(r"[\w+#]+")


def code_phrase(spelling: Spelling, infos: Collection[str], role: str) -> str:
    """The sentence for the code of a text; it names the language when all blocks have the same."""
    names = {_name(info) for info in infos}
    name = names.pop() if len(names) == 1 else ""
    key = _key("code", role)
    if name and f"{key}_in" in spelling.words:
        return str(spelling.words[f"{key}_in"]).format(name=name)
    return str(spelling.words.get(key, ""))


def table_phrase(spelling: Spelling, row_counts: Collection[int], role: str) -> str:
    """The sentence for the tables of a text; it says the rows of a single table."""
    rows = next(iter(row_counts)) if len(row_counts) == 1 else 0
    key = _key("table", role)
    if rows > 1 and f"{key}_rows" in spelling.words:
        return str(spelling.words[f"{key}_rows"]).format(rows=spelling.counted(rows))
    return str(spelling.words.get(key, ""))


def without_announcements(text: str, language: str) -> str:
    """`text` without the sentences that announce code and tables."""
    pattern = _announcements(spelling_of(language).base)
    return pattern.sub(" ", text) if pattern else text


def _key(kind: str, role: str) -> str:
    return f"user_{kind}" if role == "user" else kind


def _name(info: str) -> str:
    word = _INFO.match(info.strip().lower())
    return NAMES.get(word[0], "") if word else ""


@lru_cache(maxsize=64)
def _announcements(base: str) -> re.Pattern[str] | None:
    words = spelling_of(base).words
    kinds = [
        f"{who}{kind}"
        for who in ("", "user_")
        for kind in ("code", "code_in", "table", "table_rows")
    ]
    escaped = [re.escape(str(words[key])) for key in kinds if key in words]
    # a name or a count is a few words
    escaped = [re.sub(r"\\{(?:name|rows)\\}", lambda _: "[^.。]{1,60}?", e) for e in escaped]
    return re.compile("|".join(escaped)) if escaped else None
