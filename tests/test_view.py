"""The page of `stretto view`: self-contained, safe with hostile text, alive in a browser."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpus_fixture import dialogue, fit_codecs, members, real_corpus, robot

from jobs.page import build_page, json_block
from jobs.page.sample_data import jpeg, peaks, sample_data
from jobs.view import MAX_SAMPLES, candidates, pick, run
from pipeline.media import MemberMedia
from pipeline.stream import open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Timeline

HOSTILE = (
    '</script><script>document.title="owned"</script><img src=x onerror=document.title="owned">'
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


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


# ---- without a browser ---------------------------------------------------------------------------


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


def test_hostile_text_stays_data() -> None:
    page = page_of(hostile())
    found = Elements(page)
    assert len(found.scripts) == 2
    assert [tag for tag, _ in found.tags].count("img") == 1  # the frame's own
    sample = json.loads(found.scripts[0])["samples"][0]
    assert sample["context"]["task"] == HOSTILE
    assert sample["labels"][0]["note"] == HOSTILE


def test_nothing_is_loaded_from_anywhere() -> None:
    page = page_of(dialogue(), robot())
    for tag, attributes in Elements(page).tags:
        assert not {"src", "href", "action", "onclick"} & attributes.keys(), tag
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1] and "http" not in policy[1]
    assert "innerHTML" not in page and "insertAdjacentHTML" not in page


def test_a_json_block_cannot_end_its_element() -> None:
    value = {"a": "</script><!--", "b": "\u2028&amp;"}
    text = json_block(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError):
        json_block(float("nan"))


def test_a_placeholder_in_the_data_is_not_filled() -> None:
    assert "{{script}}" in build_page("{{script}}", "", [])


def test_peaks_are_the_extremes_of_each_5_ms() -> None:
    pcm = np.zeros(16000, np.int16)
    pcm[8000], pcm[8010] = -20000, 10000
    found = peaks(pcm, 16000)
    values = np.frombuffer(base64.b64decode(found["base64"]), np.int8).reshape(-1, 2)
    assert values.shape == (200, 2)
    assert values[100].tolist() == [-127, 64]
    assert not values[:100].any() and not values[101:].any()


def test_pictures_are_small_jpegs_of_the_frame() -> None:
    from av import open as av_open

    frame = np.zeros((480, 641, 3), np.uint8)
    frame[:, 320:] = 255
    with av_open(io.BytesIO(jpeg(frame))) as container:
        small = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert small.shape == (240, 320, 3)
    assert small[:, :150].max() < 30 and small[:, 170:].min() > 220


def test_the_first_samples_show_each_kind() -> None:
    rows = [
        {"key": f"k{i}", "subset": "dialogue", "language": "en", "behaviours": []}
        for i in range(20)
    ]
    rows[12]["behaviours"] = ["barge_in"]
    rows[15]["language"] = "de"
    rows[18]["subset"] = "arm"
    picked = [r["key"] for r in pick(rows)]
    assert picked[:4] == ["k0", "k18", "k12", "k15"]
    assert len(picked) == len(set(picked)) == MAX_SAMPLES


def test_many_languages_leave_room_for_each_subset() -> None:
    rows = [
        {"key": f"k{i}", "subset": "dialogue", "language": f"l{i}", "behaviours": []}
        for i in range(20)
    ]
    robot_row = {
        "key": "r",
        "subset": "arm",
        "language": "en",
        "behaviours": ["speak_while_acting"],
    }
    assert "r" in [r["key"] for r in pick([*rows, robot_row])]


def test_candidates_are_few_and_enough() -> None:
    """`pick` takes the same rows from the candidates as from the whole index."""
    made = [
        {
            "key": f"k{i}",
            "subset": "arm" if i % 97 == 50 else "dialogue",
            "language": "en" if i % 31 else "de",
            "behaviours": ["barge_in", "yield"] if i % 53 == 52 else [],
        }
        for i in range(500)
    ]
    few = candidates(pa.Table.from_pylist(made))
    assert len(few) < 25 and all(made[c["row"]]["key"] == c["key"] for c in few)
    assert [c["key"] for c in pick(few)] == [c["key"] for c in pick(made)]


# ---- a real corpus -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "corpus"
    shutil.copytree(real_corpus(tmp_path_factory.getbasetemp()), folder)
    fit_codecs(folder)
    return folder


def data_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(Elements(path.read_text("utf-8")).scripts[0])["samples"]


def test_the_page_of_a_corpus(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert run(str(corpus), None, str(out)) == 0
    assert out.stat().st_size < 15_000_000
    samples = data_of(out)
    assert 2 <= len(samples) <= MAX_SAMPLES
    assert len({s["subset"] for s in samples}) == 2
    with_frames = next(s for s in samples if s["look"])
    assert len(with_frames["look"][0]["frames"]) == int(np.ceil(with_frames["duration_s"]))


def test_tokens_on_the_page_are_those_of_the_compiler(corpus: Path, tmp_path: Path) -> None:
    from token_schema.codec_set import CodecSet
    from token_schema.encode import compile_sample
    from token_schema.language import load_schema

    out = tmp_path / "page.html"
    opened = open_corpus(str(corpus))
    key = opened.row(0)["key"]
    assert run(str(corpus), key, str(out)) == 0
    (sample,) = data_of(out)
    schema = load_schema("ellsa")
    timeline, media = opened.read(0)
    tokens = compile_sample(schema, CodecSet.load(opened.store, schema), timeline, media)
    shown = [i for block in sample["tokens"]["blocks"] for lane in block["lanes"] for i, _ in lane]
    assert shown == tokens.ids.tolist()


def test_no_tokens_are_said(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema that lies elsewhere: the page is made, and the reason stands on it and in the log."""
    copy = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    about = json.loads((copy / "dataset.json").read_bytes())
    about["config"]["schema"] = "mine.yaml"
    (copy / "dataset.json").write_text(json.dumps(about))
    assert run(str(copy), open_corpus(str(copy)).row(0)["key"], str(tmp_path / "page.html")) == 0
    (sample,) = data_of(tmp_path / "page.html")
    assert sample["tokens"] is None and "not at mine.yaml" in sample["no_tokens"]
    assert "not at mine.yaml" in capsys.readouterr().out


def test_an_unknown_key_names_known_ones(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no sample 'nope'.*keys are like dialogues-0-"):
        run(str(corpus), "nope", str(tmp_path / "page.html"))


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: the page is not tested in a browser")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


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

    def close(self) -> None:
        assert self.complaints == []
        assert [r for r in self.requests if not r.startswith(("file:", "data:"))] == []
        self.page.close()


def test_the_page_plays_in_a_browser(browser: Any, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    run(str(corpus), None, str(out))
    sample = data_of(out)[0]
    visit = Visit(browser, out)
    words = visit.page.locator(".lane.c-listen .word").all_text_contents()
    assert words == [w["text"] for e in sample["hear"] for w in e["words"]]
    assert visit.clock_s() == 0.0
    visit.page.click("#play")
    visit.wait_until(0.5)
    assert visit.page.get_attribute("#play", "aria-label") == "Pause"
    visit.page.keyboard.press("Space")
    assert visit.page.get_attribute("#play", "aria-label") == "Play"
    stopped_s = visit.clock_s()
    visit.page.wait_for_timeout(200)
    assert visit.clock_s() == stopped_s
    visit.page.locator("#stage").focus()
    visit.page.keyboard.press("ArrowRight")
    assert visit.clock_s() == pytest.approx(stopped_s + 1, abs=0.11)
    visit.close()


def test_tokens_stand_under_their_block_and_open(
    browser: Any, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    run(str(corpus), None, str(out))
    tokens = data_of(out)[0]["tokens"]
    visit = Visit(browser, out)
    cells = visit.page.locator(".lane.tokens").nth(0).locator(".cell")
    assert cells.count() == len(tokens["blocks"]) - 1
    ruler = visit.page.locator(".ruler .at").nth(3).bounding_box()
    cell = cells.nth(3).bounding_box()
    assert cell["x"] == pytest.approx(ruler["x"], abs=1)
    cells.nth(3).click()
    shown = visit.page.locator("#inspector .id").all_text_contents()
    wanted = [str(i) for lane in tokens["blocks"][4]["lanes"] for i, _ in lane]
    assert [text.split()[0] for text in shown] == wanted
    visit.page.fill("#zoom", "240")
    assert cells.nth(3).bounding_box()["width"] == pytest.approx(240, abs=1)
    visit.close()


def test_hostile_text_is_shown_and_not_run(browser: Any, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text(page_of(hostile(), robot()), "utf-8")
    visit = Visit(browser, out)
    assert visit.page.title() == HOSTILE
    assert HOSTILE in visit.page.locator(".text").first.text_content()
    visit.page.locator(".text").first.click()
    visit.page.locator(".label").first.click()
    assert HOSTILE in visit.page.locator("#inspector").text_content()
    visit.page.locator("#picker button").nth(1).click()
    visit.page.locator(".thumb").first.click()
    assert visit.page.locator("#frame").is_visible()
    assert visit.page.title() == HOSTILE
    visit.close()


def test_the_content_policy_stops_a_script_that_came_in(browser: Any, tmp_path: Path) -> None:
    """The second wall: even a script in the markup itself is not run."""
    out = tmp_path / "page.html"
    page = page_of(dialogue()).replace("<main>", '<main><script>document.title="owned"</script>')
    out.write_text(page, "utf-8")
    visit = Visit(browser, out)
    assert visit.page.title() == HOSTILE
    assert any("Content Security Policy" in text for text in visit.complaints)
    visit.page.close()
