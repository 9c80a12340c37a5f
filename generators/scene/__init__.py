"""Scene planning: what happens when, in relative terms, before any audio exists.

`plan_scene(record, config)` is a pure function of the record, the config and the config's seed.
"""

from __future__ import annotations

from generators.scene.dialogue import plan_dialogue
from generators.scene.recording import plan_recording
from generators.scene.robot import plan_robot
from schemas.config import Config
from schemas.records import Dialogue, InputRecord, Recording
from schemas.scene import Scene

__all__ = ["plan_scene"]


def plan_scene(record: InputRecord, config: Config) -> Scene:
    """The Scene of a record. Raises StrettoError for a record that can't be a sample."""
    if isinstance(record, Dialogue):
        return plan_dialogue(record, config)
    if isinstance(record, Recording):
        return plan_recording(record, config)
    return plan_robot(record, config)
