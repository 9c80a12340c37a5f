"""`acoustics:` of a config: what the room, the noise and the line do to `listen`."""

from __future__ import annotations

from schemas.base import Record


class AcousticsConfig(Record):
    """What is done to what is heard. Nothing by default."""
