"""Makes docs/behaviours.md: each scene behaviour in one sample, as `stretto view` shows it.

    python examples/behaviours.py            # needs Chromium and playwright; about two minutes

One dialogue is written once per behaviour with that one switched to its most; the picture shows the
page around the event. The texts are the docstrings of `schemas/config/scene.py`, so they can't part.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Page, sync_playwright

from jobs import generate, view
from pipeline.stream import open_corpus
from schemas.base import Record
from schemas.config.scene import behaviours
from schemas.timeline import Timeline

DOCS = Path(__file__).resolve().parent.parent / "docs"
CHROMIUM = "/usr/bin/chromium"
LONG = (
    "There are three ways to get to the island, and each of them has its own charm, you see. "
    "You can take the train from the central station, which leaves every hour for the harbour. "
    "Or you can take the slow ferry from the city, which is the best way on a sunny day."
)
ASK = (
    "I want to go to the island on monday with two friends. My brother has a car. "
    "We could drive, but the road is bad, they say. What is the best way?"
)
TALK = (ASK, LONG, "And how much is the slow ferry to the island for three people?", LONG)
# tag -> what is switched on besides, and how the picture finds it
WITH: dict[str, dict[str, Any]] = {
    "proactive": {"dead_air": {"rate": 1, "silence_s": [5, 6]}},
    "user_backchannel": {"user_backchannel": {"per_min": 40}},
    "backchannel": {"backchannel": {"per_min": 60}},
}


def scene_of(tag: str) -> dict[str, Any]:
    """Scene settings with this behaviour at its most and no other."""
    off: dict[str, Any] = dict.fromkeys(behaviours(), False)
    return off | {tag: {"rate": 1}} | WITH.get(tag, {})


def make(tag: str, folder: Path) -> tuple[Path, Timeline]:
    """The page of one sample with this behaviour, and its Timeline."""
    words = [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(TALK)]
    source = folder / "talk.jsonl"
    source.write_text(json.dumps({"id": tag, "messages": words}))
    config = folder / f"{tag}.yaml"
    data = {
        "name": "behaviours",
        "seed": 3,
        "sources": [{"dialogues": {"path": str(source)}}],
        "scene": scene_of(tag),
        "checks": {"vad": False},
    }
    config.write_text(yaml.safe_dump(data))
    out = folder / tag
    generate.run(str(config), str(out))
    corpus = open_corpus(str(out))
    view.run(str(out), None, str(out / "page.html"))
    return out / "page.html", corpus.read(0)[0]


def moment_s(tag: str, timeline: Timeline) -> float:
    """When it happens: what the event is called, else the sample's first pause."""
    names = {"user_backchannel": "backchannel", "cough": "", "background_speech": "background"}
    name = names.get(tag, tag)
    for event in (*timeline.world, *timeline.agent):
        if tag in ("early_answer", "wait_for_more") and getattr(event, "behaviour", "") == "opener":
            return event.start_s
        if tag == "cough" and event.kind == "sound":
            return event.start_s
        if tag == "partial_thoughts" and event.kind == "think":
            return event.start_s
        if name in ("barge_in",) and getattr(event, "behaviour", "") == name:
            return event.start_s
        if name and getattr(event, "behaviour", "") == name:
            return event.start_s
    if tag in ("dead_air", "proactive"):
        says = [e for e in timeline.agent if e.kind == "say"]
        return says[0].end_s + 1.0
    return 2.0


def picture(page: Page, html: Path, at_s: float, path: Path) -> None:
    """The lanes around `at_s`."""
    page.goto(html.as_uri())
    page.evaluate("(at) => { $('stage').scrollLeft = Math.max(0, (at - 4) * state.pps); }", at_s)
    page.wait_for_timeout(300)
    page.locator("#stage").screenshot(path=str(path))


def main() -> None:
    """Write the pictures and the page."""
    folder = DOCS / "behaviours"
    folder.mkdir(exist_ok=True)
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as work, sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 700}, bypass_csp=True)
        for tag, kind in behaviours().items():
            html, timeline = make(tag, Path(work))
            picture(page, html, moment_s(tag, timeline), folder / f"{tag}.png")
            parts.append(section(tag, kind))
        browser.close()
    (DOCS / "behaviours.md").write_text("\n".join(parts))


HEAD = """# Behaviours

Each is a small record in `scene:` of a config: its name is its tag in `index.parquet` (column
`behaviours`), its fields are its parameters, `rate: 0` (`per_min: 0`), or `false` in its place
(`--set scene.cough=false`), switches it off. [scenes.md](scenes.md) says how they keep causality and a
human timing. Made by `python examples/behaviours.py`: one dialogue, each time with one behaviour at its
most.

Tags without a setting of their own: `yield` (the assistant broke off because the user spoke),
`late_overlap` (it was cut in its last words by a user who came in early), `opener` (an opener before
an answer; where the user went on instead it is `early_answer`), `recorded` (people spoke),
`act_on_instruction` and `speak_while_acting` (robots).
"""


def section(tag: str, kind: type[Record]) -> str:
    """A behaviour: what it is, its parameters with their defaults, its picture."""
    text = " ".join((inspect.getdoc(kind) or "").split())
    defaults = yaml.safe_dump(kind().model_dump(mode="json"), default_flow_style=True).strip()
    return (
        f"## `{tag}`\n\n{text}\n\nDefault: `{tag}: {defaults}`\n\n![{tag}](behaviours/{tag}.png)\n"
    )


if __name__ == "__main__":
    main()
