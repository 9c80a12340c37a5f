"""The language model as rewriter, against a real server that answers well, badly, late or not at all."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import MODEL, asked, chat_server, completion, hang, raw_server, say

from generators.rewrite import Rewriter, check, client
from generators.speech.artefacts import FolderArtefacts
from schemas.config import Config, TextConfig
from schemas.errors import MachineError, StrettoError

WRITE = "I have **2** cats."
GOOD = say("I have two cats.")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAIT_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def settings(url: str, **more: Any) -> TextConfig:
    fields = {"rewriter": "openai", "url": url, "model": MODEL, "max_retries": 2, "timeout_s": 5}
    return TextConfig.model_validate(fields | more)


def rewriter(url: str, folder: Path | None = None, **more: Any) -> Rewriter:
    return Rewriter(settings(url, **more), 7, FolderArtefacts(folder) if folder else None)


def test_a_good_answer_is_asked_for_with_a_schema_and_a_seed_and_kept(tmp_path: Path) -> None:
    with chat_server(lambda n, body: GOOD) as server:
        check(settings(server.url))
        assert rewriter(server.url, tmp_path).say(WRITE, "en") == "I have two cats."
        assert rewriter(server.url, tmp_path).say(WRITE, "en") == "I have two cats."
    [(_, body)] = server.requests
    assert (body["temperature"], body["seed"], body["model"]) == (0, 7, MODEL)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["say"]
    assert asked(body) == WRITE


def test_what_was_stored_first_is_read_by_all(tmp_path: Path) -> None:
    with chat_server(
        lambda n, body: say("I have two cats." if n == 1 else "Two cats I have.")
    ) as server:
        assert rewriter(server.url, tmp_path).say(WRITE, "en") == "I have two cats."
        # another seed is another answer; the same one is read again, also when it was broken
        assert Rewriter(settings(server.url), 8, FolderArtefacts(tmp_path)).say(WRITE, "en") == (
            "Two cats I have."
        )
        assert rewriter(server.url, tmp_path).say(WRITE, "en") == "I have two cats."
        for path in tmp_path.rglob("*.json"):
            path.write_bytes(b'{"sa')
        assert rewriter(server.url, tmp_path).say(WRITE, "en") == "Two cats I have."
    assert len(server.requests) == 3


def test_500_then_good_and_a_redirect_is_not_followed() -> None:
    with chat_server(lambda n, body: (500, b"oh") if n < 3 else GOOD) as server:
        assert rewriter(server.url).say(WRITE, "en") == "I have two cats."
        assert len(server.requests) == 3
    with chat_server(lambda n, body: (307, b"")) as server:
        with pytest.raises(MachineError, match="HTTP 307.*no redirect"):
            rewriter(server.url, max_retries=0).say(WRITE, "en")


@pytest.mark.parametrize(
    "bad, why",
    [
        ("no json", "no JSON"),
        ("[" * 5000, "no JSON"),
        ('{"say": 5}', "no JSON object"),
        ('["say"]', "no JSON object"),
        (say(""), "empty"),
        (say("..."), "empty"),
        (say("I have **two** cats."), "Markdown"),
        (say("- I have two cats."), "Markdown"),
        (say("I have two cats. " * 40), "characters, more than"),
        (say("Dogs bark."), "consistency"),
        (say("I have three cats."), "consistency with the text is 0.38"),
        ((400, b"context too long"), "HTTP 400: context too long"),
        ((200, b"<html>"), "no chat completion"),
        ((200, b'{"choices": []}'), "no chat completion"),
        ((200, completion(GOOD, "length")), "max_tokens"),
        ((200, completion("A" * (8 << 20))), "over 8 MiB"),
    ],
)
def test_a_bad_answer_is_asked_for_again_and_then_refused(
    bad: str | tuple[int, bytes], why: str, tmp_path: Path
) -> None:
    with chat_server(lambda n, body: bad) as server:
        with pytest.raises(StrettoError, match=why) as caught:
            rewriter(server.url, tmp_path).say(WRITE, "en")
        assert not isinstance(caught.value, MachineError)
        assert [body["seed"] for _, body in server.requests] == [7, 8, 9]
        # the refusal is kept too: a resumed run rejects the same records
        with pytest.raises(StrettoError, match=why):
            rewriter(server.url, tmp_path).say(WRITE, "en")
        assert len(server.requests) == 3
        assert (
            rewriter(server.url, tmp_path, fallback="rules").say(WRITE, "en") == "I have two cats."
        )
        assert len(server.requests) == 3
    with chat_server(lambda n, body: bad if n == 1 else GOOD) as server:
        assert rewriter(server.url).say(WRITE, "en") == "I have two cats."
        assert why.split(".*")[0][:8] in str(server.requests[1][1]["messages"][-1])


def test_a_server_that_hangs_or_is_gone_stops_the_run() -> None:
    with chat_server(hang) as server:
        begin = time.monotonic()
        with pytest.raises(MachineError, match="no answer in time"):
            rewriter(server.url, timeout_s=0.3, max_retries=1).say(WRITE, "en")
        assert time.monotonic() - begin < 5
    with pytest.raises(MachineError, match="can't be reached"):
        rewriter(server.url).say(WRITE, "en")
    with pytest.raises(StrettoError, match="can't be reached"):
        check(settings(server.url))


@pytest.mark.parametrize("head", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
def test_an_answer_that_breaks_off_is_the_connections_fault_and_not_kept(
    head: str, tmp_path: Path
) -> None:
    """Kept, it would be the model's refusal for good."""
    data = completion(GOOD)
    body = data if "Length" in head else b"%x\r\n%b" % (len(data) + 900, data)
    with raw_server(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body) as url:
        with pytest.raises(MachineError, match="its answer broke off"):
            rewriter(url, tmp_path, max_retries=1).say(WRITE, "en")
    assert not list(tmp_path.rglob("*.json"))
    with chat_server(lambda n, body: GOOD) as server:
        assert rewriter(server.url, tmp_path, max_retries=1).say(WRITE, "en") == "I have two cats."


def test_the_check_knows_models_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(lambda n, body: GOOD) as server:
        with pytest.raises(StrettoError, match="no model 'other'; it has tiny-chat"):
            check(settings(server.url, model="other"))
        with pytest.raises(StrettoError, match="STRETTO_TEST_KEY holds no key"):
            check(settings(server.url, api_key_env="STRETTO_TEST_KEY"))
        server.needs_key = "sesame-42"
        monkeypatch.setenv("STRETTO_TEST_KEY", "wrong-17")
        with pytest.raises(StrettoError, match=r"HTTP 401: bad key Bearer \*\*\*") as caught:
            check(settings(server.url, api_key_env="STRETTO_TEST_KEY"))
        assert "wrong-17" not in str(caught.value)
        with pytest.raises(MachineError, match="HTTP 401"):
            rewriter(server.url, api_key_env="STRETTO_TEST_KEY").say(WRITE, "en")
        monkeypatch.setenv("STRETTO_TEST_KEY", "sesame-42")
        good = settings(server.url, api_key_env="STRETTO_TEST_KEY")
        check(good)
        assert Rewriter(good, 7, None).say(WRITE, "en") == "I have two cats."


@pytest.mark.parametrize(
    "text, why",
    [
        ({"rewriter": "openai"}, "needs `url` and `model`"),
        ({"rewriter": "openai", "model": "m", "url": "host:80"}, "not of the form"),
        ({"rewriter": "openai", "model": "m", "url": "http://me:pw@host/v1"}, "credentials"),
        ({"rewriter": "gpt"}, "rules"),
        ({"rewritr": "rules"}, "did you mean `rewriter`"),
        ({"api_key_env": "sk-123 "}, "pattern"),
    ],
)
def test_a_wrong_config_is_refused(text: dict[str, Any], why: str) -> None:
    data = {"name": "x", "sources": [{"dialogues": {"path": "a"}}], "text": text}
    with pytest.raises(StrettoError, match=why) as caught:
        Config.from_mapping(data, "c.yaml")
    assert "pw@" not in json.dumps(str(caught.value))
