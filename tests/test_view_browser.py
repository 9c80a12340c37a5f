"""The page of `stretto view` in a browser: it plays, shows every id, and runs nothing of a corpus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus_fixture import dialogue, fit_codecs, real_corpus, robot
from page_visit import HOSTILE, Visit, data_of, hostile, page_of
from view_schemas import SCHEMAS, schema_file

from jobs.view import run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "corpus"
    shutil.copytree(real_corpus(tmp_path_factory.getbasetemp()), folder)
    fit_codecs(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: the page is not tested in a browser")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


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
    units = data_of(out)[0]["tokens"]["units"]
    visit = Visit(browser, out)
    cells = visit.page.locator(".lane.tokens").nth(0).locator(".cell")
    assert cells.count() == len(units) - 1
    ruler = visit.page.locator(".ruler .at").nth(3).bounding_box()
    cell = cells.nth(3).bounding_box()
    assert cell["x"] == pytest.approx(ruler["x"], abs=1)
    cells.nth(3).click()
    assert visit.card_ids() == [i for run in units[4]["runs"] for i in run["ids"]]
    visit.page.fill("#zoom", "240")
    assert cells.nth(3).bounding_box()["width"] == pytest.approx(240, abs=1)
    visit.close()


@pytest.mark.parametrize("timing", SCHEMAS)
def test_every_id_can_be_read(browser: Any, corpus: Path, tmp_path: Path, timing: str) -> None:
    """Opened one after the other, the cards of a sample hold all its ids in order."""
    out = tmp_path / "page.html"
    run(str(corpus), None, str(out), schema_file(tmp_path, timing))
    tokens = data_of(out)[0]["tokens"]
    visit = Visit(browser, out)
    units, found = visit.page.locator(".block"), []
    assert units.count() == len(tokens["units"])
    for k in range(units.count()):
        units.nth(k).dispatch_event("click")
        found += visit.card_ids()
    runs = [run for unit in tokens["units"] for run in unit.get("runs", [])]
    assert found == (tokens.get("ids") or [i for run in runs for i in run["ids"]])
    visit.close()


def test_a_step_opens_where_it_is_clicked(browser: Any, corpus: Path, tmp_path: Path) -> None:
    """Text stands at its step; a square of the raster opens its second and marks its step."""
    out = tmp_path / "page.html"
    run(str(corpus), None, str(out), schema_file(tmp_path, "frames"))
    tokens = data_of(out)[0]["tokens"]
    visit = Visit(browser, out)
    ruler = visit.page.locator(".ruler .at").nth(0).bounding_box()
    first = visit.page.locator(".lane.steps .step").nth(0)
    step = int(first.get_attribute("title").split()[1].rstrip(","))
    assert first.bounding_box()["x"] == pytest.approx(ruler["x"] + 12 * step, abs=1.5)  # 120 px/s
    at = (tokens["head_steps"] + step) * len(tokens["streams"])
    assert first.locator("small").text_content() == str(tokens["ids"][at])
    visit.page.locator(".lane.steps .body").nth(1).click(position={"x": 12 * 37 + 6, "y": 18})
    assert visit.page.locator("#inspector .marked td").nth(0).text_content() == "37"
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
