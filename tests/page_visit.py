"""Pages of `stretto view` for tests: made of hostile samples, taken apart, opened in a browser."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path
from typing import Any

from corpus_fixture import dialogue, members

from jobs.page import build_page
from jobs.page.sample_data import sample_data
from pipeline.media import MemberMedia
from schemas.timeline import Timeline

HOSTILE = (
    '</script><script>document.title="owned"</script><img src=x onerror=document.title="owned">'
)


def hostile() -> Timeline:
    """Every free text of a sample is an attack."""
    timeline = dialogue()
    agent = tuple(
        e.model_copy(update={"text": HOSTILE + e.text}) if e.kind == "write" else e
        for e in timeline.agent
    )
    context = timeline.context.model_copy(update={"system": HOSTILE, "task": HOSTILE})
    source = timeline.provenance.model_copy(update={"source": HOSTILE, "notes": (HOSTILE,)})
    label = timeline.labels[0].model_copy(update={"note": HOSTILE, "heard": HOSTILE})
    return timeline.model_copy(
        update={
            "agent": agent,
            "context": context,
            "provenance": source,
            "labels": (label, *timeline.labels[1:]),
        }
    )


def page_of(*timelines: Timeline) -> str:
    made = [
        sample_data({"split": "train"}, t, MemberMedia(members(t)), None, "") for t in timelines
    ]
    return build_page(HOSTILE, HOSTILE, made)


class Elements(html.parser.HTMLParser):
    """The elements of the page and the text of its scripts, as a browser would split them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] += data


def data_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(Elements(path.read_text("utf-8")).scripts[0])["samples"]


class Visit:
    """A page opened from a file, with what it complained of and asked for."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1300, "height": 900})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())

    def clock_s(self) -> float:
        minutes, _, seconds = self.page.text_content("#clock").partition(":")
        return 60 * int(minutes) + float(seconds)

    def wait_until(self, time_s: float) -> None:
        """Wait for the clock. The page's policy forbids `wait_for_function`: it evaluates text."""
        for _ in range(200):
            if self.clock_s() >= time_s:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the clock stands at {self.clock_s()} s")

    def card_ids(self) -> list[int]:
        """The ids on the card that lies open."""
        shown = self.page.locator("#inspector .id").all_text_contents()
        return [int(text.split()[0]) for text in shown]

    def close(self) -> None:
        assert self.complaints == []
        assert [r for r in self.requests if not r.startswith(("file:", "data:"))] == []
        self.page.close()
