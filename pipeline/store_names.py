"""Names of objects that can't leave a corpus, and URLs that may stand in a message."""

from __future__ import annotations

import re

from schemas.errors import StrettoError

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def check_name(name: str) -> str:
    """`name` itself, when it can't leave the corpus: relative, plain ASCII, no dot segments."""
    if not NAME.fullmatch(name):
        raise StrettoError(f"unsafe object name {name!r}", fix="use letters, digits, . _ - and /")
    return name


def shown(url: str) -> str:
    """The URL without user, password and query, which may hold credentials."""
    if "://" not in url:
        return url
    scheme, rest = url.split("://", 1)
    place = rest.split("?", 1)[0].split("#", 1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
