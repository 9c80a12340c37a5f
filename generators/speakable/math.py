"""LaTeX in a text: found by a rule of markdown-it, said with signs that every language has words for.

`\\(...\\)`, `\\[...\\]`, `$$...$$` and `$...$` are math; a dollar opens only what looks like a formula, so
prices stay prices. `plain_math(r"\\frac{a}{b} \\le c^2")` is "a ∕ b ≤ c²": `signs.py` says those signs.
Minimal: fractions, roots, powers, the common commands; other commands are said by their name.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

LONGEST = 1000
_CLOSERS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
_FORMULA = re.compile(r"[\\^_={}+*<>]|^[A-Za-z]{1,2}$|^[A-Za-z0-9]\s?[-/]\s?[A-Za-z0-9]$")
# Innermost groups first; a few rounds are enough for what people write.
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]{0,300})\}\s*\{([^{}]{0,300})\}")
_ROOT = re.compile(r"\\sqrt\s*(?:\[[^\[\]]{0,20}\])?\s*\{([^{}]{0,300})\}")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mathbb|mathcal|operatorname|boxed)"
                   r"\s*\{([^{}]{0,300})\}")  # fmt: skip
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]{0,40}\}")
_POWER = re.compile(r"\^\s*(?:\{([^{}]{0,100})\}|(\w))")
_COMMAND = re.compile(r"\\([A-Za-z]{1,30}|.)", re.S)
_SIGNS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥",
    "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "≈", "infty": "∞", "to": "→", "rightarrow": "→",
    "Rightarrow": "→", "implies": "→", "degree": "°", "circ": "°", "lt": "<", "gt": ">", "%": "%",
    "$": "$", "&": "&", "left": "", "right": "", "big": "", "Big": "", "quad": " ", "qquad": " ",
    "displaystyle": "", "limits": "", "nonumber": "", "ldots": "...", "cdots": "...", "dots": "...",
    "\\": ", ",
}  # fmt: skip


def add_math(parser: MarkdownIt) -> None:
    """Teach `parser` math: tokens of type `math` with the LaTeX as content."""
    parser.inline.ruler.before("escape", "math", _rule)


def plain_math(latex: str) -> str:
    """A formula on one line, in signs and letters."""
    text = _ENVIRONMENT.sub(" ", latex)
    for _ in range(4):
        text = _TEXT.sub(r" \1 ", text)
        text = _ROOT.sub(r" √ \1 ", text)
        text = _FRACTION.sub(r" \1 ∕ \2 ", text)
    text = _POWER.sub(_power, text)
    text = _COMMAND.sub(lambda m: _SIGNS.get(m[1], f" {m[1]} " if m[1].isalpha() else " "), text)
    return re.sub(r"[{}_&]+", " ", text)


def _power(match: re.Match[str]) -> str:
    exponent = (match[1] or match[2] or "").strip()
    if exponent in (r"\circ", r"\degree"):
        return "°"
    return {"2": "² ", "3": "³ "}.get(exponent, f"^{exponent} ")


def _rule(state: StateInline, silent: bool) -> bool:
    """An inline rule: at an opener with its closer near, one `math` token."""
    opener = next((o for o in _CLOSERS if state.src.startswith(o, state.pos)), "")
    if not opener:
        return False
    begin = state.pos + len(opener)
    limit = min(begin + LONGEST, state.posMax)
    end = state.src.find(_CLOSERS[opener], begin, limit)
    inner = state.src[begin:end] if end > begin else ""
    if not inner.strip() or opener == "$" and not _is_formula(inner, state.src[end + 1 : end + 2]):
        return False
    if not silent:
        state.push("math", "", 0).content = inner
    state.pos = end + len(_CLOSERS[opener])
    return True


def _is_formula(inner: str, after: str) -> bool:
    """Whether what two single dollars enclose is no pair of prices."""
    if inner[0].isspace() or inner[-1].isspace() or after.isdigit() or "\n" in inner:
        return False
    return bool(_FORMULA.search(inner)) and not (
        inner[0].isdigit() and "\\" not in inner and " " in inner
    )
