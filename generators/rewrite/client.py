"""One question to an OpenAI-compatible server, over plain HTTP (urllib): vLLM, SGLang, llama.cpp, ...

    client = ChatClient("http://localhost:8000/v1", "qwen", key="", timeout_s=60)
    client.check()                                    # StrettoError when it can't be used
    client.ask(messages, schema, seed=1, max_tokens=512)   # the answer's text

`ask` tries again after a fault of the connection or the server, a little later each time, and raises
MachineError when that does not help: the run stops and can be resumed. What the server refuses for
the content's sake (HTTP 400, 413, 422) or answers out of form or without end is a BadAnswer. An
answer that breaks off is the connection's fault. No redirect is followed, so the key goes to no other
host, and no error holds it.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from schemas.errors import MachineError, StrettoError

MOST_BYTES = 8 << 20
WAIT_S, LONGEST_WAIT_S = 0.5, 20.0
_CONTENT = (400, 413, 422)
_SETTINGS = (401, 403, 404, 405)


class BadAnswer(StrettoError):
    """The server answered, but not with what was asked for."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class ChatClient:
    """`url` ends before `/chat/completions`; `key` may be empty. Safe to share between threads."""

    def __init__(
        self, url: str, model: str, key: str = "", timeout_s: float = 60, max_retries: int = 3
    ) -> None:
        self.url, self.model = url.rstrip("/"), model
        self.timeout_s, self.max_retries = timeout_s, max_retries
        self._key = key
        self._opener = urllib.request.build_opener(_NoRedirects)

    def check(self) -> None:
        """StrettoError when the server can't be reached, refuses the key or has no such model."""
        try:
            known = json.loads(self._request("/models", None))
        except urllib.error.HTTPError as error:
            if error.code in (404, 405, 501):  # it has no list of models: `ask` will show
                return
            raise StrettoError(self._status(error), self.url, self._fix(error.code)) from None
        except (OSError, http.client.HTTPException) as error:
            fix = "start it, or mend `text.url`"
            raise StrettoError(_reason(error), self.url, fix) from None
        except ValueError:
            return
        data = known.get("data") if isinstance(known, dict) else None
        names = (
            [str(m.get("id")) for m in data if isinstance(m, dict)]
            if isinstance(data, list)
            else []
        )
        if names and self.model not in names:
            fix = f"it has {', '.join(sorted(names)[:5])}: set `text.model`"
            raise StrettoError(f"the server has no model {self.model!r}", self.url, fix)

    def ask(
        self, messages: Sequence[dict[str, str]], schema: dict[str, Any], seed: int, max_tokens: int
    ) -> str:
        """The text of the answer. BadAnswer, or MachineError when the server stays out of reach."""
        form = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
        body = {
            "model": self.model, "messages": list(messages), "temperature": 0, "seed": seed,
            "max_tokens": max_tokens, "response_format": form,
        }  # fmt: skip
        return _content(self._patiently("/chat/completions", body))

    def _patiently(self, path: str, body: dict[str, Any]) -> bytes:
        for attempt in range(self.max_retries + 1):
            try:
                return self._request(path, body)
            except urllib.error.HTTPError as error:
                if error.code in _CONTENT:
                    raise BadAnswer(self._status(error), self.url) from None
                what, final = self._status(error), error.code in _SETTINGS
                fix = self._fix(error.code)
            except (OSError, http.client.HTTPException) as error:
                what, final = _reason(error), False
                fix = "start it again, then run the same command: it resumes"
            if final or attempt == self.max_retries:
                raise MachineError(what, self.url, fix)
            time.sleep(min(WAIT_S * 2**attempt, LONGEST_WAIT_S))
        raise AssertionError("unreachable")

    def _request(self, path: str, body: dict[str, Any] | None) -> bytes:
        """The answer's bytes, within `timeout_s` in all, however slowly they drip."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        end = time.monotonic() + self.timeout_s
        found = bytearray()
        with self._opener.open(request, timeout=self.timeout_s) as answer:
            while chunk := answer.read1(1 << 16):
                found += chunk
                if len(found) > MOST_BYTES:
                    raise BadAnswer(f"the answer has over {MOST_BYTES >> 20} MiB", self.url)
                if time.monotonic() > end:
                    raise TimeoutError
            if answer.length:  # read1 says nothing of a connection that ended too early
                raise http.client.IncompleteRead(bytes(found), answer.length)
        return bytes(found)

    def _status(self, error: urllib.error.HTTPError) -> str:
        """The status and what the server says of it, without the key."""
        try:
            said = error.read(2000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            said = ""
        if self._key:
            said = said.replace(self._key, "***")
        said = " ".join(said.split())[:200]
        return f"the server answered HTTP {error.code}" + (f": {said}" if said else "")

    def _fix(self, code: int) -> str:
        if code in (401, 403):
            return "put its key into the environment variable that `text.api_key_env` names"
        if code in (301, 302, 303, 307, 308):
            return "no redirect is followed: give the address itself as `text.url`"
        return (
            "check `text.url` and `text.model`" if code in _SETTINGS else "look at the server's log"
        )


def _content(data: bytes) -> str:
    """The message of a chat completion."""
    try:
        choice = json.loads(data)["choices"][0]
        content, finish = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise BadAnswer("the server's answer is no chat completion") from None
    if not isinstance(content, str):
        raise BadAnswer("the server's answer has no text")
    if finish == "length":
        raise BadAnswer("the answer was cut at `text.max_tokens`")
    return content


def _reason(error: Exception) -> str:
    """A connection's fault in few words."""
    if isinstance(error, http.client.IncompleteRead):
        return "the server was lost: its answer broke off"
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError) or isinstance(error, TimeoutError):
        return "the server can't be reached: no answer in time"
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return f"the server can't be reached: {text}"
