"""The page of `stretto view`: one HTML file with its style, script and data inside, no network.

`build_page(title, corpus, samples) -> str`. A corpus is untrusted: text in the HTML is escaped, the
data stand in a JSON block that cannot end its own element, the script writes text only as text, and
the Content-Security-Policy allows this script and style by hash and nothing from anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = (
    "core.js",
    "audio.js",
    "canvas.js",
    "lanes.js",
    "tokens.js",
    "steps.js",
    "inspector.js",
    "main.js",
)


def build_page(title: str, corpus: str, samples: Sequence[dict[str, Any]]) -> str:
    """The page with `samples` (see `jobs.page.sample_data`), the first one shown."""
    script = "\n".join(_read(name) for name in SCRIPTS)
    style = _read("page.css")
    parts = {
        "csp": policy(script, style),
        "title": html.escape(title),
        "corpus": html.escape(corpus),
        "style": style,
        "script": script,
        "data": json_block({"samples": list(samples)}),
    }
    # one pass: a value that holds another placeholder stays as it is
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _read("page.html"))


def json_block(value: Any) -> str:
    """JSON that may stand inside a <script> element: no `<`, `>` or `&` is left in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def policy(script: str, style: str) -> str:
    """The Content-Security-Policy: this script, this style, embedded pictures; no connection."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
