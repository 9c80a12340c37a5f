"""Shared fixtures: the inputs that none of us made, where they are present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Ray reports usage by default and the tests have no network.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout."""
    return REPO


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """`../shared`: real inputs for tests, never committed. Skips where it is absent."""
    folder = Path(os.environ.get("STRETTO_SHARED", REPO.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("../shared/data is absent: real inputs not tested here")
    return folder
