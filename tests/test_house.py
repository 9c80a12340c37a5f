"""The house rules a machine can hold: who imports whom, and what stays out of module level."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = ("schemas", "token_schema", "generators", "pipeline", "trainer", "jobs")
# modules that may name a heavy library at module level: the one backend or runner that needs it
RAY_MAY = {"pipeline/runner_ray.py", "pipeline/ray_tasks.py", "pipeline/ray_speech.py"}
MODEL_LIBRARIES = {"transformers", "torch", "silero_vad", "cosyvoice", "faster_whisper", "datasets"}
TORCH_MAY = ("trainer/",)


def imports(path: Path, top_level_only: bool) -> Iterator[str]:
    """The first names of what a file imports; at module level only, if asked."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def modules(repo: Path, room: str) -> list[Path]:
    return sorted((repo / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_before_it(repo: Path, room: str) -> None:
    later = set(ROOMS[ROOMS.index(room) + 1 :])
    assert modules(repo, room), f"{room}/ has no modules"
    for path in modules(repo, room):
        wrong = later & set(imports(path, top_level_only=False))
        assert not wrong, f"{path.relative_to(repo)} imports {sorted(wrong)}"


def test_only_the_runners_and_jobs_import_ray(repo: Path) -> None:
    for room in ROOMS[:-1]:
        for path in modules(repo, room):
            name = str(path.relative_to(repo))
            if "ray" in imports(path, top_level_only=False):
                assert name in RAY_MAY, f"{name} imports ray"


def test_model_libraries_are_not_imported_at_module_level(repo: Path) -> None:
    for room in ROOMS:
        for path in modules(repo, room):
            name = str(path.relative_to(repo))
            if not name.startswith(TORCH_MAY):
                wrong = MODEL_LIBRARIES & set(imports(path, top_level_only=True))
                assert not wrong, f"{name} imports {sorted(wrong)} at module level"


def test_schemas_do_no_io(repo: Path) -> None:
    for path in modules(repo, "schemas"):
        wrong = {"pathlib", "os", "io", "pyarrow", "requests", "av", "soundfile"} & set(
            imports(path, top_level_only=False)
        )
        assert not wrong, f"{path.relative_to(repo)} imports {sorted(wrong)}"


def test_files_stay_small(repo: Path) -> None:
    for room in ROOMS:
        for path in modules(repo, room):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 320, f"{path.relative_to(repo)} has {lines} lines: split it by idea"
